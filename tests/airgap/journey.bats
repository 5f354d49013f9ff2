# The journey as the pages tell it, command by command, with the real image; and what else crosses: streams, places, a line without a way
# back.

bats_require_minimum_version 1.5.0

setup_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_start
  # The real image, for two processors' worth of an index, with what is attested of it in both ways, and one that nobody signs.
  local digest image
  digest=$("$ROOT/scripts/build-image" --out "$BATS_FILE_TMPDIR/real" | tail -n 1)
  oras cp --from-oci-layout "$BATS_FILE_TMPDIR/real@$digest" "$PLAIN/mini/mini-api:1.0.0" >&2
  image=$PLAIN/mini/mini-api@$digest
  image_sign "$image" "$KEYS/release.key" release
  push_referrer "$image" application/spdx+json "its bill of materials" >&2
  push_old "$image" sig
  tagged "$(push_index "$PLAIN/upstream/postgres" "a database")" 18
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_stop
}

setup() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_test
  ln -s "$ROOT/airgap" airgap
  ln -s "$KEYS"/*.key "$KEYS/bundle.pub" .
  export BUNDLE_PUB=$KEYS/bundle.pub TMPDIR=$BATS_TEST_TMPDIR
  # Each test begins with registries that never saw the stream.
  empty_registry
}

# Prints the N-th block of commands of a page.
block() { # page n
  awk -v n="$2" '/^```bash$/ { count++; inside = (count == n); next } /^```/ { inside = 0; next } inside' "$ROOT/$1"
}

# The page's list, for the registry outside.
list() { # page
  awk '/^```$/ && !done { inside = !inside; if (!inside) done = 1; next } inside' "$ROOT/$1" | sed "s#registry\.intra/#$PLAIN/#" >images.txt
  [[ $(wc -l <images.txt) == 2 ]]
}

# Types the N-th block of a page on the side where it belongs.
outside() { AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bash -euo pipefail -c "$(block "$@")"; } # page n
within() { REGISTRY=$HERE inside bash -euo pipefail -c "$(block "$@")"; }                   # page n

@test "the journey of the first page can be typed line by line, and what is deployed runs by digest" {
  local page=airgap/README.md reference
  list "$page"
  outside "$page" 1
  within "$page" 2
  # Every digest is the one outside.
  [[ $(oras resolve "$HERE/mini/mini-api:1.0.0") == "$(oras resolve "$PLAIN/mini/mini-api:1.0.0")" ]]
  [[ $(oras resolve "$HERE/import/postgres:18") == "$(oras resolve "$PLAIN/upstream/postgres:18")" ]]
  reference=$(sed -n 's/^MINI_API_IMAGE=//p' deployed/images.env)
  [[ $reference == "$HERE/mini/mini-api@$(oras resolve "$PLAIN/mini/mini-api:1.0.0")" ]]
  # The third block is typed outside with the receipt that was carried back: everything is there already.
  outside "$page" 3
  jq -e 'all(.blobs[]; .medium == 0)' next/medium-1/manifest.json
  within "$page" 4
  [[ $(block "$page" 5) == '' ]]
  cosign_offline verify --key "$KEYS/import.pub" --registry-cacert "$REGISTRY_CA" -a purpose=import "$reference" >&2
  echo "$reference" >"$BATS_FILE_TMPDIR/reference"
  runs_under_docker "$reference"
}

# Pulls an image by digest with a real Docker Engine and runs it, locked down.
runs_under_docker() { # reference
  ((EUID == 0)) || { echo "a Docker Engine wants root" && false; }
  source "$ROOT/scripts/lib/engine.sh"
  engine_start "$BATS_TEST_TMPDIR/engine" 3>&-
  # The engine takes credentials from its own folder; the one with its plugins is the project's.
  mkdir -p engine-config && jq -s '.[0] * .[1]' "$TOOLS/docker/config/config.json" "$BATS_FILE_TMPDIR/docker-both/config.json" >engine-config/config.json
  local code=0
  DOCKER_CONFIG=$BATS_TEST_TMPDIR/engine-config docker pull "$1" &&
    DOCKER_CONFIG=$BATS_TEST_TMPDIR/engine-config docker run --rm --network none --read-only --user 65532:65532 --cap-drop ALL --security-opt no-new-privileges "$1" version >said || code=$?
  engine_stop "$BATS_TEST_TMPDIR/engine"
  ((code == 0))
  grep -F "$(project_value version)" said
}

@test "the page of the connected side is true, down to a check by hand with nothing but openssl and coreutils" {
  local page=docs/airgap/outside.md
  list "$page"
  for n in 1 2 3; do outside "$page" "$n"; done
  # One flipped bit is found by hand as well.
  local blob
  blob=$(find carried/medium-1/blobs -type f -size +1k | head -n 1)
  printf 'x' | dd of="$blob" bs=1 seek=9 conv=notrunc status=none
  run outside "$page" 3
  [[ $status != 0 && $output == *"FAILED"* ]]
}

@test "the page of the closed side is true" {
  local page=docs/airgap/inside.md n
  list airgap/README.md
  outside airgap/README.md 1
  for n in 1 2 3; do within "$page" "$n"; done
  # There is something to go back to once a second import came.
  AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle export --lock images.lock --key bundle.key --stream mini --out again
  mv carried first && mv again carried
  within "$page" 3
  for n in 4 5 6; do within "$page" "$n"; done
  within "$page" 7
  [[ $(block "$page" 8) == '' ]]
}

@test "the page of emergencies is true" {
  local page=docs/airgap/emergencies.md home
  list airgap/README.md
  bundle lock --images images.txt
  AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle export --lock images.lock --key bundle.key --stream mini --out carried --expires 1s
  expired() { [[ $(trust_now) > $(jq -r .expires carried/medium-1/manifest.json) ]]; }
  wait_until 10 expired
  within "$page" 2
  # Given out again, from another host that has only the registry.
  within "$page" 1
  INSIDE_STATE=$BATS_TEST_TMPDIR/elsewhere inside bundle receipt --to "$HERE" --stream mini --out back2
  cmp back/receipt.json back2/receipt.json
  # This host is restored to the day before the first import.
  rm -rf inside carried
  AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle export --lock images.lock --key bundle.key --stream mini --out carried
  within "$page" 3
  [[ $(block "$page" 4) == '' ]]
}

@test "a receipt of a key that was revoked is signed anew by its successor with the same bundle" {
  list airgap/README.md
  outside airgap/README.md 1
  import_bundle "$HERE" carried
  cp -R "$TRUST" "$TRUST_PIN" "$BATS_TEST_TMPDIR/"
  export TRUST=$BATS_TEST_TMPDIR/trust TRUST_PIN=$BATS_TEST_TMPDIR/pin
  "$ROOT/scripts/trust" revoke receipt --reason "it was lost"
  pem_key receipt-third
  "$ROOT/scripts/trust" add receipt-third.pub --id receipt-third --purpose receipt
  "$ROOT/scripts/trust" sign root.key
  refused 65 "bundle reconcile" inside bundle import --to "$HERE" --key import.key --receipt-key receipt-other.key carried
  inside bundle reconcile --to "$HERE" --stream mini --key receipt-other.key --key receipt-third.key
  inside bundle import --to "$HERE" --key import.key --receipt-key receipt-other.key carried
  inside bundle receipt --to "$HERE" --stream mini --json | jq -e '.signer == "receipt-other" and .serial == 1'
}

@test "over a line on which nothing comes back, exports build on what was sent, and a lost one is refused before anything is written" {
  local n
  echo "$PLAIN/mini/mini-api:1.0.0 signed release" >images.txt
  bundle lock --images images.txt
  AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle export --lock images.lock --key bundle.key --stream diode --out d1 --without chart --without policies
  for n in 2 3; do
    tagged "$(push_image "$PLAIN/upstream/diode$n" "image $n of the line")" 1
    echo "$PLAIN/upstream/diode$n:1 as import/diode$n vouched ada@example.org until 2099-01-01 reviewed" >>images.txt
    bundle lock --images images.txt
    AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle export --lock images.lock --key bundle.key --stream diode --out "d$n" --since "d$((n - 1))/medium-1/manifest.json" --without chart --without policies
  done
  import_bundle "$HERE" d1
  # The second was lost.
  refused 65 "on which the bundle builds" inside bundle import --to "$HERE" --key import.key --receipt-key receipt.key d3
  [[ ! $(oras resolve "$HERE/import/diode3:1" 2>/dev/null) ]]
  import_bundle "$HERE" d2
  import_bundle "$HERE" d3
  [[ $(oras resolve "$HERE/import/diode3:1") == "$(oras resolve "$PLAIN/upstream/diode3:1")" ]]
}

@test "two streams go to two places, each with its own serials, receipts and deltas" {
  local stream place
  echo "$PLAIN/mini/mini-api:1.0.0 signed release" >images.txt
  bundle lock --images images.txt
  for stream in north south; do
    AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle export --lock images.lock --key bundle.key --stream "$stream" --out "$stream" --without chart --without policies
    for place in "$HERE" "$NATIVE"; do
      import_bundle "$place" "$stream"
      inside bundle receipt --to "$place" --stream "$stream" --out "back-$stream-${place#*:}"
    done
  done
  # What all places acknowledged is not carried again; the receipt of another stream is refused.
  tagged "$(push_image "$PLAIN/upstream/more" "one more")" 1
  echo "$PLAIN/upstream/more:1 as import/more vouched ada@example.org until 2099-01-01 reviewed" >>images.txt
  bundle lock --images images.txt
  AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle export --lock images.lock --key bundle.key --stream north --out north2 --without chart --without policies \
    --since "back-north-${HERE#*:}/receipt.json" "back-north-${NATIVE#*:}/receipt.json"
  jq -e '.serial == 2 and ([.blobs[] | select(.medium == 0)] | length) > 3 and ([.images[] | select(.path == "import/more").digest] - [.blobs | to_entries[] | select(.value.medium > 0).key]) == []' north2/medium-1/manifest.json
  AIRGAP_STATE=$BATS_TEST_TMPDIR/outside run bundle export --lock images.lock --key bundle.key --stream south --out south2 --since "back-north-${HERE#*:}/receipt.json"
  [[ $status == 65 ]]
  for place in "$HERE" "$NATIVE"; do
    import_bundle "$place" north2
    inside bundle receipt --to "$place" --stream south --json | jq -e '.serial == 1'
  done
}
