# airgap/bundle export: from a lock to media that can be carried, beside real registries: one with a login, one that lists referrers, one
# that hands out tokens, and one that stumbles.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/outside.bash"
  outside_house
  outside_start "$BATS_FILE_TMPDIR"
  local name
  for name in bundle receipt gone; do pem_key "$name"; done
  "$ROOT/scripts/trust" add bundle.pub --id bundle --purpose bundle
  "$ROOT/scripts/trust" add receipt.pub --id receipt --purpose receipt
  "$ROOT/scripts/trust" add gone.pub --id gone --purpose bundle
  "$ROOT/scripts/trust" revoke gone --reason "it was lost"
  "$ROOT/scripts/trust" sign root.key
  start_others "$BATS_FILE_TMPDIR"
  # What most tests carry: an image with all that can hang on one, on both kinds of registries, and two that share a layer.
  local registry image
  for registry in "$PLAIN" "$LISTING"; do
    image=$(BATS_TEST_TMPDIR=$PWD push_index "$registry/mini/everything" "an index in $registry")
    tagged "$image" 1.0.0
    image_sign "$image" "$PWD/release.key" release
    push_referrer "$(push_referrer "$image" application/vnd.example.report "a report")" application/vnd.example.comment "a comment"
    push_old "$image" sig
  done
  for name in shared first second; do head -c 2000000 /dev/urandom >"$name"; done
  push_layers "$PLAIN/mini/first:1" shared first
  push_layers "$PLAIN/mini/second:1" shared second
  {
    echo "$PLAIN/mini/everything:1.0.0 signed release"
    echo "$LISTING/mini/everything:1.0.0 as mini/listed signed release"
    echo "$PLAIN/mini/first:1 vouched ada@example.org until 2099-01-01 reviewed"
    echo "$PLAIN/mini/second:1 vouched ada@example.org until 2099-01-01 reviewed"
  } >images.txt
  "$ROOT/airgap/bundle" lock --images images.txt
}

# Starts a registry that hands out tokens (HANDING) and what stumbles before the plain one (STUMBLING).
start_others() { # folder
  local realm release=$ROOT/tests/release
  export HANDING STUMBLING
  HANDING=localhost:$(free_port) realm=localhost:$(free_port)
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$1/signer.key" -out "$1/signer.pem" -subj "/CN=tokens" -days 2 2>/dev/null
  cat >"$1/handing.yaml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $1/handing}}
http: {addr: "127.0.0.1:${HANDING#*:}", tls: {certificate: $1/tls/cert.pem, key: $1/tls/key.pem}}
auth: {token: {realm: "https://$realm/token", service: the-registry, issuer: test, rootcertbundle: $1/signer.pem}}
YAML
  setsid docker-registry serve "$1/handing.yaml" >"$1/handing.log" 2>&1 3>&- &
  echo $! >"$1/handing.pid"
  setsid python3 "$release/tokens.py" "${realm#*:}" "$1/tls/cert.pem" "$1/tls/key.pem" "$1/signer.pem" "$1/signer.key" 'reader:p"a\ss' "$1/given" \
    >"$1/tokens.log" 2>&1 3>&- &
  echo $! >"$1/tokens.pid"
  STUMBLING=localhost:$(free_port)
  : >"$1/faults" && : >"$1/asked"
  setsid python3 "$BATS_TEST_DIRNAME/stumbling.py" "${STUMBLING#*:}" "$PLAIN" "$REGISTRY_CA" "$1/tls/cert.pem" "$1/tls/key.pem" "$1/faults" "$1/asked" \
    >"$1/stumbling.log" 2>&1 3>&- &
  echo $! >"$1/stumbling.pid"
  wait_until 20 port_answers "${HANDING#*:}"
  wait_until 20 port_answers "${realm#*:}"
  wait_until 20 port_answers "${STUMBLING#*:}"
  printf '%s\n' "$HANDING" "$STUMBLING" >>"$REFERENCE_REGISTRIES"
  jq --arg handing "$HANDING" --arg reader "$(printf 'reader:p"a\\ss' | base64)" --arg stumbling "$STUMBLING" --arg plain "$PLAIN" \
    '.auths += {($handing): {auth: $reader}, ($stumbling): .auths[$plain]}' "$DOCKER_CONFIG/config.json" >"$1/config.new"
  mv "$1/config.new" "$DOCKER_CONFIG/config.json"
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/outside.bash"
  outside_house
  local name
  for name in handing tokens stumbling; do process_end "$(<"$BATS_FILE_TMPDIR/$name.pid")" 10; done
  stop_registries "$BATS_FILE_TMPDIR"
}

