# shellcheck shell=bash
# Bundles made by hand after airgap/format.md, without a registry or the exporter: what a stranger could write, and what tests tamper with.
# carried_start makes keys, a trust file and a store of content; carried OUT lays out media of it.

# Makes it all in a folder; once for a file of tests. Sets what carried_house wants.
carried_start() { # folder
  local name
  cd "$1" || return
  carried_house "$1"
  "$ROOT/scripts/trust" key root
  for name in release bundle receipt revoked later ended stranger; do carried_key "$name"; done
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add release.pub --id release --purpose release --repository "outside.test/mini/*"
  "$ROOT/scripts/trust" add bundle.pub --id bundle --purpose bundle
  "$ROOT/scripts/trust" add receipt.pub --id receipt --purpose receipt
  "$ROOT/scripts/trust" add revoked.pub --id revoked --purpose bundle
  "$ROOT/scripts/trust" revoke revoked --reason "it was lost"
  "$ROOT/scripts/trust" add later.pub --id later --purpose bundle --from 2098-01-01T00:00:00Z --until 2099-01-01T00:00:00Z
  "$ROOT/scripts/trust" add ended.pub --id ended --purpose bundle --from 2020-01-01T00:00:00Z --until 2021-01-01T00:00:00Z
  "$ROOT/scripts/trust" sign root.key
  mkdir -p store files/register files/tools
  carried_content
}

# What every test needs: where keys, trust and content lie.
carried_house() { # folder
  HOUSE=$1 STORE=$1/store
  export TRUST=$1/trust TRUST_PIN=$1/pin COSIGN_PASSWORD=only-for-tests
}

# Makes a key without a password.
carried_key() { # name
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null
  openssl pkey -in "$1.key" -pubout -out "$1.pub" 2>/dev/null
}

# Signs a file.
carried_sign() { openssl dgst -sha256 -sign "$HOUSE/$2.key" "$1" | base64 -w 0 | cat - <(echo) >"$1.sig"; } # file key

# Puts a file, or standard input, into the store and prints its digest.
carried_blob() { # [file]
  local hex new
  new=$(mktemp "$HOUSE/new.XXXXXX")
  cat -- "${1:--}" >"$new"
  hex=$(sha256sum "$new" | cut -d ' ' -f 1)
  mv "$new" "$STORE/$hex"
  echo "sha256:$hex"
}

carried_size() { stat -c %s "$STORE/${1#sha256:}"; } # digest

# Prints a descriptor of something in the store.
carried_descriptor() { # digest media-type
  jq -cn --arg digest "$1" --arg type "$2" --argjson size "$(carried_size "$1")" '{mediaType: $type, digest: $digest, size: $size}'
}

OCI=application/vnd.oci.image
BUNDLE_TYPE=application/vnd.dev.sigstore.bundle.v0.3+json

# Puts a manifest into the store and prints its digest: a configuration and layers that are in the store already, and more fields as JSON.
carried_manifest() { # config-digest config-type layers-json [more]
  jq -cjS -n --argjson config "$(carried_descriptor "$1" "$2")" --argjson layers "$3" --argjson more "${4:-{\}}" --arg type "$OCI.manifest.v1+json" \
    '{schemaVersion: 2, mediaType: $type, config: $config, layers: $layers} + $more' | carried_blob
}

# Puts a manifest of one layer with this text into the store.
carried_simple() { # text [more]
  local layer config
  layer=$(printf '%s' "$1" | carried_blob)
  config=$(jq -cjn --arg text "$1" '{architecture: "amd64", os: "linux", comment: $text}' | carried_blob)
  carried_manifest "$config" "$OCI.config.v1+json" "[$(carried_descriptor "$layer" "$OCI.layer.v1.tar+gzip")]" "${2:-}"
}

# Puts an index over manifests into the store.
carried_index() { # digest…
  local child n=0 list=() processors=(amd64 arm64)
  for child in "$@"; do
    list+=("$(carried_descriptor "$child" "$OCI.manifest.v1+json" | jq -c --arg processor "${processors[n]}" '. + {platform: {os: "linux", architecture: $processor}}')")
    n=$((n + 1))
  done
  printf '%s\n' "${list[@]}" | jq -cjS -s --arg type "$OCI.index.v1+json" '{schemaVersion: 2, mediaType: $type, manifests: .}' | carried_blob
}

# Puts something that hangs on a manifest into the store.
carried_referrer() { # subject-digest subject-type artifact-type layer-digest layer-type
  local config
  config=$(printf '{}' | carried_blob)
  carried_manifest "$config" application/vnd.oci.empty.v1+json "[$(carried_descriptor "$4" "$5")]" \
    "$(jq -cn --argjson subject "$(carried_descriptor "$1" "$2")" --arg type "$3" '{subject: $subject, artifactType: $type}')"
}

