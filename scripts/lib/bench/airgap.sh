# shellcheck shell=bash
# shellcheck disable=SC2154  # oci_types is oci.sh's
# scripts/bench airgap: what crossing the gap costs beside copying and hashing the same bytes, and beside the fastest rivals that only
# copy. Runs with two registries of its own, over TLS, on the stage of tests/airgap. Uses lines and clocks of release.sh and deploy.sh.

# Brings up both sides; the key of images has no password, as the time is not to be that of a password.
airgap_stage() { # folder
  export BATS_TEST_DIRNAME=$ROOT/tests/airgap BATS_TEST_TMPDIR=$1 COSIGN_PASSWORD=only-for-the-bench
  # shellcheck source=/dev/null
  source "$ROOT/tests/airgap/outside.bash"
  # shellcheck source=/dev/null
  source "$ROOT/tests/airgap/closed.bash"
  outside_house
  # shellcheck source=/dev/null
  source "$ROOT/scripts/lib/registry_write.sh"
  # shellcheck source=/dev/null
  source "$ROOT/scripts/lib/hash.sh"
  outside_start "$1" >"$1/log" 2>&1
  closed_start "$1" >"$1/log" 2>&1
  KEYS=$1
}

airgap_bundle() { "$ROOT/airgap/bundle" "$@"; }

# The registry inside, as on its first day, and this host as one that never imported.
airgap_empty() {
  local PLAIN=$HERE
  stop_plain "$WORK/closed"
  rm -rf "$WORK/closed/plain" "$WORK/inside"
  mkdir "$WORK/closed/plain"
  start_plain "$WORK/closed"
}

airgap_import() { # words…
  REFERENCE_REGISTRIES=$INSIDE_REGISTRIES AIRGAP_STATE=$WORK/inside airgap_bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" "$@"
}

airgap_export() { # out words…
  local out=$1
  shift
  rm -rf "$out" "$out.partial" "$WORK/exports"
  AIRGAP_STATE=$WORK/exports airgap_bundle export --lock "$WORK/images.lock" --key "$KEYS/bundle.key" --stream bench --without chart --without policies --out "$out" "$@"
}

# Pushes images of random layers outside, and lists them in images.txt: as many as wanted, each of so many megabytes.
airgap_images() { # images megabytes
  local n layout descriptor size hex
  : >"$WORK/images.txt"
  for ((n = 1; n <= $1; n++)); do
    layout=$WORK/layout
    rm -rf "$layout" && mkdir -p "$layout/blobs/sha256"
    head -c "${2}M" /dev/urandom >"$layout/layer"
    hex=$(sha256sum "$layout/layer" | cut -d ' ' -f 1) size=$(stat -c %s "$layout/layer")
    mv "$layout/layer" "$layout/blobs/sha256/$hex"
    jq -n --arg hex "$hex" '{architecture: "amd64", os: "linux", config: {}, rootfs: {type: "layers", diff_ids: ["sha256:" + $hex]}}' | oci_json >"$layout/config"
    descriptor=$(oci_blob "$layout" "$layout/config" "$oci_types.config.v1+json")
    jq -n --argjson config "$descriptor" --arg hex "$hex" --argjson size "$size" --arg types "$oci_types" '{schemaVersion: 2, mediaType: "\($types).manifest.v1+json", config: $config,
      layers: [{mediaType: "\($types).layer.v1.tar", digest: "sha256:\($hex)", size: $size}]}' | oci_json >"$layout/manifest"
    descriptor=$(oci_blob "$layout" "$layout/manifest" "$oci_types.manifest.v1+json")
    oci_finish "$layout" "$descriptor" 1
    oras cp --from-oci-layout "$layout@$(jq -r .digest <<<"$descriptor")" "$PLAIN/upstream/bench$n:1" >/dev/null 2>&1
    echo "$PLAIN/upstream/bench$n:1 as import/bench$n vouched ada@example.org until 2099-01-01 for the bench" >>"$WORK/images.txt"
  done
  airgap_bundle lock --images "$WORK/images.txt" >/dev/null 2>&1
}

# Copying the same bytes and hashing them.
airgap_copy() {
  rm -rf "$WORK/copy"
  cp -R "$WORK/out" "$WORK/copy"
  find "$WORK/copy" -type f -exec sha256sum {} + >/dev/null
}

