# policy/admit before what is hostile or broken: forged statements, odd lists, registries that stumble.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT COSIGN_PASSWORD=only-for-tests
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load_house
  start_registries "$BATS_FILE_TMPDIR"
  # A registry that stumbles: what it passes on is in the real one behind it.
  export FAULTY=localhost:$(free_port) FAULTS=$BATS_FILE_TMPDIR/faults
  : >"$FAULTS"
  echo "$FAULTY" >>"$REFERENCE_REGISTRIES"
  setsid python3 "$BATS_TEST_DIRNAME/faulty.py" "${FAULTY#*:}" "$LISTING" "$REGISTRY_CA" "$BATS_FILE_TMPDIR/tls/cert.pem" \
    "$BATS_FILE_TMPDIR/tls/key.pem" "$FAULTS" >"$BATS_FILE_TMPDIR/faulty.log" 2>&1 3>&- &
  echo $! >"$BATS_FILE_TMPDIR/faulty.pid"
  wait_until 20 port_answers "${FAULTY#*:}"
  # Keys made by openssl sign whatever they are given, which cosign would not.
  cd "$BATS_FILE_TMPDIR"
  export TRUST=$PWD/trust TRUST_PIN=$PWD/pin
  local name
  for name in ours crafted stranger; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -quiet -out "$name.pem" 2>/dev/null
    openssl pkey -in "$name.pem" -pubout -out "$name.pub"
  done
  "$ROOT/scripts/trust" key root
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add ours.pub --id ours --purpose release --repository "$FAULTY/mini/*"
  "$ROOT/scripts/trust" add crafted.pub --id crafted --purpose release --repository "$FAULTY/mini/*"
  "$ROOT/scripts/trust" sign root.key
}

teardown_file() {
  load_house
  process_end "$(<"$BATS_FILE_TMPDIR/faulty.pid")" 10
  stop_registries "$BATS_FILE_TMPDIR"
}

load_house() {
  source "$BATS_TEST_DIRNAME/registries.bash"
  local part
  for part in project log network process document trust reference registry sign; do source "$ROOT/scripts/lib/$part.sh"; done
}

setup() {
  load_house
  KEYS=$BATS_FILE_TMPDIR
  cd "$BATS_TEST_TMPDIR"
  : >"$FAULTS"
  image=$(push_image "$LISTING/mini/mini-api" "$BATS_TEST_NAME")
  digest=${image#*@}
}

# Asks for the image of the test, which must end with this code and say these words.
judged() { # code words
  run "$ROOT/policy/admit" "$FAULTY/mini/mini-api@$digest"
  [[ $status == "$1" && $output == *"$2"* ]] || {
    echo "ended with $status: $output" >&2
    return 1
  }
}

# Prints the statement that cosign would make of the image, altered by a jq filter.
statement() { # filter
  jq -nc --arg hex "${digest#sha256:}" --arg repository "$FAULTY/mini/mini-api" '{_type: "https://in-toto.io/Statement/v1",
    subject: [{digest: {sha256: $hex}, annotations: {purpose: "release", repository: $repository}}],
    predicateType: "https://sigstore.dev/cosign/sign/v1", predicate: {}} | '"${1:-.}"
}

# Signs a payload and hangs it on the image, the bundle altered by a jq filter.
hang() { # key payload-file [filter]
  local filter=${3:-.}
  { printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(stat -c %s "$2")" && cat "$2"; } >signed
  openssl dgst -sha256 -sign "$KEYS/$1.pem" -out raw signed
  jq -nc --arg payload "$(base64 -w 0 "$2")" --arg signature "$(base64 -w 0 raw)" \
    --arg hint "$(openssl pkey -pubin -in "$KEYS/$1.pub" -outform DER | openssl dgst -sha256 -binary | base64)" '{
      mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json", verificationMaterial: {publicKey: {hint: $hint}},
      dsseEnvelope: {payload: $payload, payloadType: "application/vnd.in-toto+json", signatures: [{sig: $signature}]}} | '"$filter" >bundle.json
  hang_file bundle.json
}

hang_file() { # file
  oras attach --artifact-type application/vnd.dev.sigstore.bundle.v0.3+json "$image" \
    "$1:application/vnd.dev.sigstore.bundle.v0.3+json" >&2
}

# The referrers of the image, as digests.
referrers() { oras discover --format json "$image" | jq -r '.referrers[].digest'; }

@test "a statement as it should be is believed, whoever wrote the bundle" {
  judged 65 "it is not signed"
  statement >payload
  hang crafted payload
  judged 0 "(key crafted)"
}