# Puts a statement about an image into the store, as cosign 3 signs it, and what hangs it there.
carried_statement() { # image-digest image-type key predicate-type purpose repository
  local payload signature print
  payload=$(jq -cjn --arg hex "${1#sha256:}" --arg type "$4" --arg purpose "$5" --arg repository "$6" \
    '{_type: "https://in-toto.io/Statement/v1", subject: [{digest: {sha256: $hex}, annotations: {purpose: $purpose, repository: $repository}}], predicateType: $type, predicate: {}}')
  signature=$(printf 'DSSEv1 28 application/vnd.in-toto+json %d %s' "${#payload}" "$payload" | openssl dgst -sha256 -sign "$HOUSE/$3.key" | base64 -w 0)
  print=$(openssl pkey -pubin -in "$HOUSE/$3.pub" -outform DER | openssl dgst -sha256 -binary | base64 -w 0)
  signature=$(jq -cjn --arg payload "$(printf '%s' "$payload" | base64 -w 0)" --arg signature "$signature" --arg hint "$print" --arg type "$BUNDLE_TYPE" '{mediaType: $type,
    verificationMaterial: {publicKey: {hint: $hint}}, dsseEnvelope: {payload: $payload, payloadType: "application/vnd.in-toto+json", signatures: [{sig: $signature}]}}' | carried_blob)
  carried_referrer "$1" "$2" "$BUNDLE_TYPE" "$signature" "$BUNDLE_TYPE"
}

SIGNED=https://sigstore.dev/cosign/sign/v1

# Prints an entry of an image's list.
carried_entry() { # digest kind [of] [tag]
  jq -c --arg digest "$1" --arg kind "$2" --arg of "${3:-}" --arg tag "${4:-}" --argjson size "$(carried_size "$1")" '{digest: $digest, size: $size, mediaType, kind: $kind}
    + (if $of == "" then {} else {of: $of} end) + (if $tag == "" then {} else {tag: $tag} end)' "$STORE/${1#sha256:}"
}

# Prints an image as manifest.json has it. Its blobs are those that its manifests name.
carried_image() { # reference path tag kind rule-json entry…
  local reference=$1 path=$2 tag=$3 kind=$4 rule=$5 files=()
  shift 5
  mapfile -t files < <(printf '%s\n' "$@" | jq -r --arg store "$STORE/" '$store + .digest[7:]')
  printf '%s\n' "$@" | jq -cs --arg reference "$reference" --arg path "$path" --arg tag "$tag" --arg kind "$kind" --argjson rule "$rule" \
    --argjson blobs "$(jq -cs '[.[] | (.config // empty, .layers[]?).digest] | unique' "${files[@]}")" --slurpfile own "${files[0]}" '
    {reference: $reference, path: $path, digest: .[0].digest, mediaType: .[0].mediaType, kind: $kind,
     platforms: [$own[0].manifests[]?.platform | "\(.os)/\(.architecture)"], rule: $rule, manifests: ., blobs: $blobs} + (if $tag == "" then {} else {tag: $tag} end)'
}

# Prints the chart as an image, of the archive given.
carried_chart() { # archive
  local layer config manifest
  layer=$(carried_blob "$1")
  config=$(printf '{"name":"mini-api"}' | carried_blob)
  manifest=$(carried_manifest "$config" application/vnd.cncf.helm.config.v1+json "[$(carried_descriptor "$layer" application/vnd.cncf.helm.chart.content.v1.tar+gzip)]")
  carried_image chart/mini-api mini/charts/mini-api 1.0.0 chart '{"rule": "bundle"}' "$(carried_entry "$manifest" image)"
}

