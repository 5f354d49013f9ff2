# shellcheck shell=bash
# Who is believed. The folder TRUST holds
#   trust.json                 the version in force          next.json                  a draft that waits for signatures
#   history/N.json             the versions before it        signatures/N.ROOT.sig      what root ROOT says of version N
# and the file TRUST_PIN, outside that folder, the version and SHA-256 that this machine last believed: whatever arrives must
# lead on from there. Everything is read from a copy that was taken first: what was verified is what is used, whoever writes
# to the folder meanwhile. docs/trust.md is the manual.

TRUST=${TRUST:-$ROOT/policy/trust}
TRUST_PIN=${TRUST_PIN:-$LOCAL/trust.pin}
# The copy of TRUST that trust_copy took.
TRUST_COPY=''
# Where trust_open puts what it verified: KEYS/ID.pub and the table KEYS/table.
TRUST_KEYS=''
# The key that was judged last, and why it was refused.
# shellcheck disable=SC2034  # read by callers
TRUST_ID='' TRUST_WHY=''

# The table as trust_load read it: the line of each key by its id, and its id by its fingerprint.
declare -gA TRUST_ROWS=() TRUST_PRINTS=()

# No clock that was set back makes it earlier than this: whoever knows of a signed time sets it.
TRUST_FLOOR=''

# Prints the present, as documents write it.
trust_now() {
  local now
  TZ=UTC0 printf -v now '%(%Y-%m-%dT%H:%M:%SZ)T' -1
  [[ ! $now < $TRUST_FLOOR ]] || now=$TRUST_FLOOR
  printf '%s' "$now"
}

trust_hash() { sha256sum "$1" | cut -d ' ' -f 1; } # file

# Copies TRUST into a folder of ours, which must be empty.
trust_copy() { # folder
  local part
  TRUST_COPY=$1
  mkdir -p "$1"
  for part in trust.json next.json history signatures; do
    [[ ! -e $TRUST/$part ]] || cp -RL "$TRUST/$part" "$1/" || fail 74 "$TRUST/$part cannot be read"
  done
  # Whoever was stopped while a draft came into force left it behind.
  if [[ -f $1/next.json ]] && cmp -s "$1/next.json" "$1/trust.json"; then rm "$1/next.json"; fi
}

# Prints what is wrong with the form of a trust file, a sentence a line.
trust_form() { # file
  jq -rn -L "$ROOT/scripts/lib" 'include "trust"; [inputs] | if length == 1 then .[0] | faults[] else "it is not one JSON object" end' \
    "$1" 2>/dev/null || echo "it is no JSON"
}

# Prints what is wrong with one version following another.
trust_step() { # old new
  jq -r -L "$ROOT/scripts/lib" --slurpfile old "$1" 'include "trust"; step_faults($old[0])[]' "$2" ||
    echo "it cannot be compared with the version before"
  [[ $(jq -r .previous "$2") == "sha256:$(trust_hash "$1")" ]] || echo "it follows another version $(jq .version "$1") than this one"
}

# Prints the roots of ROOTS that signed FILE, one a line.
trust_signers() { # file roots-file
  local id version work
  version=$(jq -r .version "$1")
  work=$(mktemp -d)
  while IFS= read -r id; do
    jq -j --arg id "$id" '.roots.keys[] | select(.id == $id).public' "$2" >"$work/root.pub"
    if [[ -f $TRUST_COPY/signatures/$version.$id.sig ]] &&
      document_signed "$1" "$TRUST_COPY/signatures/$version.$id.sig" "$work/root.pub"; then
      echo "$id"
    fi
  done < <(jq -r '.roots.keys[].id' "$2")
  rm -rf "$work"
}

# Prints nothing when enough of the roots in ROOTS signed FILE, else a sentence.
trust_short() { # file roots-file
  local signed wanted
  signed=$(trust_signers "$1" "$2" | wc -l)
  wanted=$(jq .roots.threshold "$2")
  [[ $wanted =~ ^[1-9][0-9]*$ ]] && ((signed >= wanted)) ||
    echo "version $(jq .version "$1") has $signed of $wanted signatures by the roots of version $(jq .version "$2")"
}

