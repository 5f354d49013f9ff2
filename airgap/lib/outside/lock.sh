# shellcheck shell=bash
# shellcheck disable=SC2154  # TEMPORARY stands in airgap/bundle
# From names to digests: images.txt says which images cross the gap and why each may; images.lock says which bytes these are, and
# what hangs on them. Needs walk.sh, sign.sh, trust.sh and keyless.sh.

# Locks the images of a list, or tells what moved since.
verb_lock() {
  local images=$here/images.txt lock='' check=
  while (($#)); do
    case $1 in
      --images | --lock)
        [[ ${2:-} ]] || misuse "$1 wants a file"
        if [[ $1 == --images ]]; then images=$2; else lock=$2; fi
        shift
        ;;
      --check) check=1 ;;
      *) misuse "unknown word '$1'" ;;
    esac
    shift
  done
  lock=${lock:-${images%.txt}.lock}
  lock_read "$images"
  lock_roots
  [[ ! $check || -r $lock ]] || fail 66 "there is no $lock to compare with: airgap/bundle lock writes it"
  lock_make >"$TEMPORARY/lock"
  if [[ $check ]]; then
    lock_compare "$lock" "$TEMPORARY/lock"
    say "everything is as $lock says"
    return
  fi
  { cp "$TEMPORARY/lock" "$lock.new" && mv "$lock.new" "$lock"; } 2>/dev/null || fail 73 "$lock cannot be written"
  lock_table "$lock"
}

# By number: the reference, where it lies inside, and the rule as JSON; in words, if it is keyless.
lock_references=() lock_paths=() lock_rules=() lock_keyless=()

