# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # SIGN_… are sign.sh's, ROOT is project.sh's; FILES_CODE is read by callers
# Manifests and Compose files for policy/admit and policy/audit: judge.py reads and judges them, and their images are asked for
# signatures as any reference is. Needs sign.sh and what that needs.

FILES_EXCEPTIONS=$ROOT/policy/exceptions.tsv
# What more judge.py and audit.py are told: --images FILE, --exempt NAMESPACE.
FILES_WORDS=()
# Not empty when a promotion is wanted; and the rule that the image which was judged last breaks.
FILES_PROMOTED='' FILES_RULE=''
# By reference: the folder, a number, where its signatures were gathered.
declare -gA FILES_GATHERED=()

# Runs one of the Python programs beside this file; ends with a sentence when it cannot say anything.
files_python() { # program words…
  local program=$ROOT/policy/lib/$1 code=0
  shift
  command -v python3 >/dev/null || fail 69 "python3 is missing, and no file can be read without it: install python3 and python3-yaml"
  # Nothing of the surroundings is loaded, and nothing is written beside the program.
  python3 -I -B "$program" --registries "$REFERENCE_REGISTRIES" --rules "$ROOT/policy/rules.tsv" "${FILES_WORDS[@]}" "$@" 2>"$TEMPORARY/python.log" || code=$?
  case $code in
    0) ;;
    69) fail 69 "Python has no PyYAML with libyaml, and no file can be read without it: install python3-yaml" ;;
    65) fail 69 "$(tail -n 1 "$TEMPORARY/python.log")" ;;
    78) fail 78 "$(tail -n 1 "$TEMPORARY/python.log")" ;;
    *) fail 69 "nothing can be known, as ${program##*/} ended with $code: $(tail -n 1 "$TEMPORARY/python.log")" ;;
  esac
}

# Writes down what is to be judged. What can be read once alone (a pipe, standard input) is copied.
files_lay() { # (name file file-before)…
  local n=0 part
  : >"$TEMPORARY/files"
  for part in "$@"; do
    n=$((n + 1))
    # The name stays as it is.
    if ((n % 3 != 1)) && [[ $part == - || ($part && -e $part && ! -f $part && ! -d $part) ]]; then
      if [[ $part == - ]]; then part=/dev/stdin; fi
      head -c 3145729 "$part" >"$TEMPORARY/file.$n" || fail 69 "$part cannot be read"
      part=$TEMPORARY/file.$n
    fi
    printf '%s\0' "$part" >>"$TEMPORARY/files"
  done
}

# Judges what files_lay wrote down, as many as are said; leaves TEMPORARY/judged, and in TEMPORARY/images what is to be asked for signatures.
files_judge() { # count
  files_python judge.py --exceptions "$FILES_EXCEPTIONS" <"$TEMPORARY/files" >"$TEMPORARY/judged"
  [[ $(wc -l <"$TEMPORARY/judged") == "$1" ]] || fail 69 "nothing can be known, as not all files were judged"
  jq -r '.places[].image' "$TEMPORARY/judged" | LC_ALL=C sort -u >"$TEMPORARY/images"
}

# Gathers the signatures of images, of which the first ones are the references of the command line.
files_gather() { # reference…
  local n=0 reference
  sign_gather "$TEMPORARY" "$@"
  for reference in "$@"; do
    n=$((n + 1))
    FILES_GATHERED[$reference]=$n
  done
}

# Whether an image may run, as far as what is signed of it says. Returns 0, 65 or 69; sets SIGN_WHY, SIGN_KEY and FILES_RULE.
files_verdict() { # reference purpose…
  local code=0
  FILES_RULE="image-signed"
  sign_verdict "$TEMPORARY/${FILES_GATHERED[$1]}" "$@" || return
  [[ $FILES_PROMOTED ]] || return 0
  FILES_RULE=promoted
  promotion_verdict "$TEMPORARY/${FILES_GATHERED[$1]}" "$1" || code=$?
  return "$code"
}

# Prints a line of JSON about each image: {reference, code, verdict, key, why, rule}.
files_verdicts() { # purpose…
  local reference code
  while IFS= read -r reference; do
    code=0
    files_verdict "$reference" "$@" || code=$?
    printf '%s\t%s\t%s\t%s\t%s\n' "$reference" "$code" "$SIGN_KEY" "$SIGN_WHY" "$FILES_RULE"
  done <"$TEMPORARY/images" | jq -Rc 'split("\t") | {reference: .[0], code: (.[1] | tonumber), verdict: ({"0": "admitted", "69": "unknown"}[.[1]] // "refused"), key: .[2], why: .[3], rule: .[4]}'
}

