# shellcheck shell=bash
# shellcheck disable=SC2016,SC2153,SC2154  # what begins with $ is jq's; what medium.sh, sign.sh and keyless.sh set
# What a bundle's manifests, archives and signatures say, against what its manifest.json says. The bytes were verified before; manifests
# are read from the copies that were. Needs medium.sh, sign.sh, keyless.sh.

# Fails unless the manifests that are here say what manifest.json says of them: types, sizes, children, blobs, subjects.
medium_content() {
  local archive what why manifests
  mapfile -t manifests < <(find "$BUNDLE/manifests" -type f | sort)
  say "reading ${#manifests[@]} manifests"
  # What a manifest says, as JSON: its type, subject, children, blobs, processors, and the bundle of a signature, if it is one.
  sign_read 'if type != "object" then error("no manifest") else . end
    | (.mediaType // (if has("manifests") then "application/vnd.oci.image.index.v1+json" else "application/vnd.oci.image.manifest.v1+json" end)) as $type
    | {type: $type, config: (.config.mediaType? // null), artifact: (.artifactType // null), layers: [.layers[]?.digest], subject: (.subject.digest? // null), children: [.manifests[]? | [.digest, .size, .mediaType // ""]],
       blobs: [(.config? // empty, .layers[]?, .blobs[]?) | [.digest, .size]],
       platforms: [.manifests[]?.platform | select(.os and .os != "unknown") | [.os, .architecture, .variant] | map(select(.)) | join("/")],
       signature: (if .artifactType == $bundle and (.layers | length) == 1 and .layers[0].mediaType == $bundle and .layers[0].size <= $largest
         then .layers[0].digest else null end)} | tojson' "${manifests[@]}" >"$BUNDLE/said" || fail 69 "the manifests cannot be read here: is there room in ${TMPDIR:-/tmp}?"
  medium_compared >"$BUNDLE/compared" || fail 69 "the manifests cannot be compared here: is there room in ${TMPDIR:-/tmp}?"
  while IFS= read -r why; do medium_fault 65 "$why"; done <"$BUNDLE/compared"
  medium_unpacked >"$BUNDLE/unpacked" || fail 69 "what is to be unpacked cannot be listed here: is there room in ${TMPDIR:-/tmp}?"
  medium_archives >"$BUNDLE/archives" || fail 69 "the archives cannot be listed here"
  while IFS=$'\t' read -r archive what; do
    why=$(medium_archive "$archive") || medium_fault 65 "$what: $why"
  done <"$BUNDLE/archives"
  medium_told "the bundle $MEDIUM_STREAM $MEDIUM_SERIAL is not what its manifest.json says"
}

# Prints what differs, a sentence a line. Of a manifest that is not here nothing can be said.
medium_compared() {
  jq -nr --rawfile said "$BUNDLE/said" --slurpfile bundle "$BUNDLE/manifest.json" '
    def told: tojson[:100] | gsub("[^ -~]"; "?");
    $bundle[0].blobs as $blobs
    | ($said | split("\n") | map(select(. != "") | split("\t") | {key: ("sha256:" + (.[0] | sub(".*/"; ""))), value: (.[1] | if . == "!" then null else fromjson end)})
      | from_entries) as $said
    | ($bundle[0].images[] | . as $image | ([.manifests[] | {key: .digest, value: .}] | from_entries) as $listed | ([.blobs[] | {key: ., value: true}] | from_entries) as $held
      | (.manifests[] | .digest as $digest | select($said | has($digest)) | . as $one | $said[$digest] as $says
        | if ($says | type) != "object" or ($says.type | type) != "string" then "\($digest) is no manifest"
          else (select($says.type != .mediaType) | "\($digest) is of type \($says.type | told), not \(.mediaType)"),
            ($says.children[] | . as [$child, $size, $type] | if ($child | type) != "string" or $listed[$child] == null then "the index \($digest) has \($child | told), which is not in its list"
              elif $blobs[$child].size != $size or ($type != "" and $type != $listed[$child].mediaType) then "the index \($digest) says another size or type of \($child)" else empty end),
            ($says.blobs[] | . as [$blob, $size] | if ($blob | type) != "string" or $held[$blob] == null then "\($digest) needs \($blob | told), which is not in its list"
              elif $blobs[$blob].size != $size then "\($digest) says another size of \($blob)" else empty end),
            (select(.kind == "referrer" and $says.subject != .of) | "\($digest) does not hang on \(.of), as the list says"),
            (select(.kind == "image" and (($image.kind == "chart" and $says.config != "application/vnd.cncf.helm.config.v1+json")
                or ($image.kind == "policies" and ($says.config != "application/vnd.oci.empty.v1+json" or $says.artifact != "application/vnd.mini-api.policies.v1"))))
              | "it is called \($image.kind | told) and is none"),
            (select(.kind == "image" and $says.platforms != $image.platforms) | "its processors are not those in the list"),
            (select(.kind == "child") | $said[.of] | select(type == "object") | select(any(.children[]; .[0] == $digest) | not) | "\($digest) is no child of \($one.of), as the list says") end),
        # Of all manifests something can be said: then every blob must be one that is named.
        (select(all(.manifests[]; $said[.digest] | type == "object")) | (.blobs - [.manifests[] | $said[.digest].blobs[][0]])[] | "no manifest has the blob \(.) of the list")
      | "image \($image.reference): \(.)"),
      # What hangs on a manifest of an image belongs into its list, wherever it was found.
      ([$bundle[0].images[] | {home: "\(.path) \(.reference | sub("@.*"; "") | sub(":[^/]*\\z"; ""))", reference, listed: (.manifests | map(.digest))}] | group_by(.home)[]
        | select(length > 1) | ([.[].listed[]] | unique | map({digest: ., subject: ($said[.] | objects | .subject | strings)}) | group_by(.subject)
          | map({key: .[0].subject, value: map(.digest)}) | from_entries) as $hanging
        | .[] | .reference as $reference | (.listed | map({key: ., value: true}) | from_entries) as $listed
        | .listed[] | $hanging[.][]? | select($listed[.] | not) | "image \($reference): \(.) hangs on it and is not in its list")'
}

# Prints the archives that people will unpack and that are here, each with what it is: a file of ours, or a path on a medium.
medium_archives() {
  local n path hex
  while IFS=$'\t' read -r n path; do
    [[ ! ${MEDIUM_DIRS[n]:-} ]] || printf '%s\t%s\n' "${MEDIUM_DIRS[n]}/$path" "medium $n: $path"
  done < <(awk -F '\t' '$4 ~ /^files\/tools\/.*\.(tar|tgz|tar\.[a-z0-9]+)$/ { print $1 "\t" $4 }' "$BUNDLE/entries")
  # Every layer of a chart and of policies is one.
  while IFS= read -r hex; do
    if medium_file "$hex"; then printf '%s\t%s\n' "$MEDIUM_FILE" "medium ${medium_place[$hex]}: blobs/sha256/$hex"; fi
  done <"$BUNDLE/unpacked"
}

# Prints the layers that people will unpack.
medium_unpacked() {
  jq -r --rawfile said "$BUNDLE/said" '[.images[] | select(.kind != "image").digest] as $wanted
    | $said | split("\n")[] | select(. != "") | split("\t") | select("sha256:" + (.[0] | sub(".*/"; "")) | IN($wanted[])) | .[1] | select(. != "!") | fromjson
    | .layers[] | strings | .[7:]' "$BUNDLE/manifest.json" | sort -u
}

# Prints what is wrong with an archive, and fails: nothing in it may lie outside, or lead there. It is listed, not unpacked.
medium_archive() { # file
  local why
  why=$(
    ulimit -t 600
    set -o pipefail
    # One file a line; names are quoted, so that none can pass for two.
    TAR_OPTIONS='' LC_ALL=C tar --list --verbose --absolute-names --force-local --numeric-owner --full-time --quoting-style=c --file "$1" 2>/dev/null | awk '
      function bad(what) { print what; found = 1; exit 1 }
      /^[lh]/ { bad("it has a link") }
      !/^[-d][-rwxsStT]+ +[0-9]+\/[0-9]+ +[0-9]+ [0-9-]+ [0-9:.]+ "/ { bad("it has something that is neither a file nor a folder") }
      { name = $0; sub(/^[^"]*"/, "", name); sub(/"$/, "", name) }
      name ~ /^\// { bad("it has an absolute path") }
      name ~ /(^|\/)\.\.(\/|$)/ { bad("it has a path with ..") }'
  ) && return
  printf '%s\n' "${why:-it is no archive}"
  return 1
}

# Fails unless every image is signed, by a key or a certificate, or vouched for as its rule says; writes to BUNDLE/judged a line for each, number, how, who, and what of
# it is signed, and to BUNDLE/uncarried what only the registry inside can tell.
medium_signed() {
  local number n own digest path repository rule who until code now count=0
  local -A place=() rest=() unrooted=()
  now=$(trust_now)
  : >"$BUNDLE/judged" && : >"$BUNDLE/uncarried"
  medium_signatures
  while IFS=$'\t' read -r number count; do place[$number]=$count; done <"$BUNDLE/signers"
  # What hangs on an image and is not here: inside already (0), or on a medium that was not given.
  while IFS=$'\t' read -r number n; do rest[$number]+=" $n "; done <"$BUNDLE/elsewhere"
  sign_gather_files "$BUNDLE/signatures" "${#place[@]}" <"$BUNDLE/gathered"
  medium_keyless
  while IFS=$'\t' read -r number own digest path repository rule who until; do
    case $rule in
      bundle) printf '%s\tbundle\t%s\n' "$number" "$MEDIUM_KEY" ;;
      vouched)
        printf '%s\tvouched\t%s\t%s\n' "$number" "$who" "$until"
        [[ $now < $until ]] || medium_fault 65 "image $repository in $path: the word of $who for it ended on ${until%T*}: have it reviewed and exported anew"
        ;;
      signed | keyless)
        # A root that is not right is told already, once.
        [[ $rule == signed || ! ${unrooted["${who% * *}"]:-} ]] || continue
        if ((own == 0)); then
          printf '%s %s\n' "$path" "$digest" >>"$BUNDLE/uncarried"
          printf '%s\tinside\t-\n' "$number"
          continue
        fi
        code=0
        if [[ $rule == signed ]]; then
          sign_verdict_of "$BUNDLE/signatures/${place[$number]}" "$repository" "$who" || code=$?
        else
          keyless_verdict "$BUNDLE/signatures/${place[$number]}" || code=$?
          read -r _ _ SIGN_KEY _ <<<"$who"
        fi
        if ((code == 0)); then
          printf '%s\t%s\t%s\n' "$number" "$rule" "$SIGN_KEY"
        elif [[ ${rest[$number]:-} == *" 0 "* ]]; then
          printf '%s %s\n' "$path" "$digest" >>"$BUNDLE/uncarried"
          printf '%s\tinside\t-\n' "$number"
        elif [[ ${rest[$number]:-} ]]; then
          printf '%s\tunknown\t-\n' "$number"
        else
          medium_fault "$code" "image $repository@$digest: $SIGN_WHY"
        fi
        ;;
    esac
  done <"$BUNDLE/images" >>"$BUNDLE/judged"
  medium_told "not every image of the bundle $MEDIUM_STREAM $MEDIUM_SERIAL may come in"
}

# Judges those that are signed by a certificate; notes roots that are not here, or are others, for medium_signed in `unrooted`.
medium_keyless() {
  local name sha code
  while read -r name sha; do
    code=0
    keyless_root "$name" "$sha" || code=$?
    if ((code != 0)); then
      unrooted["$name $sha"]=1
      medium_fault "$code" "$KEYLESS_WHY"
    fi
  done < <(awk -F '\t' '$6 == "keyless" { split($7, word, " "); print word[1], word[2] }' "$BUNDLE/images" | sort -u)
  awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { place[$1] = $2; next } $6 == "keyless" { print place[$1], $7 }' "$BUNDLE/signers" "$BUNDLE/images" >"$BUNDLE/certificates"
  keyless_judge "$BUNDLE/signatures" <"$BUNDLE/certificates"
}

# Copies the signatures that are here and verifies the copies. Writes, apart by tabs: signers (number of an image, its place in order),
# gathered (what sign_gather_files reads), elsewhere (number of an image, medium of something that hangs on it and is not here).
medium_signatures() {
  local kind number place digest hex
  mkdir -p "$BUNDLE/signatures" "$BUNDLE/statements" || fail 73 "$BUNDLE/signatures cannot be made"
  : >"$BUNDLE/signers" && : >"$BUNDLE/gathered" && : >"$BUNDLE/elsewhere" && : >"$BUNDLE/wanted"
  jq -r --rawfile said "$BUNDLE/said" --arg given " ${!MEDIUM_DIRS[*]} " '
    ($said | split("\n") | map(select(. != "") | split("\t") | select(.[1] != "!") | {key: ("sha256:" + (.[0] | sub(".*/"; ""))), value: (.[1] | fromjson | .signature | strings)}) | from_entries) as $signature
    | .blobs as $blobs | def here: tostring as $n | $given | contains(" \($n) ");
    [.images | to_entries[] | select(.value.rule.rule | IN("signed", "keyless"))] | to_entries[] | (.key + 1) as $place | .value.key as $number | .value.value as $image
    | ["S", $number, $place], ($image.manifests[] | select(.kind == "referrer" and .of == $image.digest)
      | if $blobs[.digest].medium | here | not then ["E", $number, $blobs[.digest].medium]
        elif $signature[.digest] == null then empty
        elif $blobs[$signature[.digest]].medium | here | not then ["E", $number, $blobs[$signature[.digest]].medium]
        else ["G", $number, $place, $image.digest, $signature[.digest][7:]] end)
    | map(tostring) | join("\t")' "$BUNDLE/manifest.json" >"$BUNDLE/signing" || fail 69 "the list of signatures cannot be made here: is there room in ${TMPDIR:-/tmp}?"
  while IFS=$'\t' read -r kind number place digest hex; do
    case $kind in
      S) printf '%s\t%s\n' "$number" "$place" >>"$BUNDLE/signers" ;;
      E) printf '%s\t%s\n' "$number" "$place" >>"$BUNDLE/elsewhere" ;;
      G)
        medium_file "$hex" || fail 69 "the signature $hex was here and is gone"
        printf '%s\0' "$MEDIUM_FILE" >>"$BUNDLE/wanted"
        printf '%s\tsha256:%s\tsha256:%s\t%s\n' "$place" "${digest#sha256:}" "$hex" "$BUNDLE/statements/$hex" >>"$BUNDLE/gathered"
        ;;
    esac
  done <"$BUNDLE/signing"
  xargs -0 -r -n 1000 cp -f -t "$BUNDLE/statements" -- <"$BUNDLE/wanted" 2>/dev/null || fail 74 "the signatures cannot be read any more: is the medium still there?"
  [[ -s $BUNDLE/wanted ]] || return 0
  (cd "$BUNDLE/statements" && find . -type f -printf '%f  %f\n' | sha256sum --check --status) || fail 65 "a signature changed while it was read: this medium is not to be used"
}
