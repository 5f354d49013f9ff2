# shellcheck shell=bash
# shellcheck disable=SC2154  # TARGET is target.sh's, registry_jobs registry_write.sh's
# Lists of what hangs on images, in registries that keep none themselves: a tag sha256-… stands in for the referrers API.

# Brings the tags that stand in for the referrers API up to date, where a repository has none: asked of each, never inferred. What others
# hung there stays. Such a list is read, altered and written, so nobody else on this host attaches meanwhile, and each list is written once.
lists_write() {
  local path digest status n=0
  cut -f 1 "$TARGET/hang" | sort -u >"$TARGET/hang-paths"
  awk -F '\t' -v OFS='\t' '!seen[$1]++ { print ++n, "GET", $1 "/referrers/" $2, "Accept: application/vnd.oci.image.index.v1+json", "-" }' "$TARGET/hang" |
    registry_run "$registry_jobs/answers"
  awk -F '\t' '!seen[$1]++ { print ++n, $1 }' "$TARGET/hang" >"$TARGET/hang-asked"
  : >"$TARGET/without"
  while read -r n path; do
    status=$(awk -v n="$n" '$1 == n { print $2 }' "$registry_jobs/answers")
    case ${status:-000} in
      200) ;;
      400 | 404 | 405) printf '%s\n' "$path" >>"$TARGET/without" ;;
      *)
        registry_judge "${status:-000}" 0 || true
        fail "$REGISTRY_CODE" "whether $path lists referrers cannot be known: $REGISTRY_FAULT"
        ;;
    esac
  done <"$TARGET/hang-asked"
  [[ -s $TARGET/without ]] || return 0
  awk -F '\t' 'FILENAME == ARGV[1] { without[$1] = 1; next } $1 in without' "$TARGET/without" "$TARGET/hang" >"$TARGET/lists"
  (
    mkdir -p "$LOCAL/locks" || fail 73 "$LOCAL/locks cannot be made"
    # As those do who attach to one repository: sign.sh.
    exec 7>"$LOCAL/locks/lists" || fail 73 "$LOCAL/locks cannot be written"
    flock --timeout 600 7 || fail 75 "somebody else has been writing lists for ten minutes: try again"
    lists_some
  )
}

lists_some() {
  local work=$TARGET/list-bytes n=0
  rm -rf "$work" && mkdir -p "$work"
  cut -f 1,2 "$TARGET/lists" | sort -u >"$TARGET/subjects"
  awk -F '\t' -v OFS='\t' -v folder="$work" '{ tag = $2; sub(/:/, "-", tag); print NR, "GET", $1 "/manifests/" tag, "Accept: application/vnd.oci.image.index.v1+json", folder "/" NR ".was" }' \
    "$TARGET/subjects" | registry_run "$registry_jobs/answers"
  (($(wc -l <"$registry_jobs/answers") == $(wc -l <"$TARGET/subjects"))) || fail 69 "not every list of what hangs on an image was answered for: try again"
  while read -r n status code; do
    case $status:$code in
      200:0) ;;
      404:0) rm -f "$work/$n.was" ;;
      *)
        registry_judge "$status" "$code" || true
        fail "$REGISTRY_CODE" "a list of what hangs on an image cannot be read: $REGISTRY_FAULT"
        ;;
    esac
  done <"$registry_jobs/answers"
  # The descriptor of each referrer says what its manifest says of itself.
  awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { number[$1, $2] = FNR; next } { print number[$1, $2], $3, $4, $5 }' "$TARGET/subjects" "$TARGET/lists" >"$TARGET/entries"
  lists_fetch
  lists_descriptors >"$TARGET/descriptors"
  lists_new "$work" | awk -F '\t' -v OFS='\t' -v folder="$work" '
    FILENAME == ARGV[1] { path[FNR] = $1; tag[FNR] = $2; sub(/:/, "-", tag[FNR]); next }
    { file = folder "/" $1 ".new"; printf "%s", $2 > file; close(file); print path[$1], tag[$1], "application/vnd.oci.image.index.v1+json", file }' \
    "$TARGET/subjects" - >"$TARGET/list-puts"
  registry_put <"$TARGET/list-puts"
}