@test "a statement of a stranger does not become one of ours by what it says" {
  local odd
  # Each would be a line of our own notes, if it were taken as it is.
  for odd in '"x\nours\thttps://sigstore.dev/cosign/sign/v1\trelease\t'"$FAULTY/mini/mini-api"'\t/etc/hostname"' '"https://sigstore.dev/cosign/sign/v1\n"' \
    '"x\tours"' '["https://sigstore.dev/cosign/sign/v1"]' 'null'; do
    statement ".predicateType = $odd" >payload
    hang stranger payload
  done
  statement '.subject[0].annotations = {purpose: "release\tours", repository: "x\ny"}' >payload
  hang stranger payload
  statement >payload
  hang stranger payload '.verificationMaterial.publicKey.hint = "$(touch pwned)]"'
  hang stranger payload '.verificationMaterial.publicKey.hint = "a[$(touch pwned)]"'
  hang stranger payload '.verificationMaterial = {}'
  judged 65 "it is signed by a key that the trust file does not have: "
  [[ ! -e pwned ]]
  # And all of it beside a good one harms nobody.
  hang ours payload
  judged 0 "(key ours)"
}

@test "a signature over anything but this image, in this form, is none" {
  local filter
  for filter in '.subject += .subject' '.subject[0].digest.sha256 = "00"' '.subject[0].digest = {sha512: .subject[0].digest.sha256}' \
    '._type = "https://in-toto.io/Statement/v2"' 'del(.subject)' '.subject = {}' '[.]' '"text"' '.subject[0].digest.sha256 |= ascii_upcase'; do
    statement "$filter" >payload
    hang ours payload
    judged 65 "it is not signed"
  done
  # Two documents, of which another reader might take the other.
  { statement '.subject[0].digest.sha256 = "00"' && statement; } >payload
  hang ours payload
  statement >payload
  hang ours payload '., .'
  hang ours payload '.dsseEnvelope.signatures += .dsseEnvelope.signatures'
  hang ours payload '.dsseEnvelope.payloadType = "application/vnd.in-toto+json; charset=utf-8"'
  hang ours payload '.dsseEnvelope.payload |= sub("^.."; "  ")'
  echo 'no JSON' >bundle.json && hang_file bundle.json
  : >bundle.json && hang_file bundle.json
  judged 65 "it is not signed"
  hang ours payload
  judged 0 "(key ours)"
}

@test "what is signed for nobody in particular is not for us" {
  statement 'del(.subject[0].annotations)' >payload
  hang ours payload
  judged 65 "for another repository or purpose: - in -"
}

@test "what could not be read may be the signature: it cannot be known" {
  local good bad
  printf '/referrers/\t500\n' >"$FAULTS"
  judged 69 "answers 500"
  printf '/referrers/\tgarbage\n' >"$FAULTS"
  judged 69 "makes no sense"
  printf '/referrers/\tpage\n' >"$FAULTS"
  judged 69 "in pages"
  printf '/referrers/\t403\n' >"$FAULTS"
  judged 69 "credentials"
  printf '/manifests/sha256-\t503\n' >"$FAULTS"
  judged 69 "answers 503"
  : >"$FAULTS"
  judged 65 "it is not signed"
  statement >payload
  hang stranger payload
  bad=$(referrers)
  hang ours payload
  good=$(referrers | grep -v "$bad")
  printf '/manifests/%s\t500\n' "$good" >"$FAULTS"
  judged 69 "answers 500"
  printf '/blobs/\t429\n' >"$FAULTS"
  judged 69 "try again later"
  # One that stumbles hides no other.
  printf '/manifests/%s\t500\n/referrers/\tpage\n' "$bad" >"$FAULTS"
  judged 0 "(key ours)"
}

@test "other bytes than the digest says are refused, of the image and of its signature" {
  statement >payload
  hang ours payload
  judged 0 "(key ours)"
  printf '/manifests/%s\twrong\n' "$digest" >"$FAULTS"
  judged 65 "the registry serves other bytes under this digest"
  printf '/manifests/%s\twrong\n' "$(referrers)" >"$FAULTS"
  judged 65 "it is not signed"
  printf '/blobs/\twrong\n' >"$FAULTS"
  judged 65 "it is not signed"
}

@test "an image that was flooded with referrers is not judged by some of them" {
  statement >payload
  hang ours payload
  judged 0 "(key ours)"
  printf '/referrers/\tflood\n' >"$FAULTS"
  judged 69 "more than 256 things hang on it"
}