# Reads images.txt. All faults are told together.
lock_read() { # file
  local list=$1 line number=0 reference rest path rule faults=0
  local -A names=()
  [[ -r $1 ]] || fail 66 "$1 cannot be read: it lists the images that cross the gap, one a line"
  lock_references=('') lock_paths=('') lock_rules=('')
  while IFS= read -r line || [[ $line ]]; do
    number=$((number + 1))
    # A reason may have a number with its sign: only a line of its own is a comment.
    [[ $line =~ ^[[:space:]]*[^[:space:]#] ]] || continue
    read -r reference rest <<<"$line"
    path=
    if [[ $rest =~ ^as[[:space:]]+([^[:space:]]+)[[:space:]]+(.*)$ ]]; then path=${BASH_REMATCH[1]} rest=${BASH_REMATCH[2]}; fi
    if ! reference_parse "$reference" named; then
      lock_fault "$list" "$number" "$REF_WHY"
    elif [[ ! $REF_TAG$REF_DIGEST ]]; then
      lock_fault "$list" "$number" "'$reference' has neither tag nor digest: name one"
    elif ! rule=$(lock_rule "$rest"); then
      lock_fault "$list" "$number" "'$rest' is no rule: write 'signed release' (or import, promotion), 'keyless ROOT IDENTITY ISSUER', or 'vouched WHO until YYYY-MM-DD WHY'"
    elif [[ $path && ! $path =~ ^[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*){1,2}$ ]]; then
      lock_fault "$list" "$number" "'$path' is no place inside: write ORG/[PROJECT/]SERVICE in lower case"
    else
      path=${path:-${REF_REPOSITORY#*/}}
      if [[ $path == airgap/* ]]; then
        lock_fault "$list" "$number" "'$path' is where the closed side keeps its memory: write 'as' another place"
        continue
      elif [[ ${names["$path:${REF_TAG:-$REF_DIGEST}"]:-} ]]; then
        lock_fault "$list" "$number" "$path:${REF_TAG:-$REF_DIGEST} is named in line ${names["$path:${REF_TAG:-$REF_DIGEST}"]} already: give one of them another place"
        continue
      fi
      names["$path:${REF_TAG:-$REF_DIGEST}"]=$number
      lock_references+=("$reference") lock_paths+=("$path") lock_rules+=("$rule")
    fi
  done <"$1"
  ((faults == 0)) || exit 65
  ((${#lock_references[@]} > 1)) || fail 65 "$1 lists no image"
}

# Says one fault; lock_read counts it.
lock_fault() { # file line why
  say "$1:$2: $3"
  faults=$((faults + 1))
}

# Prints a rule as JSON.
lock_rule() { # words
  if [[ $1 =~ ^signed[[:space:]]+(release|import|promotion)[[:space:]]*$ ]]; then
    jq -cn --arg purpose "${BASH_REMATCH[1]}" '{rule: "signed", $purpose}'
  elif [[ $1 =~ ^vouched[[:space:]]+([^[:space:]]+)[[:space:]]+until[[:space:]]+([0-9]{4}-[01][0-9]-[0-3][0-9])[[:space:]]+(.*[^[:space:]])[[:space:]]*$ ]]; then
    jq -cn --arg who "${BASH_REMATCH[1]}" --arg until "${BASH_REMATCH[2]}T00:00:00Z" --arg why "${BASH_REMATCH[3]}" '{rule: "vouched", $who, $until, $why}'
  elif [[ $1 =~ ^keyless[[:space:]]+([a-z0-9]+(-[a-z0-9]+)*)[[:space:]]+([^[:space:]]+)[[:space:]]+([^[:space:]]+)[[:space:]]*$ && ${#BASH_REMATCH[1]} -le 63 ]]; then
    jq -cen -L "$ROOT/airgap/lib/carried" --arg root "${BASH_REMATCH[1]}" --arg identity "${BASH_REMATCH[3]}" --arg issuer "${BASH_REMATCH[4]}" \
      'include "manifest"; {rule: "keyless", $root, $identity, $issuer} | select(all(.identity, .issuer; word))'
  else
    return 1
  fi
}

# Finds all of it, and writes the lock as JSON to stdout. Fails when something cannot be had, or may not cross.
lock_make() {
  local n work=$TEMPORARY/walk
  walk_begin "$work"
  for ((n = 1; n < ${#lock_references[@]}; n++)); do
    reference_parse "${lock_references[n]}" named
    walk_image "$n" "$REF_REGISTRY" "${REF_REPOSITORY#*/}" "${REF_DIGEST:-$REF_TAG}"
  done
  say "asking for ${#walk_place[@]} images and what hangs on them"
  walk
  lock_complete "$work/missing"
  lock_judge "$work/found"
  lock_write "$work"
}

# Fails when something is missing: what cannot be known is told apart from what is not there.
lock_complete() { # file
  local n code why worst=0
  while IFS=$'\t' read -r n code why; do
    say "${lock_references[n]}: $why"
    if ((worst != 69)); then worst=$code; fi
  done <"$1"
  ((worst == 0)) || fail "$worst" "not everything that belongs to these images is there: nothing is locked"
}

# Fails unless every image may cross: signed as its rule wants, by a key or a certificate, or vouched for by somebody whose word has not run out.
lock_judge() { # found
  local n digest code worst=0 pinned=() numbers=() now
  now=$(trust_now)
  trust_open "$TEMPORARY/keys"
  while IFS=$'\t' read -r n digest; do
    case ${lock_rules[n]} in
      '{"rule":"signed"'* | '{"rule":"keyless"'*)
        reference_parse "${lock_references[n]}" named
        pinned+=("$REF_REPOSITORY@$digest") numbers+=("$n")
        ;;
      '{"rule":"vouched"'*)
        [[ ${lock_rules[n]} =~ \"until\":\"([0-9TZ:-]+)\" ]] || fail 69 "the rule of ${lock_references[n]} cannot be read here"
        if [[ ! $now < ${BASH_REMATCH[1]} ]]; then
          say "${lock_references[n]}: the word of $(jq -r .who <<<"${lock_rules[n]}") for it ended on $(jq -r '.until[:10]' <<<"${lock_rules[n]}"): have it reviewed anew"
          worst=65
        fi
        ;;
      *) fail 69 "the rule of ${lock_references[n]} cannot be read here" ;;
    esac
  done < <(awk -F '\t' '$5 == "image" { print $1 "\t" $2 }' "$1")
  mkdir -p "$TEMPORARY/signed"
  ((${#pinned[@]} == 0)) || sign_gather "$TEMPORARY/signed" "${pinned[@]}"
  for ((n = 0; n < ${#pinned[@]}; n++)); do
    [[ ! ${lock_keyless[numbers[n]]:-} ]] || printf '%d\t%s\n' "$((n + 1))" "${lock_keyless[numbers[n]]}"
  done >"$TEMPORARY/keyless"
  keyless_judge "$TEMPORARY/signed" <"$TEMPORARY/keyless"
  for ((n = 0; n < ${#pinned[@]}; n++)); do
    code=0
    if [[ ${lock_keyless[numbers[n]]:-} ]]; then
      keyless_verdict "$TEMPORARY/signed/$((n + 1))" || code=$?
    else
      [[ ${lock_rules[numbers[n]]} =~ \"purpose\":\"([a-z]+)\" ]] || fail 69 "the rule of ${lock_references[numbers[n]]} cannot be read here"
      sign_verdict "$TEMPORARY/signed/$((n + 1))" "${pinned[n]}" "${BASH_REMATCH[1]}" || code=$?
    fi
    ((code == 0)) || say "${lock_references[numbers[n]]}: $SIGN_WHY"
    if ((code != 0 && worst != 69)); then worst=$code; fi
  done
  ((worst == 0)) || fail "$worst" "not every image may cross: nothing is locked"
}

# Prints the lock.
lock_write() { # folder
  local n
  for ((n = 1; n < ${#lock_references[@]}; n++)); do
    reference_parse "${lock_references[n]}" named
    printf '%s\t%s\t%s\t%s\t%s\n' "$n" "${lock_references[n]}" "${lock_paths[n]}" "$REF_TAG" "${lock_rules[n]}"
  done >"$1/images"
  # The processors of an image that is no index stand in its configuration; an index names them itself.
  lock_platforms "$1" >"$1/platforms" || fail 69 "the processors of these images cannot be read here: is there room in ${TMPDIR:-/tmp}?"
  jq -nS --rawfile images "$1/images" --rawfile found "$1/found" --rawfile holds "$1/holds" --arg made "$(trust_now)" \
    --slurpfile platforms "$1/platforms" '
    ($platforms | add // {}) as $platforms | def rows: split("\n") | map(select(. != "") | split("\t"));
    ($holds | rows | group_by(.[0]) | map({key: .[0][0], value: map({digest: .[1], size: (.[2] | tonumber), mediaType: .[3]})}) | from_entries) as $blobs
    | ($found | rows | group_by(.[0]) | map({key: .[0][0], value: .}) | from_entries) as $manifests
    | {type: "images-lock/v1", made: $made, images: [$images | rows[] | . as [$n, $reference, $path, $tag, $rule]
      | $manifests[$n] as $all | ($all | map(select(.[4] == "image"))[0]) as $own
      | ($all | map({digest: .[1], mediaType: .[2], size: (.[3] | tonumber), kind: .[4]} + (if .[5] == "-" then {} else {of: .[5]} end)
          + (if .[6] == "-" then {} else {tag: .[6]} end)) | sort_by(.digest)) as $list
      | ([$list[].digest | $blobs[.][]?] | unique_by(.digest)) as $held
      | {reference: $reference, path: $path, digest: $own[1], mediaType: $own[2], rule: ($rule | fromjson), platforms: ($platforms[$own[1]] // []),
         size: ([$list[].size, $held[].size] | add), manifests: $list, blobs: $held} + (if $tag == "" then {} else {tag: $tag} end)]}'
}

# Prints which processors each index is for, in as many objects as there are runs of jq.
lock_platforms() { # folder
  awk -F '\t' -v folder="$1/manifests/" '$5 == "image" { sub(/^sha256:/, "", $2); print folder $2 }' "$1/found" | sort -u | xargs -d '\n' \
    jq -n '[inputs | {key: ("sha256:" + (input_filename | sub(".*/"; ""))), value: [.manifests[]?.platform | select(.os and .os != "unknown") | [.os, .architecture, .variant] | map(select(.)) | join("/")]}] | from_entries'
}

# Tells what is different in the registries from what a lock says; returns 65 when something is.
lock_compare() { # old new
  local moved
  moved=$(jq -nr --slurpfile old "$1" --slurpfile new "$2" '
    def by: map({key: .reference, value: .}) | from_entries;
    ($old[0].images | by) as $was | ($new[0].images | by) as $is
    | (($was | keys) - ($is | keys) | map("\(.): not in the list any more")[]),
      ($is | to_entries[] | .key as $name | .value as $now | $was[$name] as $then
        | if $then == null then "\($name): new in the list"
          elif $then.digest != $now.digest then "\($name): moved from \($then.digest) to \($now.digest)"
          else (([$now.manifests[].digest] - [$then.manifests[].digest])[] | "\($name): \(.) hangs on it now"),
            (([$then.manifests[].digest] - [$now.manifests[].digest])[] | "\($name): \(.) hangs on it no more"),
            (select($then.rule != $now.rule or $then.path != $now.path) | "\($name): another rule or place") end)')
  [[ $moved ]] || return 0
  printf '%s\n' "$moved"
  return 65
}

# Prints a lock as a table.
lock_table() { # file
  {
    printf 'IMAGE\tDIGEST\tSIZE\tPLATFORMS\tHANGS ON IT\tMAY CROSS\n'
    jq -r 'def human: if . >= 1e9 then "\(. / 1e8 | floor / 10) GB" elif . >= 1e6 then "\(. / 1e5 | floor / 10) MB" else "\(. / 100 | floor / 10) kB" end;
      .images[] | [.reference, .digest[7:19], (.size | human), (.platforms | if . == [] then "one" else join(" ") end),
      ([.manifests[] | select(.kind | IN("referrer", "tagged"))] | length), (.rule | if .rule == "signed" then "signed: \(.purpose)" elif .rule == "keyless" then "keyless: \(.identity)" else "vouched: \(.who) until \(.until[:10])" end)] | @tsv' "$1"
  } | column -t -s $'\t'
}
