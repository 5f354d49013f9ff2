# What may happen to an import: killed anywhere, its registry gone, disks full, credentials that ended. Whatever it is, the same command
# again ends with the same bytes, and no name is ever seen before what it names.

bats_require_minimum_version 1.5.0

setup_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_start
  local n image
  for n in 1 2 3; do
    head -c 2000000 /dev/urandom >noise
    image=$(push_image "$PLAIN/mini/f$n" "$(base64 -w 0 noise)")
    tagged "$image" 1
    image_sign "$image" "$KEYS/release.key" release
  done
  image=$(push_index "$PLAIN/mini/f4" "an index")
  tagged "$image" 1
  image_sign "$image" "$KEYS/release.key" release
  push_old "$image" sig
  printf "$PLAIN/mini/f%s:1 signed release\n" 1 2 3 4 >images.txt
  bundle lock --images images.txt
  AIRGAP_STATE=$BATS_FILE_TMPDIR/outside bundle export --lock images.lock --key "$KEYS/bundle.key" --stream faults --without chart --without policies --out "$BATS_FILE_TMPDIR/out"
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_stop
}

setup() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_test
  source "$ROOT/scripts/lib/registry_write.sh"
  OUT=$BATS_FILE_TMPDIR/out
  empty_registry
}

teardown() {
  umount "$BATS_TEST_TMPDIR/small" 2>/dev/null || true
}

# Prints the names that are seen inside, and where they point.
names() {
  local n
  for n in 1 2 3 4; do printf 'f%s %s\n' "$n" "$(oras resolve "$HERE/mini/f$n:1" 2>/dev/null || echo -)"; done
}

# Fails unless everything that stands behind the names which are seen is there, to the last byte; prints how many are seen.
seen_is_whole() {
  local n seen=0
  registry_open "$HERE" "$BATS_TEST_TMPDIR/jobs"
  : >wanted
  for n in 1 2 3 4; do
    [[ $(oras resolve "$HERE/mini/f$n:1" 2>/dev/null) ]] || continue
    seen=$((seen + 1))
    jq -r --arg path "mini/f$n" '.blobs as $b | .images[] | select(.path == $path) | (.manifests[] | [$path, "manifests", .digest, .size]), (.blobs[] | [$path, "blobs", ., $b[.].size]) | @tsv' \
      "$OUT/medium-1/manifest.json" >>wanted
  done
  registry_read wrong <wanted
  cat wrong >&2
  [[ ! -s wrong ]] && echo "$seen"
}

# Fails unless the import is as if nothing had happened.
is_whole() {
  local n
  [[ $(seen_is_whole) == 4 ]]
  for n in 1 2 3 4; do
    [[ $(oras resolve "$HERE/mini/f$n:1") == "$(oras resolve "$PLAIN/mini/f$n:1")" ]]
    inside "$ROOT/policy/admit" --purpose import "$HERE/mini/f$n@$(oras resolve "$HERE/mini/f$n:1")"
  done
  inside bundle receipt --to "$HERE" --stream faults --json | jq -e '.serial == 1'
}

@test "killed at any point, it ends with the same bytes when it is run again, and no name was seen before its content" {
  local begin spent pid n kills=3
  [[ ! ${FULL:-} ]] || kills=20
  begin=$EPOCHREALTIME
  import_bundle "$HERE" "$OUT" >/dev/null
  spent=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
  is_whole
  RANDOM=${SEED:-1}
  for ((n = 1; n <= kills; n++)); do
    rm -rf "$BATS_TEST_TMPDIR/inside"
    empty_registry
    REFERENCE_REGISTRIES=$INSIDE_REGISTRIES AIRGAP_STATE=$BATS_TEST_TMPDIR/inside setsid "$ROOT/airgap/bundle" import --to "$HERE" --key "$KEYS/import.key" \
      --receipt-key "$KEYS/receipt.key" "$OUT" >/dev/null 2>&1 3>&- &
    pid=$!
    # Any moment will do; that it is another each time is the point.
    sleep "$(awk -v spent="$spent" -v part="$RANDOM" -v n="$n" -v of="$kills" 'BEGIN { print spent * (n - 1 + part / 32768) / of }')"
    kill -KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" || true
    seen_is_whole
    import_bundle "$HERE" "$OUT"
    is_whole
  done
}

