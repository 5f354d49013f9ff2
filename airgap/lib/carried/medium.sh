# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # what is set here is read by the parts named below; TEMPORARY stands in airgap/bundle
# Media as they are carried (format.md): which were given, and of which bundle. All that is on them may be somebody else's: it is copied
# first, its signature verified next (medium_trust.sh), and only then read. medium_bytes.sh and medium_content.sh go on from here.

# Nobody needs more: 5,000 images have 20 MB.
medium_largest=$((256 * 1024 * 1024))

# The folder below TEMPORARY with our copies: manifest.json and its signature, N/ what lay on medium N.
BUNDLE=''
# By number: the folder of each medium that was given.
declare -ga MEDIUM_DIRS=()
# What manifest.json says, once it is believed, and the key that signed it.
MEDIUM_STREAM='' MEDIUM_SERIAL='' MEDIUM_COUNT=0 MEDIUM_EXPIRES='' MEDIUM_KEY=''
# Whether a part of the media will do, and whether an expired bundle: words of a verb, never of the environment.
BUNDLE_PARTIAL='' BUNDLE_ALLOW_EXPIRED=''
# What is wrong with the media: code, tab, sentence.
declare -ga MEDIUM_FAULTS=()
# By number: not empty when the signature of its SHA256SUMS holds; when its own manifest.json or signature was refused.
declare -ga medium_sums=() medium_spoilt=()

# Notes a fault, to be told with all others.
medium_fault() { MEDIUM_FAULTS+=("$1"$'\t'"$2"); } # code sentence