# Makes content of every kind, and the manifest.json of a sound bundle: an index with a signature, something attested of a child, a report
# with a comment on it, and a tag of old; an image that is vouched for; a chart; files.
carried_content() {
  local amd arm index signature attested report comment old db
  amd=$(carried_simple "the image for amd64") arm=$(carried_simple "the image for arm64")
  index=$(carried_index "$amd" "$arm")
  signature=$(carried_statement "$index" "$OCI.index.v1+json" release "$SIGNED" release outside.test/mini/app)
  attested=$(carried_statement "$amd" "$OCI.manifest.v1+json" release https://spdx.dev/Document release outside.test/mini/app)
  report=$(carried_referrer "$index" "$OCI.index.v1+json" application/vnd.example.report "$(echo "a report" | carried_blob)" text/plain)
  comment=$(carried_referrer "$report" "$OCI.manifest.v1+json" application/vnd.example.comment "$(echo "a comment" | carried_blob)" text/plain)
  old=$(carried_simple "a signature of old")
  db=$(carried_simple "a database")
  carried_image outside.test/mini/app:1.0.0 mini/app 1.0.0 image '{"rule": "signed", "purpose": "release"}' "$(carried_entry "$index" image)" \
    "$(carried_entry "$amd" child "$index")" "$(carried_entry "$arm" child "$index")" "$(carried_entry "$signature" referrer "$index")" \
    "$(carried_entry "$attested" referrer "$amd")" "$(carried_entry "$report" referrer "$index")" "$(carried_entry "$comment" referrer "$report")" \
    "$(carried_entry "$old" tagged "$index" "sha256-${index#sha256:}.sig")" >images
  carried_image outside.test/upstream/db:18 import/db 18 image '{"rule": "vouched", "who": "ada@example.org", "until": "2099-01-01T00:00:00Z", "why": "reviewed by hand"}' \
    "$(carried_entry "$db" image)" >>images
  mkdir -p chart/mini-api && echo "name: mini-api" >chart/mini-api/Chart.yaml
  tar -czf chart.tgz -C chart mini-api
  carried_chart chart.tgz >>images
  # What only tests that leave something out or put something in use.
  carried_statement "$index" "$OCI.index.v1+json" stranger "$SIGNED" release outside.test/mini/app >by-stranger
  carried_statement "$index" "$OCI.index.v1+json" release https://spdx.dev/Document release outside.test/mini/app >only-attested
  carried_statement "$index" "$OCI.index.v1+json" release "$SIGNED" release outside.test/mini/other >elsewhere
  printf '{"n": 1}\n' >files/register/releases.jsonl
  printf '{"head": ""}\n' >files/register/head.json
  echo tool >tool && tar -czf files/tools/tools.tar.gz tool
  cp -R trust files/trust
  carried_whole >manifest.json
}

# Prints the manifest of a bundle of the images in a file, and of the files of the house or of CARRIED_FILES; blobs go on two media in turn.
carried_whole() { # [file-with-images]
  (cd "${CARRIED_FILES:-$HOUSE}" && find files -type f -printf '%p %s\n' | LC_ALL=C sort | while read -r file size; do
    printf '%s %s %s\n' "$file" "$size" "$(sha256sum "$file" | cut -d ' ' -f 1)"
  done) >"$HOUSE/listed"
  (cd "$STORE" && find . -type f -printf '%f %s\n' | LC_ALL=C sort) >"$HOUSE/stored"
  jq -S -s --rawfile files "$HOUSE/listed" --rawfile stored "$HOUSE/stored" '
    def rows: split("\n") | map(select(. != "") | split(" "));
    . as $images | ($stored | rows | map({key: ("sha256:" + .[0]), value: (.[1] | tonumber)}) | from_entries) as $sizes
    | ([$images[] | .manifests[].digest, .blobs[]] | unique) as $held
    | {type: "bundle/v1", purpose: "bundle", audience: "mini", signer: "bundle", stream: "main", serial: 1, previous: "", created: "2026-01-01T00:00:00Z",
       expires: "2098-01-01T00:00:00Z", media: 2, base: null, images: $images,
       blobs: ([$held | to_entries[] | {key: .value, value: {size: $sizes[.value], medium: (.key % 2 + 1)}}] | from_entries),
       files: [$files | rows[] | {path: .[0], size: (.[1] | tonumber), sha256: .[2], medium: (if .[0] | startswith("files/trust/") then 1 else 2 end)}]}' "${1:-$HOUSE/images}"
}

# Prints a manifest that jq altered.
carried_edited() { jq -S "$@" "$HOUSE/manifest.json"; } # jq-words…

# Lays out the media of a bundle in OUT/medium-N, signed.
carried() { # out [manifest] [key]
  local out=$1 manifest=${2:-$HOUSE/manifest.json} key=${3:-bundle} n count path medium
  count=$(jq .media "$manifest")
  for ((n = 1; n <= count; n++)); do
    mkdir -p "$out/medium-$n/blobs/sha256" "$out/medium-$n/files"
    cp "$manifest" "$out/medium-$n/manifest.json"
    if ((n == 1)); then carried_sign "$out/medium-1/manifest.json" "$key"; else cp "$out/medium-1/manifest.json.sig" "$out/medium-$n/"; fi
  done
  while read -r medium path; do cp "$STORE/$path" "$out/medium-$medium/blobs/sha256/$path"; done < <(jq -r '.blobs | to_entries[] | select(.value.medium > 0) | "\(.value.medium) \(.key[7:])"' "$manifest")
  while read -r medium path; do
    mkdir -p "$(dirname "$out/medium-$medium/$path")"
    cp "${CARRIED_FILES:-$HOUSE}/$path" "$out/medium-$medium/$path"
  done < <(jq -r '.files[] | "\(.medium) \(.path)"' "$manifest")
  for ((n = 1; n <= count; n++)); do carried_sums "$out/medium-$n" "$key"; done
}

# Writes the list of a medium anew and signs it.
carried_sums() { # medium key
  (
    cd "$1" || exit
    jq -r --arg n "${1##*medium-}" '"# bundle \(.stream) \(.serial) medium \($n) of \(.media)"' manifest.json >sums
    find manifest.json manifest.json.sig blobs files -type f | LC_ALL=C sort | xargs sha256sum >>sums
    mv sums SHA256SUMS
  )
  carried_sign "$1/SHA256SUMS" "$2"
}

# Flips a bit in the midst of a file.
carried_flip() { # file
  local at byte
  at=$(($(stat -c %s "$1") / 2))
  byte=$(od -An -tu1 -j "$at" -N 1 "$1")
  # shellcheck disable=SC2059
  printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$at" conv=notrunc status=none
}
