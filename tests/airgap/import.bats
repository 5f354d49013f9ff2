# airgap/bundle import, receipt, undo and reconcile: what was carried goes into real registries, of both kinds.

bats_require_minimum_version 1.5.0

setup_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_start
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_stop
}

setup() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_test
}

# Prints the digests of all that hangs on an image, and of what hangs on that.
hanging() { oras discover --format json --depth 5 "$1" | jq -r '[.. | objects | .referrers? // empty | .[].digest] | unique[]'; } # reference

# Runs a command of ours with the closed side's registries, in this shell.
inside_admit() { inside "$ROOT/policy/admit" --purpose import "$@"; }

@test "what was carried is inside with the same digests and all that hangs on it, countersigned, on both kinds of registries" {
  local image child second registry signatures
  image=$(push_index "$LISTING/mini/$NAME" "an index")
  tagged "$image" 1.0.0
  image_sign "$image" "$KEYS/release.key" release
  second=$(push_referrer "$image" application/vnd.example.report "a report")
  push_referrer "$second" application/vnd.example.comment "a comment on the report"
  child=$(oras manifest fetch "$image" | jq -r '.manifests[0].digest')
  push_referrer "${image%@*}@$child" application/vnd.example.report "on one platform"
  push_old "$image" sig
  # A tag of old on what is listed as well.
  tagged "$second" "sha256-${image#*@sha256:}.att"
  printf '%s/mini/%s:1.0.0 signed release\n' "$LISTING" "$NAME" >images.txt
  export_stream out
  for registry in "$HERE" "$NATIVE"; do
    import_bundle "$registry" out
    [[ $(points "$registry/mini/$NAME:1.0.0") == "${image#*@}" ]]
    cmp <(oras manifest fetch "$registry/mini/$NAME@${image#*@}") <(oras manifest fetch "$image")
    # Everything that hangs outside hangs inside, on the index as on its images, and the countersignature besides.
    hanging "$image" >outside.list
    hanging "$registry/mini/$NAME@${image#*@}" >inside.list
    [[ $(comm -23 outside.list inside.list | wc -l) == 0 && $(comm -13 outside.list inside.list | wc -l) == 1 ]]
    hanging "${image%@*}@$child" >outside.list
    hanging "$registry/mini/$NAME@$child" >inside.list
    [[ $(wc -l <outside.list) == 1 && $(comm -23 outside.list inside.list | wc -l) == 0 && $(wc -l <inside.list) == 2 ]]
    [[ $(points "$registry/mini/$NAME:sha256-${image#*@sha256:}.sig") == sha256:* ]]
    [[ $(points "$registry/mini/$NAME:sha256-${image#*@sha256:}.att") == "${second#*@}" ]]
    # Whoever asks for the inside key finds it, on the index and on each of its images; cosign agrees.
    inside_admit "$registry/mini/$NAME@${image#*@}" "$registry/mini/$NAME@$child"
    cosign_offline verify --key "$KEYS/import.pub" --registry-cacert "$REGISTRY_CA" -a purpose=import "$registry/mini/$NAME@${image#*@}"
    cosign_offline verify --key "$KEYS/release.pub" --registry-cacert "$REGISTRY_CA" -a purpose=release "$registry/mini/$NAME@${image#*@}"
  done
}

@test "a second import sends nothing, moves nothing and signs nothing" {
  local image before
  image=$(release_image "mini/$NAME" "twice" 1)
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream out
  import_bundle "$HERE" --json out >first.json
  jq -e '.complete and .blobs > 0 and .names_moved == 1' first.json
  before=$(content "$HERE" "mini/$NAME" "airgap/$NAME")
  cp "$BATS_TEST_TMPDIR/inside/inside/${HERE//:/_}/$NAME/receipt.json" before.json
  import_bundle "$HERE" --json out >second.json
  jq -e '.complete and .blobs == 0 and .bytes == 0 and .names_moved == 0' second.json
  [[ $(content "$HERE" "mini/$NAME" "airgap/$NAME") == "$before" ]]
  cmp before.json "$BATS_TEST_TMPDIR/inside/inside/${HERE//:/_}/$NAME/receipt.json"
}

