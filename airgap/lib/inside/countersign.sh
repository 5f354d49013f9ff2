# shellcheck shell=bash
# shellcheck disable=SC2154  # TARGET is target.sh's
# Countersignatures by a key that openssl reads: the very bundles that cosign makes, for all images at once. A program that decrypts its key
# for each repository would take longer than the import. Needs push.sh, lists.sh, document.sh and sign.sh.

# Signs what `unsigned` lists (path, digest) and hangs it there.
countersign() { # registry key
  local work=$TARGET/countersign
  rm -rf "$work" && mkdir -p "$work" "$TARGET/left-bytes"
  (
    document_password "$2"
    document_public "$2" "$work/public"
    countersign_statements "$1" "$work"
    countersign_all "$2" "$work"
  ) || exit
  countersign_hang "$work"
}

# Writes what is signed of each image: N.payload, and N.signed with its type and length before it.
countersign_statements() { # registry folder
  jq -Rnr --arg registry "$1" --arg type "$SIGN_STATEMENT" '[inputs | split("\t")] | to_entries[] | "\(.key + 1)\t" + ({"_type": "https://in-toto.io/Statement/v1",
    predicate: {}, predicateType: $type, subject: [{digest: {sha256: (.value[1] | ltrimstr("sha256:"))}, annotations: {purpose: "import", repository: "\($registry)/\(.value[0])"}}]} | tojson)' \
    "$TARGET/unsigned" | LC_ALL=C awk -F '\t' -v folder="$2" '{ printf "%s", $2 > (folder "/" $1 ".payload"); close(folder "/" $1 ".payload")
    printf "DSSEv1 28 application/vnd.in-toto+json %d %s", length($2), $2 > (folder "/" $1 ".signed"); close(folder "/" $1 ".signed") }'
}

# Signs them, two at a time.
countersign_all() { # key folder
  local count n part pids=() pid
  count=$(wc -l <"$TARGET/unsigned")
  for part in 1 2; do
    for ((n = part; n <= count; n += 2)); do
      document_openssl "$1" dgst -sha256 -sign /dev/stdin -out "$2/$n.raw" "$2/$n.signed" 2>"$2/why.$part" || exit 1
    done &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do wait "$pid" || fail 77 "the key $1 does not sign: $(cat "$2"/why.*)"; done
}

# Makes bundles and the manifests that hang them on their images, and puts them into the registry.
countersign_hang() { # folder
  local hint n count digest
  count=$(wc -l <"$TARGET/unsigned")
  hint=$(document_der "$1/public" | openssl dgst -sha256 -binary | base64 -w 0)
  # One line for each: number, payload and signature in base64.
  (cd "$1" && for ((n = 1; n <= count; n++)); do printf '%s\t' "$n" && base64 -w 0 "$n.payload" && printf '\t' && base64 -w 0 "$n.raw" && echo; done) >"$1/encoded"
  jq -Rnr --arg hint "$hint" --arg bundle "$sign_bundle" 'inputs | split("\t") | "\(.[0])\t" + ({mediaType: $bundle, verificationMaterial: {publicKey: {hint: $hint}},
    dsseEnvelope: {payload: .[1], payloadType: "application/vnd.in-toto+json", signatures: [{sig: .[2]}]}} | tojson)' "$1/encoded" |
    awk -F '\t' -v folder="$1" '{ printf "%s", $2 > (folder "/" $1 ".bundle"); close(folder "/" $1 ".bundle") }'
  printf '{}' >"$1/empty"
  (cd "$1" && find . -name '*.bundle' -printf '%f\n' | sort -n | xargs sha256sum) | awk '{ n = $2; sub(/\.bundle/, "", n); print n "\tsha256:" $1 }' | sort -n >"$1/hashes"
  (cd "$1" && find . -name '*.bundle' -printf '%f\t%s\n') | awk -F '\t' '{ sub(/\.bundle/, "", $1); print $1 "\t" $2 }' | sort -n >"$1/sizes"
  # N, path, image, its media type and size, bundle, its size.
  awk -F '\t' -v OFS='\t' '
    FILENAME == ARGV[1] { if ($3 == "manifests") { type[$2, $4] = $7; size[$2, $4] = $5 } next }
    FILENAME == ARGV[2] { hash[$1] = $2; next }
    FILENAME == ARGV[3] { length_of[$1] = $2; next }
    { print FNR, $1, $2, type[$1, $2], size[$1, $2], hash[FNR], length_of[FNR] }' "$TARGET/places" "$1/hashes" "$1/sizes" "$TARGET/unsigned" >"$1/hangs"
  jq -Rnr --arg bundle "$sign_bundle" --arg statement "$SIGN_STATEMENT" --arg empty "$push_empty" --arg created "$(trust_now)" 'inputs | split("\t") | "\(.[0])\t" + ({schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json", artifactType: $bundle, config: {mediaType: "application/vnd.oci.empty.v1+json", digest: $empty, size: 2},
    layers: [{mediaType: $bundle, digest: .[5], size: (.[6] | tonumber)}], subject: {mediaType: .[3], digest: .[2], size: (.[4] | tonumber)},
    annotations: {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": $statement, "org.opencontainers.image.created": $created}} | tojson)' "$1/hangs" |
    awk -F '\t' -v folder="$1" '{ printf "%s", $2 > (folder "/" $1 ".manifest"); close(folder "/" $1 ".manifest") }'
  (cd "$1" && find . -name '*.manifest' -printf '%f\n' | sort -n | xargs sha256sum) | awk '{ n = $2; sub(/\.manifest/, "", n); print n "\tsha256:" $1 }' | sort -n >"$1/manifests"
  (cd "$1" && find . -name '*.manifest' -printf '%f\t%s\n') | awk -F '\t' '{ sub(/\.manifest/, "", $1); print $1 "\t" $2 }' | sort -n >"$1/manifest-sizes"
  # The configuration once in each repository, and each bundle.
  awk -F '\t' -v OFS='\t' -v folder="$1" -v empty="$push_empty" '!seen[$2]++ { print $2, empty, folder "/empty", "-" } { print $2, $6, folder "/" $1 ".bundle", "-" }' "$1/hangs" | registry_upload "$TARGET/sent.now"
  paste "$1/hangs" "$1/manifests" | awk -F '\t' -v OFS='\t' -v folder="$1" '{ print $2, $9, "application/vnd.oci.image.manifest.v1+json", folder "/" $1 ".manifest" }' | registry_put
  paste "$1/hangs" "$1/manifests" "$1/manifest-sizes" | awk -F '\t' -v OFS='\t' '{ print $2, $3, $9, "application/vnd.oci.image.manifest.v1+json", $11 }' >"$TARGET/hang"
  while IFS=$'\t' read -r n digest; do ln -f "$1/$n.manifest" "$TARGET/left-bytes/${digest#sha256:}"; done <"$1/manifests"
  lists_write
}