setup() {
  source "$BATS_TEST_DIRNAME/outside.bash"
  outside_house
  KEYS=$BATS_FILE_TMPDIR
  export AIRGAP_STATE=$BATS_TEST_TMPDIR/state
  cd "$BATS_TEST_TMPDIR"
  : >"$KEYS/faults" && : >"$KEYS/asked"
}

teardown() {
  if [[ -e $BATS_TEST_TMPDIR/open.pid ]]; then process_end "$(<"$BATS_TEST_TMPDIR/open.pid")" 10; fi
  if mountpoint -q "$BATS_TEST_TMPDIR/small"; then umount "$BATS_TEST_TMPDIR/small"; fi
}

bundle() { "$ROOT/airgap/bundle" "$@"; }

# Exports what the tests share, to `out`, unless words say something else.
export_it() { # words…
  bundle export --lock "$KEYS/images.lock" --key "$KEYS/bundle.key" --stream weekly --out out "$@"
}

# The same without what the export makes itself.
export_bare() { export_it --without chart --without policies "$@"; } # words…

# Pushes an image of layers that are files here.
push_layers() { # reference(tagged) file…
  local reference=$1 file layers=()
  shift
  for file in "$@"; do layers+=("$file:application/vnd.oci.image.layer.v1.tar"); done
  oras push --annotation org.opencontainers.image.created=2026-01-01T00:00:00Z "$reference" "${layers[@]}" >&2
}

# Locks images that somebody vouches for.
lock_vouched() { # reference…
  printf '%s vouched ada@example.org until 2099-01-01 reviewed\n' "$@" >images.txt
  bundle lock --images images.txt >&2
}

# Prints the digests on the media of a folder, one a line, as often as they lie there.
carried() { find "$1" -path '*/blobs/sha256/*' -type f -printf '%f\n' | sort; } # folder

# Prints the bytes of all that lies in a folder.
bytes() { find "$1" -type f -printf '%s\n' | awk '{ total += $1 } END { printf "%d", total }'; } # folder