@test "what hangs on an image is judged anew as soon as anything of it changed" {
  local image registry path signature
  image=$(release_image "mini/$NAME" "changed" 1)
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream out
  for registry in "$HERE" "$NATIVE"; do
    import_bundle "$registry" out
    # Nothing changed: nothing is countersigned, nor looked at.
    run import_bundle "$registry" out
    [[ $status == 0 && $output != *countersigning* ]]
    inside_admit "$registry/mini/$NAME@${image#*@}"
    # The countersignature goes, as a cleanup that knows nothing of it would have it.
    path=$registry/mini/$NAME
    signature=$(comm -13 <(hanging "$image") <(hanging "$path@${image#*@}"))
    [[ $signature == sha256:* ]]
    oras manifest delete --force "$path@$signature"
    [[ $registry == "$NATIVE" ]] || {
      oras manifest fetch "$path:sha256-${image#*@sha256:}" | jq -c --arg gone "$signature" '.manifests |= map(select(.digest != $gone))' >list
      oras manifest push --media-type application/vnd.oci.image.index.v1+json "$path:sha256-${image#*@sha256:}" list
    }
    run inside_admit "$path@${image#*@}"
    [[ $status == 65 ]]
    run import_bundle "$registry" out
    [[ $status == 0 && $output == *"countersigning 1 images"* ]]
    inside_admit "$path@${image#*@}"
  done
}

@test "a dry run says what would be sent, and writes nothing, neither there nor here" {
  release_image "mini/$NAME" "dry" 1 >/dev/null
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream out
  import_bundle "$HERE" --dry-run --json out >dry.json
  jq -e '.dry_run and .blobs > 0 and .names_moved == 1' dry.json
  [[ ! $(points "$HERE/mini/$NAME:1") && ! $(points "$HERE/airgap/$NAME:mark") ]]
  [[ ! $(find "$BATS_TEST_TMPDIR/inside" -name 'mark*' -o -name 'receipt*') ]]
}

@test "media come alone and in any order; a name appears with the last of what it needs, and garbage collection takes nothing in between" {
  local n sent
  for n in 1 2 3; do release_image "mini/$NAME-$n" "part $n" 1 300 >/dev/null; done
  printf "$PLAIN/mini/$NAME-%s:1 signed release\n" 1 2 3 >images.txt
  export_stream out --medium-size 450K
  (($(find out -maxdepth 1 -name 'medium-*' | wc -l) >= 3))
  refused 66 "medium" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" out/medium-2
  # Backwards, with the registry's own garbage collection after each medium.
  for n in $(find out -maxdepth 1 -name 'medium-*' -printf '%f\n' | sort -rV); do
    [[ $(points "$HERE/airgap/$NAME:receipt") == '' ]]
    import_bundle "$HERE" --partial --json "out/$n" >"$n.json"
    (
      PLAIN=$HERE
      stop_plain "$BATS_FILE_TMPDIR/closed"
      docker-registry garbage-collect "$BATS_FILE_TMPDIR/closed/plain.yaml" >/dev/null 2>&1
      start_plain "$BATS_FILE_TMPDIR/closed"
    )
  done
  jq -e '.complete' medium-1.json
  # What came is never sent again: all blobs of all imports are those of the bundle.
  sent=$(jq -s 'map(.blobs) | add' medium-*.json)
  [[ $sent == $(jq '[.images[] | .path as $p | .blobs[] | "\($p) \(.)"] | unique | length' out/medium-1/manifest.json) ]] || ((sent >= $(jq '[.images[].blobs[]] | unique | length' out/medium-1/manifest.json)))
  for n in 1 2 3; do [[ $(points "$HERE/mini/$NAME-$n:1") == "$(points "$PLAIN/mini/$NAME-$n:1")" ]]; done
  inside_admit "$HERE/mini/$NAME-1@$(points "$HERE/mini/$NAME-1:1")"
  # Nothing is left of what held the parts.
  [[ ! $(points "$HERE/mini/$NAME-1:_$NAME-1") ]]
}

@test "what held the parts of a serial that never became whole goes with the next one that does" {
  local n
  for n in 1 2 3; do release_image "mini/$NAME-$n" "part $n" 1 300 >/dev/null; done
  printf "$PLAIN/mini/$NAME-%s:1 signed release\n" 1 2 3 >images.txt
  export_stream first --medium-size 450K
  import_bundle "$HERE" --partial first/medium-1
  [[ $(content "$HERE" "mini/$NAME"-{1,2,3}) == *":_$NAME-1 sha256:"* ]]
  export_stream second
  import_bundle "$HERE" second
  [[ $(content "$HERE" "mini/$NAME"-{1,2,3}) != *":_$NAME-"* ]]
}