# The file of a version, in force or before.
trust_version() { # number
  if [[ $(jq -r .version "$TRUST_COPY/trust.json" 2>/dev/null) == "$1" ]]; then
    echo "$TRUST_COPY/trust.json"
  else
    echo "$TRUST_COPY/history/$1.json"
  fi
}

# Fails unless the version in force is the pinned one or leads on from it, signed by the roots before and by its own; pins it.
trust_follow() {
  local pinned_version='' pinned_hash='' version step old new why
  [[ -f $TRUST_COPY/trust.json ]] || fail 78 "there is no $TRUST/trust.json: make one with scripts/trust init, or bring yours"
  [[ -f $TRUST_PIN ]] || fail 78 "no trust file was ever confirmed on this machine: compare the printed sheet, then scripts/trust verify --sha256 HASH"
  read -r pinned_version pinned_hash <"$TRUST_PIN" || true
  [[ $pinned_version =~ ^[1-9][0-9]{0,8}$ && $pinned_hash =~ ^[0-9a-f]{64}$ ]] ||
    fail 78 "$TRUST_PIN is damaged: remove it and confirm the trust file anew with scripts/trust verify --sha256 HASH"
  trust_sound "$TRUST_COPY/trust.json"
  version=$(jq .version "$TRUST_COPY/trust.json")
  ((version >= pinned_version)) || fail 65 "the trust file is version $version, older than version $pinned_version that was believed here: bring the newer one"
  old=$(trust_version "$pinned_version")
  [[ -f $old ]] || fail 65 "the trust file is version $version, but version $pinned_version, believed here, is not in its history: bring it whole"
  [[ $(trust_hash "$old") == "$pinned_hash" ]] || fail 65 "the trust file's version $pinned_version is another than the one believed here: somebody altered it"
  for ((step = pinned_version + 1; step <= version; step++)); do
    new=$(trust_version "$step")
    [[ -f $new ]] || fail 65 "version $step of the trust file is missing from its history: bring it whole"
    trust_sound "$new"
    why=$(trust_step "$old" "$new" && trust_short "$new" "$old" && trust_short "$new" "$new")
    [[ ! $why ]] || fail 65 "the trust file cannot be believed: ${why%%$'\n'*}"
    old=$new
  done
  # Where nothing can be written, the same steps are checked again the next time.
  ((version == pinned_version)) || (trust_pin "$old" 2>/dev/null) || true
}

# Fails with the first fault of form.
trust_sound() { # file
  local why
  why=$(trust_form "$1")
  [[ ! $why ]] || fail 65 "$1 is no trust file: ${why%%$'\n'*}"
}

# Remembers a version that was verified; never one older than what is remembered.
trust_pin() { # file
  local folder new version remembered=0
  folder=$(dirname "$TRUST_PIN")
  version=$(jq .version "$1")
  mkdir -p "$folder" || fail 73 "the folder of $TRUST_PIN cannot be made"
  (
    exec 7<"$folder"
    flock --timeout 60 7 || fail 75 "somebody else is writing $TRUST_PIN"
    [[ ! -s $TRUST_PIN ]] || read -r remembered _ <"$TRUST_PIN"
    if [[ $remembered =~ ^[1-9][0-9]{0,8}$ ]] && ((remembered >= version)); then exit 0; fi
    new=$(mktemp "$TRUST_PIN.XXXXXX") || exit 73
    printf '%s %s\n' "$version" "$(trust_hash "$1")" >"$new" && mv "$new" "$TRUST_PIN" || exit 73
  ) || fail 73 "$TRUST_PIN cannot be written"
}