@test "a registry that is restarted in mid-import ends it with 69, and the next run goes on" {
  local pid code=0 PLAIN_OUT=$PLAIN
  REFERENCE_REGISTRIES=$INSIDE_REGISTRIES AIRGAP_STATE=$BATS_TEST_TMPDIR/inside "$ROOT/airgap/bundle" import --to "$HERE" --key "$KEYS/import.key" \
    --receipt-key "$KEYS/receipt.key" "$OUT" >log 2>&1 3>&- &
  pid=$!
  began() { compgen -G "$BATS_FILE_TMPDIR/closed/plain/docker/registry/v2/repositories/mini/*/_uploads" >/dev/null; }
  wait_until 60 began
  (PLAIN=$HERE && stop_plain "$BATS_FILE_TMPDIR/closed")
  wait "$pid" || code=$?
  [[ $code == 69 ]] || { cat log && false; }
  (PLAIN=$HERE && start_plain "$BATS_FILE_TMPDIR/closed")
  seen_is_whole
  import_bundle "$HERE" "$OUT"
  is_whole
}

@test "a registry whose disk is full is told as such; with room the next run goes on" {
  local closed=$BATS_FILE_TMPDIR/closed
  ((EUID == 0)) || { echo "this test mounts a small disk and needs root" && false; }
  (PLAIN=$HERE && stop_plain "$closed")
  mkdir small
  mount -t tmpfs -o size=3m tmpfs "$BATS_TEST_TMPDIR/small"
  rm -rf "$closed/plain" && ln -s "$BATS_TEST_TMPDIR/small" "$closed/plain"
  (PLAIN=$HERE && start_plain "$closed")
  refused 69 "room on its disk" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" "$OUT"
  seen_is_whole
  mount -o remount,size=60m "$BATS_TEST_TMPDIR/small"
  import_bundle "$HERE" "$OUT"
  is_whole
  (PLAIN=$HERE && stop_plain "$closed")
  rm "$closed/plain" && mkdir "$closed/plain"
  (PLAIN=$HERE && start_plain "$closed")
}

@test "no room on this host ends it before anything is written, or with a sentence" {
  ((EUID == 0)) || { echo "this test mounts a small disk and needs root" && false; }
  mkdir small
  mount -t tmpfs -o size=64k tmpfs "$BATS_TEST_TMPDIR/small"
  TMPDIR=$BATS_TEST_TMPDIR/small run --separate-stderr inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" "$OUT"
  [[ $status =~ ^(69|73)$ && $stderr == *"room"* ]] || { echo "$status: $stderr" && false; }
  seen_is_whole
  import_bundle "$HERE" "$OUT"
  is_whole
}

@test "credentials that ended are told as such, and nothing is written" {
  mkdir ended
  jq '.auths[].auth = ("publisher:wrong" | @base64)' "$DOCKER_CONFIG/config.json" >ended/config.json
  DOCKER_CONFIG=$BATS_TEST_TMPDIR/ended refused 77 "refuses these credentials" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" "$OUT"
  mkdir nobody
  echo '{}' >nobody/config.json
  DOCKER_CONFIG=$BATS_TEST_TMPDIR/nobody refused 77 "docker login" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" "$OUT"
  [[ ! -e $BATS_FILE_TMPDIR/closed/plain/docker ]]
}

@test "two imports of one stream on one host do not meet" {
  mkdir -p "inside/inside/${HERE//:/_}/faults"
  exec 9>"inside/inside/${HERE//:/_}/faults/lock"
  flock 9
  refused 75 "somebody else is importing" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" "$OUT"
}
