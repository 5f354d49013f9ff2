# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # what medium.sh reads and sets
# Says whether what was carried is whole and to be believed, by keys that were here before it; writes nothing but below TEMPORARY. Of several
# kinds of faults the exit code tells what was altered or refused (65) before what cannot be read (74), before what is missing (66).
# Needs medium.sh, medium_bytes.sh, medium_content.sh.

# How sizes are told.
verify_human='def human: if . >= 1e9 then "\(. / 1e8 | floor / 10) GB" elif . >= 1e6 then "\(. / 1e5 | floor / 10) MB" else "\(. / 100 | floor / 10) kB" end; '

# Proves media of one bundle. Whatever is refused is told with its medium and file, all faults of a step together.
bundle_verify() { # dir…
  bundle_open "$@"
  bundle_prove
}

# First which bundle it is, and who signed it;
bundle_open() { # dir…
  medium_open "$@"
  medium_trust
  say "bundle $MEDIUM_STREAM $MEDIUM_SERIAL, signed by key $MEDIUM_KEY"
}

# then all that is on the media.
bundle_prove() {
  medium_expiry
  # What is missing is told at once, but does not hide what is wrong with the rest.
  if [[ ! ${BUNDLE_PARTIAL:-} ]]; then verify_missing; fi
  medium_hashes
  medium_complete
  medium_content
  medium_signed
}

# Notes the media that were not given.
verify_missing() {
  local n
  while read -r n; do
    medium_fault 66 "medium $n of $MEDIUM_COUNT is missing: give it as well, or --partial for a part of them"
  done < <(medium_missing)
}

# Verifies media.
verb_verify() {
  local json='' dirs=()
  while (($#)); do
    case $1 in
      --partial) BUNDLE_PARTIAL=1 ;;
      --json) json=1 ;;
      -*) misuse "verify does not know '$1'" ;;
      *) dirs+=("$1") ;;
    esac
    shift
  done
  bundle_verify "${dirs[@]}"
  verify_told >"$BUNDLE/verified" || fail 69 "what was verified cannot be told here: is there room in ${TMPDIR:-/tmp}?"
  if [[ $json ]]; then cat "$BUNDLE/verified"; else verify_table "$BUNDLE/verified"; fi
}

# Prints what was verified, as JSON.
verify_told() {
  jq -n --slurpfile bundle "$BUNDLE/manifest.json" --rawfile judged "$BUNDLE/judged" --arg manifest "sha256:$(trust_hash "$BUNDLE/manifest.json")" \
    --arg given "${!MEDIUM_DIRS[*]}" '$bundle[0] as $bundle | ($given | split(" ") | map(tonumber)) as $given
    | ($judged | split("\n") | map(select(. != "") | split("\t") | {key: .[0], value: ({how: .[1], who: .[2]} + if .[3] then {until: .[3]} else {} end)}) | from_entries) as $judged
    | ([range(1; $bundle.media + 1)] - $given) as $missing
    | {stream: $bundle.stream, serial: $bundle.serial, manifest: $manifest, signer: $bundle.signer, created: $bundle.created, expires: $bundle.expires,
       media: $bundle.media, given: $given, missing: $missing, whole: ($missing == []),
       bytes: ([$bundle.blobs[], $bundle.files[] | select(.medium | IN($given[])) | .size] | add // 0), files: ($bundle.files | length),
       images: [$bundle.images | to_entries[] | .key as $n | .value | {reference, path, digest, kind} + (if has("tag") then {tag} else {} end)
         + {size: ([.manifests[].digest, .blobs[]] | unique | map($bundle.blobs[.].size) | add), believed: $judged["\($n)"]}]}'
}

# Prints the same for people.
verify_table() { # file
  {
    printf 'IMAGE\tINSIDE\tSIZE\tBELIEVED\n'
    jq -r "$verify_human"'.images[] | [.reference, .path + (if .tag then ":" + .tag else "" end), (.size | human),
      (.believed | if .how == "signed" then "signed by key \(.who)" elif .how == "keyless" then "signed by \(.who), with a certificate" elif .how == "vouched" then "vouched by \(.who) until \(.until[:10])"
        elif .how == "bundle" then "made with the bundle, key \(.who)" elif .how == "inside" then "by what is inside already: import looks"
        else "not known: its signature is on another medium" end)] | @tsv' "$1"
  } | column -t -s $'\t'
  jq -r "$verify_human"'"bundle \(.stream) \(.serial) is \(if .whole then "whole" else "whole as far as it was given (medium \(.missing | map(tostring) | join(", ")) of \(.media) is missing)" end)"
    + ": \(.images | length) images, \(.files) files, \(.bytes | human) on \(.given | length) media, signed by key \(.signer), good until \(.expires)"' "$1"
}