# A gigabyte out and in, beside cp and sha256sum of the same bytes.
airgap_gigabyte() {
  local out in copy
  say "measuring: 1 GB out and in, beside cp + sha256sum"
  for _ in 1 2 3; do
    out=$(deploy_clock airgap_export "$WORK/out")
    airgap_empty
    in=$(deploy_clock airgap_import "$WORK/out")
    copy=$(deploy_clock airgap_copy)
    say "   out $out s, in $in s, cp + sha256sum $copy s"
    echo "$in" >>"$WORK/in"
    awk -v a="$out" -v b="$in" -v c="$copy" 'BEGIN { print (a + b) / c }'
  done >"$WORK/ratios"
  rm -rf "$WORK/copy"
  deploy_line "1 GB of random layers out and in, of cp + sha256sum of the same bytes" 2 × "$WORK/ratios"
}

# The same import beside tools that only copy, from the form they like best.
airgap_rivals() {
  local in skopeo oras
  say "measuring: the import beside skopeo sync and oras cp"
  rm -rf "$WORK/skopeo" "$WORK/oras" && mkdir -p "$WORK/skopeo" "$WORK/certs"
  cp "$REGISTRY_CA" "$WORK/certs/ca.crt"
  airgap_rivals_ready
  for _ in 1 2 3; do
    airgap_empty
    in=$(deploy_clock airgap_import "$WORK/out")
    airgap_empty
    skopeo=$(deploy_clock skopeo --insecure-policy sync --all --src dir --dest docker --dest-cert-dir "$WORK/certs" --dest-authfile "$DOCKER_CONFIG/config.json" "$WORK/skopeo" "$HERE/import")
    airgap_empty
    oras=$(deploy_clock airgap_oras_in)
    say "   import $in s, skopeo sync $skopeo s, oras cp -r $oras s"
    awk -v a="$in" -v b="$skopeo" -v c="$oras" 'BEGIN { print a / (b < c ? b : c) }'
  done >"$WORK/ratios"
  deploy_line "the same import, of the faster of skopeo sync and oras cp -r" 1 × "$WORK/ratios"
}

airgap_rivals_ready() {
  local n
  for ((n = 1; n <= $(wc -l <"$WORK/images.txt"); n++)); do
    skopeo --insecure-policy sync --all --src docker --dest dir --src-cert-dir "$WORK/certs" --src-authfile "$DOCKER_CONFIG/config.json" "$PLAIN/upstream/bench$n:1" "$WORK/skopeo" >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2 && die "skopeo failed"; }
    command oras cp -r --from-plain-http=false --to-oci-layout "$PLAIN/upstream/bench$n:1" "$WORK/oras:bench$n" >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2 && die "oras failed"; }
  done
}

airgap_oras_in() {
  local n
  for ((n = 1; n <= $(wc -l <"$WORK/images.txt"); n++)); do
    command oras cp -r --to-plain-http=false --from-oci-layout "$WORK/oras:bench$n" "$HERE/import/bench$n:1"
  done
}

# A second import of twenty images, small ones: that all bytes of media are read is measured above.
airgap_second() {
  say "measuring: a second import of 20 images"
  airgap_images 20 1
  airgap_export "$WORK/out" >/dev/null 2>&1
  airgap_empty
  airgap_import "$WORK/out" >/dev/null 2>&1
  for _ in 1 2 3 4 5; do deploy_clock airgap_import --json "$WORK/out"; done >"$WORK/times"
  [[ $(airgap_import --json "$WORK/out" 2>/dev/null | jq .blobs) == 0 ]] || die "a second import sent something"
  deploy_line "a second import of 20 images, which sends nothing" 1 s "$WORK/times"
}

# The largest program of an export and an import of a gigabyte, and of a dry run of sparse blobs.
airgap_memory() { # gigabytes
  say "measuring: memory"
  airgap_empty
  rm -rf "$WORK/out" "$WORK/exports"
  export AIRGAP_STATE=$WORK/exports
  command time -f %M -o "$WORK/peak-out" "$ROOT/airgap/bundle" export --lock "$WORK/images.lock" --key "$KEYS/bundle.key" --stream bench --without chart --without policies --out "$WORK/out" >"$WORK/log" 2>&1
  AIRGAP_STATE=$WORK/inside REFERENCE_REGISTRIES=$INSIDE_REGISTRIES command time -f %M -o "$WORK/peak-in" "$ROOT/airgap/bundle" import --to "$HERE" --key "$KEYS/import.key" \
    --receipt-key "$KEYS/receipt.key" "$WORK/out" >"$WORK/log" 2>&1
  airgap_peak "export of 1 GB" "$WORK/peak-out"
  airgap_peak "import of 1 GB" "$WORK/peak-in"
  airgap_many 1 sparse "$1"
  AIRGAP_STATE=$WORK/inside REFERENCE_REGISTRIES=$INSIDE_REGISTRIES command time -f %M -o "$WORK/peak-in" "$ROOT/airgap/bundle" import --dry-run --to "$HERE" "$WORK/many" >"$WORK/log" 2>&1 ||
    { cat "$WORK/log" >&2 && die "the dry run failed"; }
  airgap_peak "dry run of an import with a blob of $1 GB" "$WORK/peak-in"
}