# Tells all faults, a line each, and fails if there was one. Of several kinds what was altered counts (65), before what cannot be read
# (74), before what is missing (66): a copy that somebody may have altered shall not pass for one that is not finished.
medium_told() { # sentence
  local fault code worst=0
  ((${#MEDIUM_FAULTS[@]})) || return 0
  for fault in "${MEDIUM_FAULTS[@]}"; do
    code=${fault%%$'\t'*}
    say "${fault#*$'\t'}"
    if ((worst == 0 || code == 65 || (code == 74 && worst != 65))); then worst=$code; fi
  done
  fail "$worst" "$1: ${#MEDIUM_FAULTS[@]} $( ((${#MEDIUM_FAULTS[@]} == 1)) && echo fault || echo faults)"
}

# Reads the media given: copies what is not content, and finds out which media these are.
medium_open() { # dir…
  local dir
  BUNDLE=$TEMPORARY/bundle
  MEDIUM_DIRS=() MEDIUM_FAULTS=() medium_sums=() medium_spoilt=() medium_place=()
  rm -rf "$BUNDLE"
  mkdir -p "$BUNDLE/opening" || fail 73 "$BUNDLE cannot be made"
  medium_folders "$@" >"$BUNDLE/folders"
  while IFS= read -r -d '' dir; do medium_take "$dir"; done <"$BUNDLE/folders"
  medium_same
}

# Prints the folders of the media, each with a zero byte after it; a folder that holds medium-1, medium-2, … stands for these.
medium_folders() { # dir…
  local dir inner
  (($#)) || misuse "which media? name their folders"
  for dir in "$@"; do
    [[ -d $dir ]] || fail 66 "there is no folder $dir: is the medium mounted?"
    dir=$(cd "$dir" 2>/dev/null && pwd -P && echo .) || fail 74 "$dir cannot be read"
    dir=${dir%$'\n.'}
    if [[ -e $dir/manifest.json || -e $dir/SHA256SUMS ]]; then
      printf '%s\0' "$dir"
      continue
    fi
    for inner in "$dir"/medium-*; do
      [[ -d $inner && ! -L $inner && ${inner##*/} =~ ^medium-[1-9][0-9]{0,3}$ ]] || continue
      printf '%s\0' "$inner"
      dir=
    done
    [[ ! $dir ]] || fail 66 "$dir is no medium and holds none: there is neither manifest.json nor medium-1"
  done
}

# Takes one medium in. Which it is stands in the first line of SHA256SUMS, until it is verified also only a word.
medium_take() { # dir
  local into=$BUNDLE/opening n='' line='' name
  { rm -rf "$into" && mkdir "$into"; } || fail 73 "$into cannot be made"
  if [[ -f $1/SHA256SUMS ]]; then IFS= read -r -n 300 line < <(tr -d '\0' <"$1/SHA256SUMS" 2>/dev/null) || true; fi
  if [[ $line =~ ^'# bundle '([a-z0-9-]{1,63}' '[1-9][0-9]{0,8})' medium '([1-9][0-9]{0,3})' of '[1-9][0-9]{0,3}$ ]]; then
    n=${BASH_REMATCH[2]}
    printf '%s\n' "${BASH_REMATCH[1]}" >"$into/says"
  elif [[ ${1##*/} =~ ^medium-([1-9][0-9]{0,3})$ ]]; then
    n=${BASH_REMATCH[1]}
  elif [[ -e $1/SHA256SUMS ]]; then
    fail 65 "$1: SHA256SUMS does not say which medium this is: copy it again from the original"
  else
    fail 66 "$1: SHA256SUMS, which says which medium this is, is missing: copy it again from the original"
  fi
  [[ ! ${MEDIUM_DIRS[n]:-} ]] || fail 65 "medium $n is given twice: ${MEDIUM_DIRS[n]} and $1. Another medium is in the place of one of them"
  MEDIUM_DIRS[n]=$1
  for name in manifest.json manifest.json.sig SHA256SUMS SHA256SUMS.sig; do medium_copy "$n" "$name" "$into/$name"; done
  mv "$into" "$BUNDLE/$n" || fail 73 "$BUNDLE/$n cannot be made"
}

# Copies one file of a medium; notes what is wrong if it cannot be had.
medium_copy() { # number name to
  local file=${MEDIUM_DIRS[$1]}/$2 size
  if [[ -L $file ]]; then
    medium_fault 65 "medium $1: $2 is a link, and a medium has none: copy it again from the original"
  elif [[ ! -e $file ]]; then
    medium_fault 66 "medium $1: $2 is missing: copy it again from the original of medium $1"
  elif [[ ! -f $file ]]; then
    medium_fault 65 "medium $1: $2 is no file: copy it again from the original of medium $1"
  elif size=$(stat -c %s "$file") && ((size > medium_largest)); then
    medium_fault 65 "medium $1: $2 has $size bytes, and none has more than $medium_largest"
  elif ! head -c "$medium_largest" "$file" >"$3" 2>/dev/null; then
    rm -f "$3"
    medium_fault 74 "medium $1: $2 cannot be read: copy it again from the original of medium $1, to another medium"
  fi
}

# Fails for media of different bundles; lays the manifest out, which one it is being settled by medium_trust.
medium_same() {
  local n first='' other
  for n in "${!MEDIUM_DIRS[@]}"; do
    [[ -f $BUNDLE/$n/manifest.json ]] || continue
    if [[ ! $first ]]; then
      first=$n
    elif ! cmp -s "$BUNDLE/$first/manifest.json" "$BUNDLE/$n/manifest.json"; then
      other=$(cat "$BUNDLE/$n/says" 2>/dev/null || true)
      if [[ $other && -s $BUNDLE/$first/says && $other != "$(<"$BUNDLE/$first/says")" ]]; then
        fail 65 "these are media of different bundles: medium $first in ${MEDIUM_DIRS[first]} is of $(<"$BUNDLE/$first/says"), medium $n in ${MEDIUM_DIRS[n]} of $other"
      fi
    fi
  done
  [[ $first ]] || medium_told "no manifest.json can be had"
  medium_settle "$first"
}

# Makes the manifest of a medium the one that is used.
medium_settle() { # number
  local name
  for name in manifest.json manifest.json.sig; do
    rm -f "$BUNDLE/$name"
    [[ ! -f $BUNDLE/$1/$name ]] || cp "$BUNDLE/$1/$name" "$BUNDLE/$name" || fail 73 "$BUNDLE/$name cannot be written"
  done
}

# Prints the numbers of the media that were not given.
medium_missing() {
  local n
  for ((n = 1; n <= MEDIUM_COUNT; n++)); do [[ ${MEDIUM_DIRS[n]:-} ]] || echo "$n"; done
}

# Fails when a medium is missing, unless part of them will do.
medium_complete() {
  local missing
  missing=$(medium_missing | awk '{ printf "%s%s", NR == 1 ? "" : ", ", $0 }')
  if [[ ! $missing || ${BUNDLE_PARTIAL:-} ]]; then return 0; fi
  fail 66 "medium $missing of $MEDIUM_COUNT of the bundle $MEDIUM_STREAM $MEDIUM_SERIAL is missing: give all of them"
}

# By the hexadecimal digits of a blob: the number of its medium.
declare -gA medium_place=()

# Sets MEDIUM_FILE to the path of a blob; fails when it is on none of the media given.
medium_file() { # hex
  local n hex
  if ((${#medium_place[@]} == 0)); then
    while IFS=$'\t' read -r n _ hex _; do medium_place[$hex]=$n; done < <(grep -F $'\tblobs/sha256/' "$BUNDLE/entries")
  fi
  n=${medium_place[$1]:-0}
  [[ ${MEDIUM_DIRS[n]:-} ]] || return 1
  MEDIUM_FILE=${MEDIUM_DIRS[n]}/blobs/sha256/$1
  # A medium that was carried for a repair has not all of them.
  [[ -f $MEDIUM_FILE ]]
}