# Prints for each list that lacks something its number and the new list: what was there, and what comes.
lists_new() { # folder
  local was=() count n
  count=$(wc -l <"$TARGET/subjects")
  for ((n = 1; n <= count; n++)); do
    if [[ -e $1/$n.was ]]; then was+=("$1/$n.was"); fi
  done
  # shellcheck disable=SC2016  # jq's
  sign_read '.manifests | if type == "array" and all(.[]; .digest | sha) then tojson else error("no list") end' "${was[@]}" >"$TARGET/list-was" || sign_broken
  jq -nr --rawfile was "$TARGET/list-was" --rawfile entries "$TARGET/descriptors" '
    ($was | split("\n") | map(select(. != "") | split("\t") | {key: (.[0] | capture("/(?<n>[0-9]+)\\.was\\z").n), value: (.[1] | if . == "!" then error("no list") else fromjson end)}) | from_entries) as $was
    | $entries | split("\n") | map(select(. != "") | fromjson) | group_by(.n)[] | (.[0].n | tostring) as $n | ($was[$n] // []) as $there
    | ([$there[].digest] | map({key: ., value: 1}) | from_entries) as $known | map(.descriptor | select($known[.digest] | not)) | select(. != [])
    | "\($n)\t\({manifests: ($there + .), mediaType: "application/vnd.oci.image.index.v1+json", schemaVersion: 2} | tojson)"' ||
    fail 69 "a tag that lists what hangs on an image holds no list: find out who wrote it, and remove it inside"
}

# Prints for each entry (number of its list, digest, media type, size) the descriptor of a referrer as JSON, with what its manifest says of itself.
lists_descriptors() {
  local digest files=()
  while IFS=$'\t' read -r _ digest _; do
    # The copy that was verified, or what was read inside.
    MEDIUM_FILE=$BUNDLE/manifests/${digest#sha256:}
    [[ -e $MEDIUM_FILE ]] || MEDIUM_FILE=$TARGET/left-bytes/${digest#sha256:}
    files+=("$MEDIUM_FILE")
  done <"$TARGET/entries"
  # shellcheck disable=SC2016  # jq's
  sign_read '{artifactType: (.artifactType // .config.mediaType // ""), annotations: (.annotations // {})} | tojson' "${files[@]}" >"$TARGET/said" || sign_broken
  awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { file = $1; sub(/.*\//, "", file); sub(/^[^\t]*\t/, ""); said["sha256:" file] = $0; next } { print $0, said[$2] }' "$TARGET/said" "$TARGET/entries" |
    jq -cRn 'inputs | split("\t") | {n: (.[0] | tonumber), descriptor: ({mediaType: .[2], digest: .[1], size: (.[3] | tonumber)}
      + (.[4:] | join("\t") | fromjson | with_entries(select(.value != "" and .value != {}))))}'
}

# Gets those manifests of referrers that no given medium has: they are inside already.
lists_fetch() {
  local path digest
  mkdir -p "$TARGET/left-bytes"
  while IFS=$'\t' read -r path _ digest _; do
    if [[ ! -e $BUNDLE/manifests/${digest#sha256:} && ! -e $TARGET/left-bytes/${digest#sha256:} ]]; then printf '%s\t%s\n' "$path" "$digest"; fi
  done <"$TARGET/lists" | sort -u >"$TARGET/list-inside"
  [[ -s $TARGET/list-inside ]] || return 0
  awk -F '\t' -v OFS='\t' -v accept="$registry_accepts" -v folder="$TARGET/left-bytes" '{ d = $2; sub(/^sha256:/, "", d); print NR, "GET", $1 "/manifests/" $2, accept, folder "/" d }' \
    "$TARGET/list-inside" | registry_run "$registry_jobs/answers"
  while IFS=$'\t' read -r path digest; do
    [[ -e $TARGET/left-bytes/${digest#sha256:} && $(trust_hash "$TARGET/left-bytes/${digest#sha256:}") == "${digest#sha256:}" ]] ||
      fail 69 "$path: $digest, which hangs on an image, cannot be read inside"
  done <"$TARGET/list-inside"
}
