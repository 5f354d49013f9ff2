# Who is believed, and by what steps that may change.

bats_require_minimum_version 1.5.0

# Keys are dear to make: once for all. The organisation's trust file is at version 2, with one key for releases.
setup_file() {
  export ROOT COSIGN_PASSWORD=only-for-tests
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  cd "$BATS_FILE_TMPDIR"
  for name in root-a root-b root-c root-d release-1 release-2 stranger; do "$ROOT/scripts/trust" key "$name"; done
  export TRUST=$BATS_FILE_TMPDIR/trust TRUST_PIN=$BATS_FILE_TMPDIR/pin
  "$ROOT/scripts/trust" init --audience mini root-{a,b,c}.pub
  "$ROOT/scripts/trust" sign root-a.key root-b.key
  cp -r trust first
  cp pin first-pin
  "$ROOT/scripts/trust" add release-1.pub --id release-1 --purpose release --repository 'registry.intra/mini/*'
  "$ROOT/scripts/trust" sign root-b.key root-c.key
}

setup() {
  source "$ROOT/tests/refused.bash"
  KEYS=$BATS_FILE_TMPDIR
  cd "$BATS_TEST_TMPDIR"
  cp -r "$KEYS"/{trust,pin,first,first-pin} .
  export TRUST=$PWD/trust TRUST_PIN=$PWD/pin
}

trust() { "$ROOT/scripts/trust" "$@"; }

# Alters a JSON file in place.
alter() { # file filter
  jq "$2" "$1" >"$1.altered"
  mv "$1.altered" "$1"
}

@test "a version comes into force when enough roots have signed, and not before" {
  trust add "$KEYS/release-2.pub" --id release-2 --purpose release --repository registry.intra/mini/web
  trust sign "$KEYS/root-a.key"
  [[ $(trust show --json | jq .version) == 2 ]]
  # The same root twice is one.
  trust sign "$KEYS/root-a.key"
  [[ $(trust show --json | jq .version) == 2 ]]
  trust sign "$KEYS/root-c.key"
  [[ $(trust show --json | jq .version) == 3 ]]
  [[ ! -e $TRUST/next.json ]]
  trust verify
}

@test "whoever sees a machine for the first time compares the printed sheet" {
  rm "$TRUST_PIN"
  refused 78 "compare the printed sheet" trust verify
  # To be compared by eye, and no more.
  trust show --sheet | grep -q "$(sha256sum <"$TRUST/trust.json" | cut -c 1-8)"
  refused 78 "compare the printed sheet" trust show
  refused 65 "not the trust file of the sheet" trust verify --sha256 "$(printf 'x' | sha256sum | cut -d ' ' -f 1)"
  [[ ! -e $TRUST_PIN ]]
  cp "$KEYS/pin" "$TRUST_PIN"
  trust show --sheet >sheet
  rm "$TRUST_PIN"
  # As it stands on the paper: in groups.
  trust verify --sha256 "$(grep -A 1 '^SHA-256' sheet | tail -n 1)"
  rm "$TRUST_PIN"
  (cd "$ROOT" && bash -c "$(sed -n 's/^On a machine that never met it: *//p' "$BATS_TEST_TMPDIR/sheet")")
  # By then it is believed, and no hash talks the machine out of it.
  refused 65 "believes version 2 already" trust verify --sha256 "$(sha256sum <first/trust.json | cut -d ' ' -f 1)"
}

@test "the sheet has the fingerprint of every key" {
  trust show --sheet | tr -d ' ' >sheet
  for key in root-a root-b root-c release-1; do
    grep -qx "$(openssl pkey -pubin -in "$KEYS/$key.pub" -outform DER | sha256sum | cut -d ' ' -f 1)" sheet
  done
}

@test "a machine that believed version 1 follows to version 2 by itself" {
  cp first-pin pin
  trust verify
  [[ $(cut -d ' ' -f 1 pin) == 2 ]]
}

