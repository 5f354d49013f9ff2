# What registries and people may do to an import without breaking anything, and what must not come of it.

bats_require_minimum_version 1.5.0

setup_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_start
  # A registry before HERE that does as it is told in `rules`.
  WAYWARD=localhost:$(free_port)
  export WAYWARD
  "$ROOT/scripts/trust" drop 2>/dev/null || true
  pem_key import-wayward
  "$ROOT/scripts/trust" add import-wayward.pub --id import-wayward --purpose import --repository "$WAYWARD/*"
  "$ROOT/scripts/trust" sign root.key
  echo "$WAYWARD" >>"$INSIDE_REGISTRIES"
  jq --arg registry "$WAYWARD" --arg here "$HERE" '.auths[$registry] = .auths[$here]' "$DOCKER_CONFIG/config.json" >both.json
  mv both.json "$DOCKER_CONFIG/config.json"
  : >rules
  setsid python3 "$BATS_TEST_DIRNAME/wayward.py" "${WAYWARD#*:}" "$HERE" "$REGISTRY_CA" closed/tls/cert.pem closed/tls/key.pem rules publisher:only-for-tests >>asked 2>&1 3>&- &
  echo $! >wayward.pid
  wait_until 20 port_answers "${WAYWARD#*:}"
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  process_end "$(<"$BATS_FILE_TMPDIR/wayward.pid")" 3
  sides_stop
}

setup() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_test
  RULES=$BATS_FILE_TMPDIR/rules ASKED=$BATS_FILE_TMPDIR/asked
  : >"$RULES" && : >"$ASKED"
}

# Pushes an image that somebody vouches for, under a name, and lists it.
vouched_image() { # name text [kilobytes]
  local image
  head -c "$((${3:-1} * 1024))" /dev/urandom >noise
  image=$(push_image "$PLAIN/up/$1" "$2 $(base64 -w 0 noise)")
  tagged "$image" "${4:-1}"
  grep -qs "^$PLAIN/up/$1:" images.txt || echo "$PLAIN/up/$1:${4:-1} as import/$1 vouched ada@example.org until 2099-01-01 reviewed" >>images.txt
  printf '%s\n' "$image"
}

wayward_import() { inside bundle import --to "$WAYWARD" --key "$KEYS/import-wayward.key" --receipt-key "$KEYS/receipt.key" "$@"; }

@test "an image whose tag looks like what holds parts of the stream keeps it, and nothing is deleted" {
  vouched_image "$NAME" one 1 "$NAME-1"
  export_stream out
  import_bundle "$HERE" out
  [[ $(points "$HERE/import/$NAME:$NAME-1") == "$(points "$PLAIN/up/$NAME:$NAME-1")" ]]
  oras manifest fetch "$HERE/import/$NAME@$(points "$PLAIN/up/$NAME:$NAME-1")" >/dev/null
}