# Verifies what is in force and lays its keys out in a folder, for trust_judge.
trust_open() { # folder
  local id body rest hash file
  local -A rows=()
  trust_copy "$1/copy"
  trust_follow
  TRUST_KEYS=$1
  # Keys have one spelling (trust.jq), so that no program needs to be asked about each of them.
  while IFS=$'\t' read -r id body rest; do
    printf -- '-----BEGIN PUBLIC KEY-----\n%s\n%s\n-----END PUBLIC KEY-----\n' "${body:0:64}" "${body:64}" >"$TRUST_KEYS/$id.pub"
    base64 -d <<<"$body" >"$TRUST_KEYS/$id.der"
    rows[$id]=$rest
  done < <(jq -r '.keys[] | [.id, (.public | split("\n")[1:3] | add), .purpose, .from, .until, .revoked.since // "-", (.repositories | join(" "))]
    | join("\t")' "$TRUST_COPY/trust.json")
  : >"$TRUST_KEYS/table"
  ((${#rows[@]} == 0)) || while read -r hash file; do
    id=${file##*/} && id=${id%.der}
    printf '%s\t%s\t%s\n' "$id" "$hash" "${rows[$id]}" >>"$TRUST_KEYS/table"
  done < <(printf '%s\0' "$TRUST_KEYS"/*.der | xargs -0 sha256sum)
  trust_load
}

# Prints whose documents are believed, once trust_open has read it.
trust_audience() { jq -r .audience "$TRUST_COPY/trust.json"; }

# Reads the table KEYS/table into memory.
trust_load() {
  local row id print
  TRUST_ROWS=() TRUST_PRINTS=()
  while IFS= read -r row; do
    IFS=$'\t' read -r id print _ <<<"$row"
    TRUST_ROWS[$id]=$row TRUST_PRINTS[$print]=$id
  done <"$TRUST_KEYS/table"
}

# Prints the id of the key with a fingerprint; fails when nobody is known by it.
trust_key() { # fingerprint
  [[ $1 && ${TRUST_PRINTS[$1]:-} ]] && echo "${TRUST_PRINTS[$1]}"
}

# Whether a key may speak for this purpose and repository (empty for purposes that have none) now. Sets TRUST_ID when it may; else returns 65 and sets
# TRUST_WHY.
# shellcheck disable=SC2034  # TRUST_ID is read by callers
trust_judge() { # id purpose repository
  local row='' id purpose from until revoked repositories pattern now
  TRUST_WHY='' TRUST_ID=''
  now=$(trust_now)
  # The id may come from anybody.
  if [[ $1 =~ ^[a-z0-9]+(-[a-z0-9]+)*$ ]]; then row=${TRUST_ROWS[$1]:-}; fi
  [[ $row ]] || trust_refuse "no key is called '$(trust_plain "$1")'" || return
  IFS=$'\t' read -r id _ purpose from until revoked repositories <<<"$row"
  [[ $revoked == - ]] || trust_refuse "key $id is revoked since $revoked" || return
  [[ $purpose == "$2" ]] || trust_refuse "key $id is for $purpose, not for $2" || return
  [[ ! $now < $from ]] || trust_refuse "key $id is not valid before $from (here it is $now)" || return
  [[ $now < $until ]] || trust_refuse "key $id is not valid since $until (here it is $now)" || return
  # Keys without repositories speak for what is in none; a repository that nobody named is not one of theirs.
  if [[ ! $3 && ! $repositories ]]; then
    TRUST_ID=$id
    return
  fi
  for pattern in $repositories; do
    if [[ $3 == "$pattern" || ($pattern == */\* && $3 == "${pattern%\*}"*) ]]; then
      TRUST_ID=$id
      return
    fi
  done
  trust_refuse "key $id does not speak for ${3:-no repository in particular}"
}

# Prints the beginning of somebody else's text without what would write on a terminal.
trust_plain() { LC_ALL=C tr -cd '[:print:]' <<<"${1:0:80}"; } # text

trust_refuse() { # why
  # shellcheck disable=SC2034  # read by callers
  TRUST_WHY=$1
  return 65
}