# Writes what an inside says that holds the images of a manifest, all or those at some paths, signed by a key.
receipt() { # out manifest.json site key [jq-filter-of-holds]
  jq --arg site "$3" --arg digest "sha256:$(sha256sum "$2" | cut -d ' ' -f 1)" '{type: "receipt/v1", purpose: "receipt", audience, signer: "receipt", stream, $site, serial,
    manifest: $digest, time: .created, holds: (reduce .images[] as $i ({}; .[$i.path] = ((.[$i.path] // []) + [$i.manifests[].digest, $i.blobs[]] | unique)) | '"${5:-.}"'),
    images: [.images[] | {path, digest}]}' "$2" >"$1"
  document_sign "$1" "$KEYS/$4.key" "$1.sig"
}

@test "everything that a lock names is carried, each blob once, from both kinds of registries, and verifies" {
  export_it >path
  [[ $(<path) == "$PWD/out" && $(ls) == *out* && ! -e out.partial ]]
  local m=out/medium-1/manifest.json
  # What the lock says of the images, the manifest says.
  diff <(jq -S '[.images[] | {reference, path, tag, digest, mediaType, rule, platforms, manifests, blobs: [.blobs[].digest]}]' "$KEYS/images.lock") \
    <(jq -S '[.images[:4][] | {reference, path, tag, digest, mediaType, rule, platforms, manifests, blobs}]' "$m")
  [[ $(jq -r '[.images[].kind] | join(" ")' "$m") == "image image image image chart policies" ]]
  [[ $(jq -r '[.images[0].manifests[].kind] | group_by(.) | map("\(length) \(.[0])") | join(", ")' "$m") == "2 child, 1 image, 3 referrer, 1 tagged" ]]
  # Every manifest and blob lies there once, with its bytes; the shared layer, too.
  diff <(jq -r '[.images[] | .manifests[].digest, .blobs[]] | unique[] | ltrimstr("sha256:")' "$m" | sort) <(carried out)
  diff <(jq -r '.blobs | to_entries[] | "\(.key[7:])  \(.key[7:])"' "$m" | sort) <(cd out/medium-1/blobs/sha256 && sha256sum -- *)
  jq -e --arg shared "sha256:$(sha256sum "$KEYS/shared" | cut -d ' ' -f 1)" '[.images[] | select(.blobs | index($shared))] | length == 2' "$m"
  jq -e '.type == "bundle/v1" and .purpose == "bundle" and .audience == "mini" and .signer == "bundle" and .stream == "weekly" and .serial == 1 and .previous == "" and .media == 1
    and .base == null and ((.expires | fromdate) - (.created | fromdate)) == 30 * 86400 and all(.blobs[]; .medium == 1)' "$m"
  bundle verify out
}

@test "the sums verify with bash, coreutils and openssl alone" {
  export_bare --medium-size 5M
  local tool
  mkdir bin
  for tool in bash openssl sha256sum base64; do ln -s "$(type -P "$tool")" bin/; done
  [[ $(find out -maxdepth 1 -name 'medium-*' | wc -l) == 2 ]]
  # shellcheck disable=SC2016
  env -i PATH="$PWD/bin" bash -euc 'for medium in out/medium-*; do
    for file in manifest.json SHA256SUMS; do
      base64 -d "$medium/$file.sig" >sig
      openssl dgst -sha256 -verify "$1" -signature sig "$medium/$file"
    done
    (cd "$medium" && sha256sum --quiet -c SHA256SUMS)
  done' - "$KEYS/bundle.pub"
  # Nothing that lies there is missing from them, and their first line says which medium it is.
  for tool in 1 2; do
    diff <(cd "out/medium-$tool" && find . -type f ! -name 'SHA256SUMS*' -printf '%P\n' | LC_ALL=C sort) <(tail -n +2 "out/medium-$tool/SHA256SUMS" | cut -c 67-)
    [[ $(head -n 1 "out/medium-$tool/SHA256SUMS") == "# bundle weekly 1 medium $tool of 2" ]]
  done
}

@test "no medium is over its size, whichever sizes they have, and an image that fits on one is not torn apart" {
  local sizes n size
  for sizes in "2100K" "5M 2100K" "30K 4M 2100K"; do
    # shellcheck disable=SC2086  # words
    export_it --medium-size $sizes --json >json
    n=0
    for size in $sizes; do
      n=$((n + 1))
      ((n > $(jq '.media | length' json))) || (($(bytes "out/medium-$n") <= $(numfmt --from=si "$size")))
    done
    while ((++n <= $(jq '.media | length' json))); do (($(bytes "out/medium-$n") <= $(numfmt --from=si "${sizes##* }"))); done
    jq -e --arg out "$PWD/out" '.stream == "weekly" and (.media[0].dir == $out + "/medium-1")' json
    [[ $(jq -r '.media[0].size' json) == "$(bytes out/medium-1)" && ! $(carried out | uniq -d) ]]
    bundle verify out
    jq -e '. as $m | all(.images[] | select(.kind == "chart" or .path == "mini/everything"); [.manifests[].digest, .blobs[]] | map($m.blobs[.].medium) | unique | length == 1)' \
      out/medium-1/manifest.json
    rm -rf out
  done
  run export_it --medium-size 1M
  [[ $status == 65 && $output == *"no medium is large enough for sha256:"*" of $PLAIN/mini/first:1, 2000000 bytes: take one of at least "* ]]
  [[ $output =~ least\ ([0-9]+)\ bytes ]]
  size=${BASH_REMATCH[1]}
  refused 65 "medium 2 is too small" export_it --medium-size 4M 2000
  refused 64 "no size of a medium" export_it --medium-size 4X
  # What the sentence names is enough.
  export_it --medium-size "$size"
  bundle verify out
}

@test "a delta by receipts carries what not every site has, and little more than the layer that changed" {
  export_it
  receipt a.json out/medium-1/manifest.json a receipt
  receipt b.json out/medium-1/manifest.json b receipt
  head -c 3000000 /dev/urandom >changed
  cp "$KEYS/shared" shared
  push_layers "$PLAIN/mini/first:1" shared changed
  bundle lock --images "$KEYS/images.txt" --lock delta.lock
  push_layers "$PLAIN/mini/first:1" shared "$(cd "$KEYS" && cp first "$BATS_TEST_TMPDIR/" && echo first)"
  push_layers "$PLAIN/mini/first:1" shared changed
  export_it --lock delta.lock --out delta --since a.json b.json
  (($(bytes delta) * 10 <= 3000000 * 11))
  local m=delta/medium-1/manifest.json
  jq -e --arg a "sha256:$(sha256sum a.json | cut -d ' ' -f 1)" --arg b "sha256:$(sha256sum b.json | cut -d ' ' -f 1)" '.base == {receipts: ([$a, $b] | sort)} and .serial == 2' "$m"
  # A tag that names something else now is in it: all goes by digest.
  diff <(jq -r '(.images[] | select(.path == "mini/first") | .digest[7:]), (.blobs | to_entries[] | select(.value.size == 3000000).key[7:])' "$m" | sort) <(carried delta)
  [[ $(jq '[.blobs[] | select(.medium == 1)] | length' "$m") == 2 ]]
  # One site lacks a place: all of it is carried, the shared layer too, though another place has it.
  receipt b.json out/medium-1/manifest.json b receipt 'del(.["mini/second"])'
  export_it --out third --since a.json b.json
  diff <(jq -r '.images[] | select(.path == "mini/second") | .manifests[].digest[7:], .blobs[][7:]' third/medium-1/manifest.json | sort) <(carried third)
}

@test "a receipt that is not to be believed, or is of something else, is no base" {
  export_bare
  receipt a.json out/medium-1/manifest.json a receipt
  refused 66 "nowhere.json and its signature" export_bare --out no --since nowhere.json
  receipt b.json out/medium-1/manifest.json b bundle
  refused 65 "b.json is not signed by key receipt" export_bare --out no --since a.json b.json
  jq '.signer = "bundle"' a.json >b.json && document_sign b.json "$KEYS/bundle.key" b.json.sig
  refused 65 "key bundle is for bundle, not for receipt" export_bare --out no --since b.json
  jq '.purpose = "bundle"' a.json >b.json && document_sign b.json "$KEYS/receipt.key" b.json.sig
  refused 65 'it serves "bundle", not "receipt"' export_bare --out no --since b.json
  jq '.audience = "others"' a.json >b.json && document_sign b.json "$KEYS/receipt.key" b.json.sig
  refused 65 'it is for "others"' export_bare --out no --since b.json
  jq '.stream = "daily"' a.json >b.json && document_sign b.json "$KEYS/receipt.key" b.json.sig
  refused 65 "is of the stream 'daily'" export_bare --out no --since b.json
  jq '.holds = {"../up": []}' a.json >b.json && document_sign b.json "$KEYS/receipt.key" b.json.sig
  refused 65 "does not say what it should" export_bare --out no --since b.json
  refused 64 "--since names receipts, or one manifest" export_bare --out no --since a.json out/medium-1/manifest.json
  [[ ! -e no ]]
}

@test "over a one-way line a manifest is the base, and one with a later serial than is remembered is gone on from" {
  export_it --serial 7
  cp out/medium-1/manifest.json out/medium-1/manifest.json.sig .
  rm -rf state
  export_it --out delta --since manifest.json
  [[ ! $(carried delta) ]]
  jq -e --arg digest "sha256:$(sha256sum manifest.json | cut -d ' ' -f 1)" '.base == {manifest: $digest} and .previous == $digest and .serial == 8 and all(.blobs[]; .medium == 0) and (.images | length) == 6' \
    delta/medium-1/manifest.json
  sed -i 's/"serial":7/"serial":6/' manifest.json
  refused 65 "manifest.json is not signed by key bundle" export_it --out no --since manifest.json
}

@test "serials rise, each names the manifest before it, and what was published is remembered" {
  export_bare --out one
  export_bare --out two
  cmp one/medium-1/manifest.json state/exports/weekly/1.json
  cmp two/medium-1/manifest.json.sig state/exports/weekly/2.json.sig
  jq -e --arg digest "sha256:$(sha256sum one/medium-1/manifest.json | cut -d ' ' -f 1)" '.serial == 2 and .previous == $digest' two/medium-1/manifest.json
  refused 65 "serial 2 is not above 2" export_bare --out no --serial 2
  export_bare --out five --serial 5
  jq -e --arg digest "sha256:$(sha256sum two/medium-1/manifest.json | cut -d ' ' -f 1)" '.serial == 5 and .previous == $digest' five/medium-1/manifest.json
  export_bare --out other --stream daily
  jq -e '.serial == 1 and .previous == ""' other/medium-1/manifest.json
  # What cannot be remembered is not published.
  refused 73 "weekly cannot be made" env AIRGAP_STATE=/proc/nowhere "$ROOT/airgap/bundle" export --lock "$KEYS/images.lock" --key "$KEYS/bundle.key" --stream weekly --out no
  [[ ! -e no ]]
}

@test "an export that is killed anywhere leaves nothing that looks like a bundle, and the same command ends with the same bytes" {
  local round pid began took
  began=${EPOCHREALTIME/./}
  export_it --out whole --medium-size 5M
  took=$((${EPOCHREALTIME/./} - began))
  RANDOM=${SEED:-$RANDOM}
  for ((round = 0; round < ${KILLS:-4}; round++)); do
    "$ROOT/airgap/bundle" export --lock "$KEYS/images.lock" --key "$KEYS/bundle.key" --stream weekly --out out --medium-size 5M >log 2>&1 &
    pid=$!
    sleep "$(awk -v took="$took" -v part=$((RANDOM % 1000)) 'BEGIN { printf "%.3f", took * part / 1e9 }')"
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    # Whole, or not there.
    if [[ -e out ]]; then
      bundle verify out
      rm -rf out
    fi
  done
  export_it --medium-size 5M
  diff <(carried whole) <(carried out)
  bundle verify out
  [[ ! -e out.partial ]]
  # No serial was ever two manifests.
  cmp out/medium-1/manifest.json "state/exports/weekly/$(jq .serial out/medium-1/manifest.json).json"
}

@test "what came in part is continued, what lies there whole is not asked for again, and what is damaged is thrown away" {
  local hex
  head -c 3000000 /dev/urandom >large
  head -c 100000 /dev/urandom >small-one
  head -c 100000 /dev/urandom >small-two
  push_layers "$PLAIN/mini/cut:1" large small-one small-two
  lock_vouched "$STUMBLING/mini/cut:1"
  hex=$(sha256sum large | cut -d ' ' -f 1)
  # The others come; this one does not.
  printf '%s\t503\n' "$hex" >"$KEYS/faults"
  refused 69 "$STUMBLING answers 503: what came is kept in $PWD/out.partial" export_bare --lock images.lock
  sha256sum small-one | cut -d ' ' -f 1 >there
  [[ ! -e out && -e out.partial/blobs/$(<there) ]]
  : >"$KEYS/faults" && : >"$KEYS/asked"
  head -c 100000 /dev/zero >"out.partial/blobs/$(sha256sum small-two | cut -d ' ' -f 1)"
  { printf 'x' && head -c 1500000 large | tail -c +2; } >"out.partial/partial/$hex"
  export_bare --lock images.lock
  bundle verify out
  # It went on from where it was, found that the beginning was damaged, and began anew.
  grep -Fx "$hex bytes=1500000-" "$KEYS/asked"
  grep -Fx "$hex all" "$KEYS/asked"
  run grep -F "$(<there)" "$KEYS/asked"
  [[ $status == 1 ]]
  # One that continues is not fetched twice.
  : >"$KEYS/asked"
  mkdir -p again.partial/partial && : >again.partial/export && head -c 2000000 large >"again.partial/partial/$hex"
  printf '%s' "no such bytes" >"again.partial/partial/$(<there)"
  export_bare --lock images.lock --out again
  [[ $(grep -F "$hex" "$KEYS/asked") == "$hex bytes=2000000-" ]]
  bundle verify again
}

@test "a registry that cannot continue is asked anew; other bytes, missing ones, and refusals have their own ends" {
  local hex
  head -c 1000000 /dev/urandom >large
  push_layers "$PLAIN/mini/odd:1" large
  lock_vouched "$STUMBLING/mini/odd:1"
  hex=$(sha256sum large | cut -d ' ' -f 1)
  printf '%s\tbreak 400000\n' "$hex" >"$KEYS/faults"
  # Each time some more comes.
  export_bare --lock images.lock && rm -rf out
  printf '%s\twhole\n' "$hex" >"$KEYS/faults"
  mkdir -p out.partial/partial && : >out.partial/export && head -c 300000 large >"out.partial/partial/$hex"
  export_bare --lock images.lock && rm -rf out
  # Some keep their blobs elsewhere.
  printf 'blobs\telsewhere\n' >"$KEYS/faults"
  mkdir -p out.partial/partial && : >out.partial/export && head -c 300000 large >"out.partial/partial/$hex"
  export_bare --lock images.lock && rm -rf out
  printf '%s\twrong\n' "$hex" >"$KEYS/faults"
  refused 65 "$STUMBLING serves other bytes under sha256:$hex, part of $STUMBLING/mini/odd:1" export_bare --lock images.lock
  printf '%s\t404\n' "$hex" >"$KEYS/faults"
  refused 66 "$STUMBLING has no sha256:$hex, part of $STUMBLING/mini/odd:1, in mini/odd any more" export_bare --lock images.lock
  printf '%s\t403\n' "$hex" >"$KEYS/faults"
  refused 77 "$STUMBLING refuses these credentials for mini/odd (403): docker login" export_bare --lock images.lock
  printf '%s\t429\n' "$hex" >"$KEYS/faults"
  refused 69 "too much to do (429)" export_bare --lock images.lock
  [[ ! -e out ]]
  : >"$KEYS/faults"
  export_bare --lock images.lock
  bundle verify out
}

@test "wrong credentials and a registry that is down are told apart, and nothing is left that looks like a bundle" {
  mkdir wrong
  jq --arg plain "$PLAIN" '.auths[$plain].auth = ("publisher:wrong" | @base64)' "$DOCKER_CONFIG/config.json" >wrong/config.json
  refused 77 "$PLAIN refuses these credentials for mini/" env DOCKER_CONFIG="$PWD/wrong" "$ROOT/airgap/bundle" export --lock "$KEYS/images.lock" --key "$KEYS/bundle.key" --stream weekly --out out
  refused 69 "does not show a certificate that is believed" env REGISTRY_CA="$KEYS/bundle.pub" "$ROOT/airgap/bundle" export --lock "$KEYS/images.lock" --key "$KEYS/bundle.key" --stream weekly --out out
  stop_plain "$KEYS"
  refused 69 "$PLAIN does not answer, or breaks off" export_bare
  start_plain "$KEYS"
  [[ ! -e out && ! $(find . -name 'manifest.json*' -o -name 'SHA256SUMS*') ]]
  export_bare
  bundle verify out
}

@test "a registry that hands out tokens is read with one a repository" {
  head -c 100000 /dev/urandom >one
  head -c 100000 /dev/urandom >two
  push_layers "$HANDING/mini/tokens:1" one two
  push_layers "$HANDING/mini/more:1" one
  lock_vouched "$HANDING/mini/tokens:1" "$HANDING/mini/more:1"
  : >"$KEYS/given"
  export_bare --lock images.lock
  diff <(printf 'repository:mini/%s:pull\n' more tokens) <(sort "$KEYS/given")
  bundle verify out
  mkdir wrong
  jq --arg handing "$HANDING" '.auths[$handing].auth = ("reader:wrong" | @base64)' "$DOCKER_CONFIG/config.json" >wrong/config.json
  refused 77 "$HANDING refuses these credentials for mini/" env DOCKER_CONFIG="$PWD/wrong" "$ROOT/airgap/bundle" export --lock images.lock --key "$KEYS/bundle.key" --stream weekly --out no
}

@test "a full disk is told apart from the network, and room is all it takes to go on" {
  ((EUID == 0)) || { echo "only root mounts a small disk" >&2 && false; }
  mkdir small && mount -t tmpfs -o size=5m tmpfs small
  refused 73 "small/out.partial cannot be written: is the disk full?" export_bare --out small/out
  [[ ! -e small/out ]]
  mount -o remount,size=50m small
  export_bare --out small/out
  bundle verify small/out
}

@test "two exports at once into one folder: the second is refused; a folder that is there is not touched" {
  exec 8<>"$KEYS/faults"
  mkdir out.partial && : >out.partial/export
  exec 9<out.partial/export
  flock 9
  refused 75 "another export into $PWD/out is at work" export_bare
  exec 9<&- 8<&-
  export_bare
  cp -R out before
  refused 73 "$PWD/out is there already" export_bare
  diff -r before out
  mkdir mine.partial && echo precious >mine.partial/file
  refused 73 "mine.partial is there and is no export's" export_bare --out mine
  [[ $(<mine.partial/file) == precious ]]
  refused 73 "cannot be written" export_bare --out /proc/nowhere/out
}

# Makes a layout of one image on a medium.
layout_of() { # medium path folder
  mkdir -p "$3" && cp -R "$1/blobs" "$3/"
  oci_finish "$3" "$(jq -c --arg path "$2" '.images[] | select(.path == $path) | .digest as $digest | .manifests[] | select(.digest == $digest) | {digest, size, mediaType}' "$1/manifest.json")" it
}

@test "the chart is pulled by Helm as it is here, and chart and policies are the same bytes whoever makes them" {
  local port
  export_it
  layout_of out/medium-1 charts/mini-api layout
  # Helm asks whoever is called localhost without TLS.
  port=$(free_port)
  printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s"}\n' "$PWD/open" "$port" >open.yaml
  setsid docker-registry serve open.yaml >open.log 2>&1 3>&- &
  echo $! >open.pid
  wait_until 20 port_answers "$port"
  command oras cp --from-oci-layout --to-plain-http layout:it "localhost:$port/charts/mini-api:$(jq -r '.images[] | select(.kind == "chart").tag' out/medium-1/manifest.json)"
  helm pull "oci://localhost:$port/charts/mini-api" --version 1.0.0 --untar
  diff -r "$ROOT/chart/mini-api" mini-api
  layout_of out/medium-1 policies/mini-api policies
  jq -e '.artifactType == "application/vnd.mini-api.policies.v1"' "policies/blobs/sha256/$(jq -r '.images[] | select(.kind == "policies").digest[7:]' out/medium-1/manifest.json)"
  # Copies with other times and rights.
  (umask 077 && cp -RL "$ROOT/chart/mini-api" chart && cp -R "$ROOT/policy" rules && mkdir -p rules/trust && echo '{}' >rules/trust/trust.json)
  mv chart mini-api.copy
  export_it --out copied --chart mini-api.copy as other/charts/mini-api --policies rules as other/rules
  diff <(jq -S '[.images[4:][].digest]' out/medium-1/manifest.json) <(jq -S '[.images[4:][].digest]' copied/medium-1/manifest.json)
  [[ $(jq -r '[.images[4:][].path] | join(" ")' copied/medium-1/manifest.json) == "other/charts/mini-api other/rules" ]]
  bundle verify copied
  refused 65 "Helm finds the chart mini-api only below a path that ends in its name" export_it --out no --chart mini-api.copy as other/chart
  ln -s /nowhere rules/link
  refused 65 "rules/link is neither a file nor a folder, nor a link to one" export_it --out no --policies rules
  refused 65 "two images are to be charts/mini-api:1.0.0 inside" export_it --out no --chart mini-api.copy --chart "$(sed -i 's/^description:.*/description: another/' mini-api.copy/Chart.yaml && cp -R mini-api.copy more && sed -i 's/another/more/' more/Chart.yaml && echo more)"
}

@test "trust, register and tools are carried as files, and the tools run where they are unpacked" {
  mkdir keep
  export REGISTER=$PWD/keep/register
  trust_open "$PWD/keys"
  source "$ROOT/scripts/lib/register.sh"
  register_append "$PLAIN/mini/everything" "$(jq -cn --arg digest "$(jq -r '.images[0].digest' "$KEYS/images.lock")" --arg commit "$(printf '%040d' 1)" '{version: "1.0.0", $commit, $digest, platforms: {}, documents: {},
    image: "mini", channel: "release", time: "2026-01-01T00:00:00Z", key: "release"}')" release "$KEYS/release.key" begin
  echo draft >"$TRUST/next.json"
  export_bare --tools
  rm "$TRUST/next.json"
  diff <(cd "$TRUST" && find trust.json history signatures -type f -exec sha256sum {} + | sort) <(cd out/medium-1/files/trust && find . -type f -printf '%P\0' | xargs -0 sha256sum | sort)
  diff "$REGISTER" out/medium-1/files/register
  jq -e '[.files[].path | select(startswith("files/tools/"))] == ["files/tools/tools.tar.gz"] and ([.files[].path] | . == sort)' out/medium-1/manifest.json
  bundle verify out
  tar -xzf out/medium-1/files/tools/tools.tar.gz
  (cd mini-api-kit && sha256sum --quiet -c SHA256SUMS)
  mini-api-kit/airgap/bundle inspect out >tree
  grep -F mini/everything tree
  [[ ! -e mini-api-kit/policy/trust ]]
  # One that was shortened is not carried.
  : >"$REGISTER/releases.jsonl"
  refused 65 "is not to be believed, so it is not carried" export_bare --out no
  refused 66 "there is no register nowhere" export_bare --out no --register nowhere
}

@test "a key that may not sign bundles, a lock that is none or holds no more, and a time too far away are refused before anything is fetched" {
  local lock=$KEYS/images.lock filter
  refused 65 "key release is for release, not for bundle" export_bare --key "$KEYS/release.key"
  refused 65 "key gone is revoked since" export_bare --key "$KEYS/gone.key"
  refused 65 "is not in the trust file" export_bare --key "$KEYS/stranger.key"
  refused 77 "cannot be used" env COSIGN_PASSWORD=wrong "$ROOT/airgap/bundle" export --lock "$lock" --key "$KEYS/bundle.key" --stream weekly --out out
  for filter in '.type = "images-lock/v2"' '.images = []' '.images[0].path = "../up"' '.images[0].rule = {}' 'del(.images[0].blobs)' '.images[0].digest = .images[1].digest' '.images[0].manifests[0].kind = "odd"' \
    '.images[1].reference = "elsewhere.test/mini/a:1"' '.images[0].blobs[0].mediaType = "a\"b"'; do
    jq "$filter" "$lock" >odd.lock
    refused 65 "odd.lock is no lock: " export_bare --lock odd.lock
  done
  jq --arg shared "sha256:$(sha256sum "$KEYS/shared" | cut -d ' ' -f 1)" '.images[3].blobs |= map(if .digest == $shared then .size += 1 else . end)' "$lock" >odd.lock
  refused 65 "the lock names two sizes of sha256:" export_bare --lock odd.lock
  jq '.images[3].path = .images[2].path' "$lock" >odd.lock
  refused 65 "two images are to be mini/first:1 inside" export_bare --lock odd.lock
  echo '{' >odd.lock
  refused 65 "odd.lock is no lock: it is no JSON" export_bare --lock odd.lock
  refused 66 "nowhere cannot be read" export_bare --lock nowhere
  jq '.images[2].rule.until = "2020-01-01T00:00:00Z"' "$lock" >odd.lock
  refused 65 "mini/first:1: the word of ada@example.org for it ended on 2020-01-01" export_bare --lock odd.lock
  refused 64 "older than 400 days" export_bare --expires 401d
  refused 64 "is no time" export_bare --expires 1y
  refused 64 "wants --stream" bundle export --key "$KEYS/bundle.key" --out out
  [[ ! -e out && ! -d out.partial/blobs ]]
  # Sizes that only the registry knows better.
  for filter in + -; do
    jq '.images[2].manifests[0].size '"$filter"'= 1' "$lock" >odd.lock
    refused 65 "$PLAIN" export_bare --lock odd.lock
  done
  export_bare --expires 90m --audience others
  jq -e '((.expires | fromdate) - (.created | fromdate)) == 5400 and .audience == "others"' out/medium-1/manifest.json
}