@test "names that the stream gave stay its own: after an undo, on a new host, and before the receipt" {
  local home=$BATS_TEST_TMPDIR/inside/inside/${HERE//:/_}/$NAME
  vouched_image "$NAME" one
  export_stream first
  import_bundle "$HERE" first
  vouched_image "$NAME" two
  export_stream second
  import_bundle "$HERE" second
  inside bundle undo --to "$HERE" --stream "$NAME"
  import_bundle "$HERE" second
  # As if it had been killed before its receipt.
  rm "$home/receipt.json"
  vouched_image "$NAME" three
  export_stream third
  import_bundle "$HERE" third
  rm -rf "$BATS_TEST_TMPDIR/inside"
  inside bundle reconcile --to "$HERE" --stream "$NAME" --key "$KEYS/receipt.key" --key "$KEYS/receipt-other.key"
  vouched_image "$NAME" four
  export_stream fourth
  import_bundle "$HERE" fourth
  [[ $(points "$HERE/import/$NAME:1") == "$(points "$PLAIN/up/$NAME:1")" ]]
}

@test "an undo takes back all names of a serial, in however many runs they were moved" {
  local n was=()
  for n in 1 2; do vouched_image "$NAME-$n" old 300; done
  export_stream first
  import_bundle "$HERE" first
  for n in 1 2; do was+=("$(points "$HERE/import/$NAME-$n:1")") && vouched_image "$NAME-$n" new 300; done
  export_stream second --medium-size 450K
  for n in $(find second -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -rV); do import_bundle "$HERE" --partial "second/$n"; done
  for n in 1 2; do [[ $(points "$HERE/import/$NAME-$n:1") == "$(points "$PLAIN/up/$NAME-$n:1")" ]]; done
  inside bundle undo --to "$HERE" --stream "$NAME"
  [[ $(points "$HERE/import/$NAME-1:1") == "${was[0]}" && $(points "$HERE/import/$NAME-2:1") == "${was[1]}" ]]
}

@test "a list that makes no sense inside stops the import, and is not written over" {
  local image referrer
  image=$(push_image "$LISTING/up/$NAME" x)
  tagged "$image" 1
  referrer=$(push_referrer "$image" application/vnd.example.report "a report")
  push_referrer "$referrer" application/vnd.example.comment "a comment"
  echo "$LISTING/up/$NAME:1 as import/$NAME vouched ada@example.org until 2099-01-01 reviewed" >images.txt
  export_stream out
  echo '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":null}' >nonsense
  oras manifest push --media-type application/vnd.oci.image.index.v1+json "$HERE/import/$NAME:sha256-${referrer#*@sha256:}" nonsense >&2
  refused 69 "holds no list" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" out
  [[ ! $(points "$HERE/import/$NAME:1") && ! $(points "$HERE/airgap/$NAME:receipt") ]]
}

@test "what lay inside before and is damaged gets no receipt" {
  local digest data
  vouched_image "$NAME" one 300
  export_stream out
  # Somebody pushed the same image there by another way, and its disk forgot some of it.
  oras cp "$PLAIN/up/$NAME:1" "$HERE/import/$NAME:other" >&2
  digest=$(oras manifest fetch "$HERE/import/$NAME:other" | jq -r '.layers[0].digest')
  data=$BATS_FILE_TMPDIR/closed/plain/docker/registry/v2/blobs/sha256/${digest:7:2}/${digest#*:}/data
  truncate -s 10 "$data"
  refused 69 "which was there already" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" out
  [[ ! $(points "$HERE/import/$NAME:1") && ! $(points "$HERE/airgap/$NAME:receipt") ]]
}

@test "a registry that lets nothing be taken over from another repository, by whichever answer, gets the bytes" {
  local status
  for status in 403 405; do
    NAME=h$BATS_TEST_NUMBER-$status
    rm -f images.txt
    vouched_image "$NAME" one 30
    echo "$PLAIN/up/$NAME:1 as import/$NAME-again vouched ada@example.org until 2099-01-01 reviewed" >>images.txt
    export_stream "out-$status"
    printf 'POST\tmount=\t%s\n' "$status" >"$RULES"
    wayward_import "out-$status"
    grep -q "POST .*mount=.* $status" "$ASKED"
    [[ $(points "$HERE/import/$NAME-again:1") == "$(points "$PLAIN/up/$NAME:1")" ]]
  done
}

@test "a registry that hands out tokens for one repository each is imported into, and read for longer than a token lives" {
  vouched_image "$NAME" one 30
  echo "$PLAIN/up/$NAME:1 as import/tags/$NAME vouched ada@example.org until 2099-01-01 reviewed" >>images.txt
  export_stream out
  printf 'bearer\t600\n' >"$RULES"
  wayward_import 'out'
  [[ $(points "$HERE/import/tags/$NAME:1") == "$(points "$PLAIN/up/$NAME:1")" ]]
}

@test "a registry that sends us elsewhere has not done what it was asked" {
  vouched_image "$NAME" one 30
  export_stream out
  printf 'GET\t/import/.*/manifests/1$\t302\thttp://localhost/login\n' >"$RULES"
  refused 69 "cannot be known" wayward_import 'out'
  printf 'GET\t/referrers/\t302\thttp://localhost/login\n' >"$RULES"
  refused 69 "cannot be known" wayward_import 'out'
  [[ ! $(points "$HERE/import/$NAME:1") && ! $(points "$HERE/airgap/$NAME:receipt") ]]
}

@test "a base that cannot be read now is not one that is damaged" {
  vouched_image "$NAME" one 30
  export_stream first
  wayward_import first
  inside bundle receipt --to "$WAYWARD" --stream "$NAME" --out back
  vouched_image "$NAME-more" two 30
  export_stream second --since back/receipt.json
  printf 'GET\timport/.*/blobs/\t503\n' >"$RULES"
  refused 69 "cannot be read now" wayward_import second
}

@test "a name that somebody gives while the import writes is not taken from them" {
  local foreign
  vouched_image "$NAME" one 30
  export_stream out
  foreign=$(push_image "$HERE/import/$NAME" "somebody else's")
  printf 'POST\timport/.*/uploads\trun\tPATH=%s oras tag --plain-http=false %s 1 >/dev/null 2>&1\n' "$PATH" "$foreign" >"$RULES"
  refused 65 "which this stream did not bring" wayward_import 'out'
  [[ $(points "$HERE/import/$NAME:1") == "${foreign#*@}" ]]
}

@test "a medium may lie where its name means something to other programs" {
  vouched_image "$NAME" one 30
  export_stream 'usb [1] {a,b}'
  import_bundle "$HERE" 'usb [1] {a,b}'
}