@test "a delta builds on what is inside, read to its last byte; when that is missing or damaged nothing is written" {
  local image digest data before
  release_image "mini/$NAME" one 1 200 >/dev/null
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream first
  import_bundle "$HERE" first
  inside bundle receipt --to "$HERE" --stream "$NAME" --out back
  image=$(release_image "mini/$NAME-new" two 1)
  echo "$PLAIN/mini/$NAME-new:1 signed release" >>images.txt
  export_stream second --since back/receipt.json
  jq -e '.base.receipts | length == 1' second/medium-1/manifest.json
  # One bit of a layer inside.
  digest=$(oras manifest fetch "$HERE/mini/$NAME:1" | jq -r '.layers[0].digest')
  data=$BATS_FILE_TMPDIR/closed/plain/docker/registry/v2/blobs/sha256/${digest:7:2}/${digest#*:}/data
  before=$(content "$HERE" "mini/$NAME" "mini/$NAME-new" "airgap/$NAME")
  cp "$data" good
  printf 'x' | dd of="$data" bs=1 seek=100 conv=notrunc status=none
  refused 65 "is damaged inside" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" second
  mv "$data" "$data.away"
  refused 65 "on which the bundle builds" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" second
  [[ $(content "$HERE" "mini/$NAME" "mini/$NAME-new" "airgap/$NAME") == "$before" ]]
  cp good "$data"
  import_bundle "$HERE" second
  [[ $(points "$HERE/mini/$NAME-new:1") == "${image#*@}" ]]
  # The receipt speaks of all of it.
  inside bundle receipt --to "$HERE" --stream "$NAME" --json | jq -e '.serial == 2 and (.holds | length == 2)'
}

@test "nothing goes back: an older serial, another of the same number and one that follows another are refused" {
  local image
  image=$(release_image "mini/$NAME" one 1)
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream first
  cp -R outside outside-first
  export_stream second
  rm -rf outside && cp -R outside-first outside
  release_image "mini/$NAME" another 1 >/dev/null
  export_stream other-second
  export_stream third
  import_bundle "$HERE" second
  refused 65 "is older than serial 2" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" first
  refused 65 "another serial 2" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" other-second
  refused 65 "does not follow the serial 2" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" third
  [[ $(points "$HERE/mini/$NAME:1") == "${image#*@}" ]]
  # Another place, which never met the stream, may begin with any of them; gaps are fine.
  import_bundle "$NATIVE" first
  import_bundle "$NATIVE" third
}

@test "when host and registry remember different things nothing is imported until two people with two keys have decided" {
  local home=$BATS_TEST_TMPDIR/inside/inside/${HERE//:/_}/$NAME
  release_image "mini/$NAME" one 1 >/dev/null
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream first
  export_stream second
  import_bundle "$HERE" first
  cp -R "$home" restored
  import_bundle "$HERE" second
  # The host was restored from a backup.
  rm -rf "$home" && cp -R restored "$home"
  refused 65 "bundle reconcile" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" second
  # A new host that remembers nothing is no exception.
  INSIDE_STATE=$BATS_TEST_TMPDIR/new refused 65 "bundle reconcile" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" second
  refused 77 "both keys are receipt" inside bundle reconcile --to "$HERE" --stream "$NAME" --key "$KEYS/receipt.key" --key "$KEYS/receipt.key"
  refused 77 "signs no receipts" inside bundle reconcile --to "$HERE" --stream "$NAME" --key "$KEYS/receipt.key" --key "$KEYS/import.key"
  inside bundle reconcile --to "$HERE" --stream "$NAME" --key "$KEYS/receipt.key" --key "$KEYS/receipt-other.key"
  refused 65 "is older than serial 2" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" first
  import_bundle "$HERE" second
}

@test "an expired bundle stays out unless a second key takes responsibility, which the receipt then says" {
  release_image "mini/$NAME" one 1 >/dev/null
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream out --expires 1s
  expired() { [[ $(trust_now) > $(jq -r .expires out/medium-1/manifest.json) ]]; }
  wait_until 10 expired
  refused 65 "was good until" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" out
  refused 77 "makes no exceptions" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" --allow-expired "the ship is at sea" --second-key "$KEYS/receipt.key" out
  [[ ! $(points "$HERE/mini/$NAME:1") ]]
  import_bundle "$HERE" --allow-expired "the ship is at sea" --second-key "$KEYS/break-glass.key" out
  inside bundle receipt --to "$HERE" --stream "$NAME" --json | jq -e '.exception | .reason == "the ship is at sea" and .signer == "break-glass"'
}

@test "a clock that was set back does not make an expired bundle valid again" {
  local home=$BATS_TEST_TMPDIR/inside/inside/${HERE//:/_}/$NAME
  release_image "mini/$NAME" one 1 >/dev/null
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream first
  export_stream second --expires 1h
  import_bundle "$HERE" first
  # As if it had been signed in two hours: since then the clock went back.
  TEMPORARY=$BATS_TEST_TMPDIR SITE=site STREAM_HOME=$home
  source "$ROOT/airgap/lib/inside/mark.sh"
  source "$ROOT/scripts/lib/registry_write.sh"
  trust_open "$BATS_TEST_TMPDIR/keys"
  mark_write mark "$(jq --arg time "$(date -u -d '+2 hours' +%Y-%m-%dT%H:%M:%SZ)" '.time = $time' "$home/mark.json")" "$KEYS/receipt.key"
  registry_open "$HERE" "$BATS_TEST_TMPDIR/jobs"
  mark_push "$HERE" "$NAME" mark
  refused 65 "was good until" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" second
}

@test "a name that somebody else gave inside is not taken away, and names of this stream may be put back" {
  local first second foreign
  first=$(release_image "mini/$NAME" one 1)
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream first
  foreign=$(push_image "$HERE/mini/$NAME" "somebody else's")
  tagged "$foreign" 1
  refused 65 "which this stream did not bring" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" first
  [[ $(points "$HERE/mini/$NAME:1") == "${foreign#*@}" && ! $(points "$HERE/airgap/$NAME:mark") ]]
  oras manifest delete --force "$foreign"
  import_bundle "$HERE" first
  second=$(release_image "mini/$NAME" two 1)
  export_stream second
  import_bundle "$HERE" second
  [[ $(points "$HERE/mini/$NAME:1") == "${second#*@}" ]]
  inside bundle undo --to "$HERE" --stream "$NAME"
  [[ $(points "$HERE/mini/$NAME:1") == "${first#*@}" ]]
}

@test "keys that may not sign, or cannot, are found before the first write" {
  release_image "mini/$NAME" one 1 >/dev/null
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream out
  refused 77 "countersigns nothing" inside bundle import --to "$HERE" --key "$KEYS/receipt.key" --receipt-key "$KEYS/receipt.key" out
  refused 77 "signs no receipts" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/import.key" out
  refused 77 "is not in the trust file" inside bundle import --to "$HERE" --key "$KEYS/stranger.key" --receipt-key "$KEYS/receipt.key" out
  COSIGN_PASSWORD=wrong refused 77 "cannot be used" inside bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" out
  [[ ! $(points "$HERE/mini/$NAME:1") && ! $(points "$HERE/airgap/$NAME:mark") ]]
}

@test "a key of the kind that cosign makes countersigns as well, and what another key signed is signed again" {
  local image
  image=$(release_image "mini/$NAME" one 1)
  echo "$PLAIN/mini/$NAME:1 signed release" >images.txt
  export_stream out
  import_bundle "$HERE" out
  inside bundle import --to "$HERE" --key "$KEYS/import-cosign.key" --receipt-key "$KEYS/receipt.key" out
  inside_admit "$HERE/mini/$NAME@${image#*@}"
  for key in import import-cosign; do
    cosign_offline verify --key "$KEYS/$key.pub" --registry-cacert "$REGISTRY_CA" -a purpose=import -a "repository=$HERE/mini/$NAME" "$HERE/mini/$NAME@${image#*@}"
  done
}

@test "words that make no sense are told with the remedy" {
  refused 64 "--to HOST" bundle import out
  refused 78 "registries.txt" bundle import --to elsewhere.test out
  refused 64 "which media" inside bundle import --to "$HERE" --key k --receipt-key k
  refused 64 "who countersigns" inside bundle import --to "$HERE" out
  refused 66 "" inside bundle import --to "$HERE" --key k --receipt-key k nowhere
  refused 66 "was ever whole" inside bundle receipt --to "$HERE" --stream nobody
  refused 66 "no names were moved" inside bundle undo --to "$HERE" --stream nobody
}