@test "a trust file with too few signatures is refused" {
  cp first-pin pin
  rm "$TRUST/signatures/2.root-b.sig"
  refused 65 "1 of 2 signatures" trust verify
  # Nor does somebody else's signature stand in, under whatever name.
  source "$ROOT/scripts/lib/project.sh"
  source "$ROOT/scripts/lib/log.sh"
  source "$ROOT/scripts/lib/document.sh"
  document_sign "$TRUST/trust.json" "$KEYS/stranger.key" "$TRUST/signatures/2.root-b.sig"
  refused 65 "1 of 2 signatures" trust verify
  cp "$TRUST/signatures/2.root-c.sig" "$TRUST/signatures/2.root-b.sig"
  refused 65 "1 of 2 signatures" trust verify
  [[ $(cut -d ' ' -f 1 pin) == 1 ]]
}

@test "an older trust file is refused" {
  TRUST=$PWD/first refused 65 "older than version 2" trust verify
}

@test "a trust file that was altered is refused, whatever its version says" {
  alter "$TRUST/trust.json" '.keys[0].repositories = ["registry.intra/*"]'
  refused 65 "somebody altered it" trust verify
  refused 65 "somebody altered it" trust show
  alter "$TRUST/trust.json" '.version = 3 | .previous = "sha256:'"$(printf x | sha256sum | cut -d ' ' -f 1)"'"'
  cp "$KEYS/trust/trust.json" "$TRUST/history/2.json"
  refused 65 "cannot be believed" trust verify
}

@test "a history with a gap, or another past, is refused" {
  trust revoke release-1 --reason lost
  trust sign "$KEYS/root-a.key" "$KEYS/root-b.key"
  cp first-pin pin
  mv "$TRUST/history/2.json" aside
  refused 65 "version 2 of the trust file is missing" trust verify
  jq '.issued = "2030-01-01T00:00:00Z"' aside >"$TRUST/history/2.json"
  refused 65 "cannot be believed" trust verify
  mv aside "$TRUST/history/2.json"
  trust verify
}

@test "a revoked key stays revoked" {
  trust revoke release-1 --reason "the laptop was stolen" --since 2026-01-31T00:00:00Z
  trust sign "$KEYS/root-a.key" "$KEYS/root-b.key"
  trust show | grep -E '^release-1 +release +revoked 2026-01-31'
  trust add "$KEYS/release-2.pub" --id release-2 --purpose release --repository registry.intra/mini/web
  alter "$TRUST/next.json" 'del(.keys[0].revoked)'
  refused 65 "revocation of key release-1 was taken back" trust sign "$KEYS/root-a.key"
  alter "$TRUST/next.json" 'del(.keys[0])'
  refused 65 "key release-1 is gone" trust sign "$KEYS/root-a.key"
}

@test "a key that is rotated leaves its successor the repositories, and some days" {
  trust rotate release-1 "$KEYS/release-2.pub" --id release-2 --overlap 3
  trust sign "$KEYS/root-a.key" "$KEYS/root-b.key"
  trust show --json | jq -e --arg latest "$(date -u -d '+3 days +1 minute' +%Y-%m-%dT%H:%M:%SZ)" '
    (.keys[0].until < $latest) and .keys[1].id == "release-2" and .keys[1].repositories == ["registry.intra/mini/*"]'
}

@test "a root is replaced by the old roots and the new together" {
  trust rotate root-a "$KEYS/root-d.pub" --id root-d
  trust sign "$KEYS/root-d.key" "$KEYS/root-b.key"
  # Two of the new, but only one of the old.
  [[ $(trust show --json | jq .version) == 2 ]]
  trust sign "$KEYS/root-c.key"
  [[ $(trust show --json | jq .version) == 3 ]]
  trust revoke release-1 --reason lost
  refused 65 "is no root key" trust sign "$KEYS/root-a.key"
}

