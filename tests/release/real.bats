# The image itself, released: everything is compiled twice, which takes minutes. With --full for both platforms; both are in every
# release of the service in miniature (release.bats).

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT COSIGN_PASSWORD=only-for-tests
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load_house
  start_registries "$BATS_FILE_TMPDIR"
  make_trust "$BATS_FILE_TMPDIR"
  # A clean tree is released as it is, and what was compiled of it already is used; any other as a copy that is committed.
  export PLACE=$ROOT
  if [[ $(git -C "$ROOT" status --porcelain) ]]; then
    PLACE=$BATS_FILE_TMPDIR/place
    make_place "$PLACE" whole
  fi
  [[ ${FULL:-} ]] || export RELEASE_PLATFORMS=linux/amd64
  export RELEASES=$BATS_FILE_TMPDIR/releases REGISTER=$BATS_FILE_TMPDIR/register
  export RELEASE_REPOSITORY=$LISTING/mini/mini-api RELEASE_KEY=$BATS_FILE_TMPDIR/ours.key
}

teardown_file() {
  load_house
  stop_registries "$BATS_FILE_TMPDIR"
}

load_house() {
  source "$BATS_TEST_DIRNAME/registries.bash"
  source "$BATS_TEST_DIRNAME/place.bash"
  local part
  for part in project log network process document trust reference registry sign; do source "$ROOT/scripts/lib/$part.sh"; done
}

setup() {
  load_house
  cd "$BATS_TEST_TMPDIR"
}

@test "C that asks for the day is compiled alike on every day, whatever a compiler remembers of the last" {
  local compiler
  source "$ROOT/scripts/lib/static.sh"
  musl() { musl-gcc "$@"; }
  zig() { "$ROOT/.tools/venv/bin/python3" -m ziglang cc -target aarch64-linux-musl "$@"; }
  echo 'const char *when(void) { return __DATE__ __TIME__ __TIMESTAMP__; }' >when.c
  compile() { SOURCE_DATE_EPOCH=$1 "${@:2}"; }
  for compiler in musl zig; do
    compile 0 "$compiler" "${static_without_clock[@]}" -c when.c -o first.o
    touch --date 2001-01-01 when.c
    compile 1000000000 "$compiler" "${static_without_clock[@]}" -c when.c -o second.o
    cmp first.o second.o
    ! strings first.o second.o | grep -E '1970|2001|[0-9]{2}:[0-9]{2}:[0-9]{2}' || false
  done
  # And the build does say so to both.
  for compiler in x86_64 aarch64; do
    (
      static_environment "$ROOT" "$PWD/target" "$compiler-unknown-linux-musl"
      export -p | grep -F "CFLAGS_${compiler}_unknown_linux_musl" | grep -F -- '-D__DATE__='
    )
  done
}

@test "the image is built twice, is the same twice, and is released" {
  local image platform blobs=$PWD/pulled/blobs/sha256 layer
  image=$("$PLACE/scripts/release" 1.0.0-rc.1 --begin)
  [[ $image == "$LISTING/mini/mini-api-rc:1.0.0-rc.1@sha256:"* ]]
  "$ROOT/policy/admit" "$image"
  cosign_offline verify --key "$BATS_FILE_TMPDIR/ours.pub" --registry-cacert "$REGISTRY_CA" "$image" >/dev/null
  # What is pulled by digest is the program, and says which commit it is of.
  oras cp --to-oci-layout "$image" pulled
  platform=$(jq -r '.manifests[] | select(.platform.architecture == "amd64").digest' "$blobs/${image#*@sha256:}")
  layer=$(jq -r '.layers[0].digest' "$blobs/${platform#sha256:}")
  tar --extract --gzip --file "$blobs/${layer#sha256:}"
  [[ $(./mini-api version) == "mini-api 1.0.0 ($(git -C "$PLACE" rev-parse HEAD))" ]]
  # Every crate that the binary says it is made of is in the bill, with its checksum.
  python3 "$ROOT/scripts/lib/release/recorded.py" mini-api | jq -r '.packages[] | select(.source == "crates.io") | "\(.name) \(.version)"' | sort >inside
  cosign_offline verify-attestation --key "$BATS_FILE_TMPDIR/ours.pub" --registry-cacert "$REGISTRY_CA" --type spdxjson "$LISTING/mini/mini-api-rc@$platform" |
    jq -r '.dsseEnvelope.payload // .payload' | base64 -d | jq .predicate >spdx.json
  jq -r '.packages[] | select(.checksums) | "\(.name) \(.versionInfo)"' spdx.json | sort >listed
  (($(wc -l <inside) > 150))
  [[ ! $(comm -23 inside listed) ]]
  jq -e '[.packages[] | select(.licenseDeclared == "NOASSERTION")] == []' spdx.json
  python3 "$BATS_TEST_DIRNAME/bills.py" "$RELEASES/1.0.0-rc.1/documents/spdx.json" "$RELEASES/1.0.0-rc.1/documents/cyclonedx.json"
  [[ $("$PLACE/scripts/release" trace "$platform" | jq -r '.version, .commit') == "1.0.0-rc.1"$'\n'"$(git -C "$PLACE" rev-parse HEAD)" ]]
}

@test "the release is the candidate, to the bit, and nothing is compiled for it" {
  local candidate
  candidate=$(oras resolve "$LISTING/mini/mini-api-rc:1.0.0-rc.1")
  [[ $("$PLACE/scripts/release" 1.0.0) == "$LISTING/mini/mini-api:1.0.0@$candidate" ]]
  "$ROOT/policy/admit" "$LISTING/mini/mini-api:1.0.0@$candidate"
}