# Gets the configurations of the images that decide something, and judges again: what a file does not say its image may. Images for
# several platforms have several, and all must hold.
files_configs() { # count
  local folder=$TEMPORARY/configs image place code manifests=()
  jq -r '.wanted[]' "$TEMPORARY/judged" | LC_ALL=C sort -u >"$TEMPORARY/wanted"
  [[ -s $TEMPORARY/wanted ]] || return 0
  mkdir -p "$folder"
  : >"$folder/unsure"
  registry_begin "$folder"
  while IFS= read -r image; do
    place=$TEMPORARY/${FILES_GATHERED[$image]}
    read -r code _ <"$place/outcome"
    if [[ $code == 0 ]]; then manifests+=("$place/manifest") files_image["$place/manifest"]=$image; else echo "$image" >>"$folder/unsure"; fi
  done <"$TEMPORARY/wanted"
  files_ask "$folder" "${manifests[@]}"
  mapfile -t manifests < <(files_came "$folder" manifests)
  files_ask "$folder" "${manifests[@]}"
  files_known "$folder" >"$TEMPORARY/configs.json"
  FILES_WORDS+=(--images "$TEMPORARY/configs.json")
  files_judge "$1"
}

# By file: the image that a manifest or a configuration is of, and the kind and digest that it was asked by.
declare -gA files_image=() files_asked=()

# Asks for what manifests name: the configuration, or a manifest for each platform.
files_ask() { # folder manifest…
  local folder=$1 manifest kind digest
  shift
  (($#)) || return 0
  # shellcheck disable=SC2016  # jq's
  sign_read '(if (.manifests | type) == "array" then (.manifests | if length > 64 then error("too many") else .[] end | select(.platform.os != "unknown") | ["manifests", .digest])
    else ["blobs", .config.digest] end) | if .[1] | sha then join("\t") else error("no digest") end' "$@" >"$folder/named" || sign_broken
  while IFS=$'\t' read -r manifest kind digest; do
    if [[ $kind == '!' ]]; then
      echo "${files_image[$manifest]}" >>"$folder/unsure"
      continue
    fi
    reference_parse "${files_image[$manifest]}" || continue
    files_image["$folder/$kind.${#files_asked[@]}"]=${files_image[$manifest]}
    registry_ask "$REF_REGISTRY" "${REF_REPOSITORY#*/}" "$kind" "$digest" "$folder/$kind.${#files_asked[@]}"
    files_asked["$folder/$kind.${#files_asked[@]}"]=$digest
  done <"$folder/named"
  registry_answers
}

# Prints the files of a kind that came with the digest that they were asked by; notes the images of which one did not.
files_came() { # folder kind
  local file
  for file in "${!files_asked[@]}"; do
    [[ $file == "$1/$2".* ]] || continue
    if [[ ${REGISTRY_STATUS[$file]:-} == 200 ]] && registry_is "$file" "${files_asked[$file]}"; then echo "$file"; else echo "${files_image[$file]}" >>"$1/unsure"; fi
  done
}

# Prints what is known now: {reference: [configuration, …]}, and null where it cannot be had.
files_known() { # folder
  local file config files
  mapfile -t files < <(files_came "$1" blobs)
  {
    ((${#files[@]} == 0)) || sign_read '{config: {User: .config.User, Healthcheck: .config.Healthcheck}} | tojson' "${files[@]}" | while IFS=$'\t' read -r file config; do
      if [[ $config == '!' ]]; then config=null; fi
      printf '%s\t%s\n' "${files_image[$file]}" "$config"
    done
    sed 's/$/\tnull/' "$1/unsure"
  } | jq -Rn 'reduce (inputs | split("\t")) as [$image, $config] ({}; .[$image] += [$config | fromjson]) | map_values(if any(.[]; . == null) then null else . end)'
}

# Prints what break_glass_load read, where it is there.
files_glasses() { if declare -F break_glass_json >/dev/null; then break_glass_json; else echo '[]'; fi; }

# Brings what was judged and what is signed together, and prints it, a file or an object at a time. Sets FILES_CODE to 0, 65 or 69.
files_tell() { # table|json asked(true|false)
  local verdicts=$TEMPORARY/verdicts.json
  [[ $2 == false ]] || files_verdicts "${purposes[@]}" >"$verdicts"
  [[ -e $verdicts ]] || : >"$verdicts"
  # shellcheck disable=SC2016  # jq's
  jq -c -L "$ROOT/policy/lib" --slurpfile verdicts "$verdicts" --argjson asked "$2" --rawfile rules "$ROOT/policy/rules.tsv" --argjson glasses "$(files_glasses)" \
    'include "tell"; together($verdicts | map({(.reference): .}) | add // {}; $asked; $rules; $glasses)' "$TEMPORARY/judged" >"$TEMPORARY/told"
  if [[ $1 == json ]]; then cat "$TEMPORARY/told"; else jq -r -L "$ROOT/policy/lib" 'include "tell"; table' "$TEMPORARY/told"; fi
  FILES_CODE=$(jq -rn 'reduce (inputs | .verdict) as $verdict (0; if $verdict == "refused" or . == 65 then 65 elif $verdict == "unknown" then 69 else . end)' "$TEMPORARY/told")
}