@test "a draft that is unsound, or no longer follows, is not signed" {
  trust revoke release-1 --reason lost
  cp "$TRUST/next.json" late.json
  alter "$TRUST/next.json" '.roots.threshold = 0'
  refused 65 "threshold" trust sign "$KEYS/root-a.key"
  cp late.json "$TRUST/next.json"
  trust sign "$KEYS/root-a.key" "$KEYS/root-b.key"
  jq '.keys[0].until = "2030-01-01T00:00:00Z"' late.json >"$TRUST/next.json"
  refused 65 "it is version 3, and follows 3" trust sign "$KEYS/root-a.key"
  trust drop
  [[ ! -e $TRUST/next.json ]]
  # The signatures of what is in force are not the draft's.
  cp first-pin pin
  trust verify
  # Whoever was stopped as a draft came into force goes on, and the draft is gone.
  cp "$TRUST/trust.json" "$TRUST/next.json"
  trust add "$KEYS/release-2.pub" --id release-2 --purpose bundle
  [[ $(jq .version "$TRUST/next.json") == 4 ]]
  trust drop
  rm pin
  trust verify --sha256 "$(sha256sum <"$TRUST/trust.json" | cut -d ' ' -f 1)"
}

@test "a key of somebody else, and a password that is none, sign nothing" {
  trust revoke release-1 --reason lost
  refused 65 "stranger.key is no root key" trust sign "$KEYS/stranger.key"
  COSIGN_PASSWORD=another refused 77 "does not sign" trust sign "$KEYS/root-a.key"
  refused 77 "does not sign" trust sign "$PWD/nowhere.key"
  [[ ! $(find "$TRUST/signatures" -name '3.*') ]]
}

@test "what makes no sound trust file is refused with a sentence, and nothing is drafted" {
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -quiet 2>/dev/null | openssl pkey -pubout >rsa.pub
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 2>/dev/null | openssl pkey -pubout >p384.pub
  local new=$KEYS/release-2.pub
  refused 65 "P-256" trust add rsa.pub --id x --purpose bundle
  refused 65 "P-256" trust add p384.pub --id x --purpose bundle
  refused 66 "no public key" trust add nowhere.pub --id x --purpose bundle
  refused 65 "purpose" trust add "$new" --id x --purpose anything
  refused 65 "repositories" trust add "$new" --id x --purpose release
  refused 65 "repositories" trust add "$new" --id x --purpose bundle --repository registry.intra/mini/web
  for wrong in registry.intra/mini/ 'registry.intra/mini*' 'registry.intra/*/web' '*' 'registry.intra/Mini/web' 'registry.intra/mini/*x'; do
    refused 65 "repositories" trust add "$new" --id x --purpose release --repository "$wrong"
  done
  refused 65 "id is not" trust add "$new" --id 'A key' --purpose bundle
  refused 65 "two keys are called" trust add "$new" --id root-a --purpose bundle
  refused 65 "stands there twice" trust add "$KEYS/root-b.pub" --id x --purpose bundle
  refused 65 "valid from" trust add "$new" --id x --purpose bundle --until 2020-01-01T00:00:00Z
  refused 65 "valid from" trust add "$new" --id x --purpose bundle --until tomorrow
  refused 65 "no working key" trust revoke root-a --reason lost
  refused 64 "reason" trust revoke release-1
  refused 64 "wants a value" trust add "$new" --id
  refused 64 "unknown verb" trust obey
  [[ ! -e $TRUST/next.json ]]
  TRUST=$PWD/other TRUST_PIN=$PWD/other-pin refused 65 "threshold" trust init --audience mini --threshold 3 "$KEYS/root-a.pub" "$KEYS/root-b.pub"
  refused 73 "there already" trust init --audience mini "$KEYS/root-a.pub"
  refused 73 "there already" trust key "$KEYS/root-a"
}

@test "private keys are encrypted and for their owner's eyes" {
  [[ $(stat -c %a "$KEYS/root-a.key") == 600 ]]
  grep -q 'BEGIN ENCRYPTED' "$KEYS/root-a.key"
}

@test "a signature is checked with coreutils and openssl alone" {
  jq -j '.roots.keys[] | select(.id == "root-c").public' "$TRUST/trust.json" >root-c.pub
  base64 -d <"$TRUST/signatures/2.root-c.sig" >raw
  openssl dgst -sha256 -verify root-c.pub -signature raw "$TRUST/trust.json"
  refused 1 "" openssl dgst -sha256 -verify root-c.pub -signature raw "$TRUST/history/1.json"
}