airgap_peak() { # what file
  awk '{ print $1 / 1024 }' "$2" >"$WORK/peak"
  deploy_line "memory of the largest program, $1" 100 MiB "$WORK/peak"
}

# Makes a bundle of N tiny images by hand, with a sparse blob of so many gigabytes if wanted, and signs it.
airgap_many() { # images [sparse gigabytes]
  local hex size
  rm -rf "$WORK/many" && mkdir -p "$WORK/many"
  python3 "$ROOT/tests/airgap/many.py" "$WORK/many/medium-1" "$1"
  if [[ ${2:-} ]]; then
    truncate -s "${3}G" "$WORK/many/sparse"
    hex=$(hash_files "$WORK/many/sparse" | cut -d ' ' -f 1) size=$(stat -c %s "$WORK/many/sparse")
    mv "$WORK/many/sparse" "$WORK/many/medium-1/files/sparse"
    jq -cS --arg hex "$hex" --argjson size "$size" '.files = [{path: "files/sparse", size: $size, sha256: $hex, medium: 1}]' "$WORK/many/medium-1/manifest.json" >"$WORK/many/new"
    mv "$WORK/many/new" "$WORK/many/medium-1/manifest.json"
  fi
  document_sign "$WORK/many/medium-1/manifest.json" "$KEYS/bundle.key" "$WORK/many/medium-1/manifest.json.sig"
  (
    cd "$WORK/many/medium-1" || exit
    { echo "# bundle many 1 medium 1 of 1" && find . -type f ! -name 'SHA256SUMS*' -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' -n 100 openssl dgst -sha256 -r | hash_lines; } >SHA256SUMS
  )
  document_sign "$WORK/many/medium-1/SHA256SUMS" "$KEYS/bundle.key" "$WORK/many/medium-1/SHA256SUMS.sig"
}

# How the time for an image grows with their number: everything but the countersignatures, and all of it.
airgap_scale() { # numbers…
  local n dry whole first=''
  for n in "$@"; do
    say "measuring: $n images"
    airgap_many "$n"
    airgap_empty
    dry=$(deploy_clock airgap_import --dry-run "$WORK/many")
    whole=$(deploy_clock airgap_import "$WORK/many")
    awk -v n="$n" -v a="$dry" -v b="$whole" 'BEGIN { printf "   %d images: verified in %.1f ms each, imported in %.1f ms each\n", n, a / n * 1000, b / n * 1000 }' >&2
    whole=$(awk -v n="$n" -v b="$whole" 'BEGIN { print b / n }')
    first=${first:-$whole}
    awk -v a="$whole" -v b="$first" 'BEGIN { print a / b }' >"$WORK/ratio"
    deploy_line "time for each of $n images imported, of each of $1 ($(awk -v a="$whole" 'BEGIN { printf "%.0f ms", a * 1000 }'))" 1.1 × "$WORK/ratio"
  done
}

# Measures all of it.
bench_airgap() { # [--full]
  local full=${1:-}
  "$ROOT/scripts/setup" cosign registry oras referrers skopeo jq curl
  need python3 "install Python 3.9 or newer"
  type -P time >/dev/null || die "time is missing: apt-get install time"
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/mini-api-bench.XXXXXX")
  trap 'stop_registries "$WORK"; closed_stop "$WORK"; rm -rf "$WORK"' EXIT
  airgap_stage "$WORK"
  say "pushing 20 images of 50 MB outside"
  airgap_images 20 50
  printf '| what | goal | measured | least–most | verdict |\n|---|---|---|---|---|\n'
  airgap_gigabyte
  airgap_rivals
  airgap_memory "$([[ $full ]] && echo 100 || echo 10)"
  airgap_second
  # shellcheck disable=SC2046  # numbers
  airgap_scale 100 1000 $([[ ! $full ]] || echo 5000)
}
