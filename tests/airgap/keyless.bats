# The rule `keyless`: an image that no key signed but a certificate for an identity crosses, if a root that each side has says so.

bats_require_minimum_version 1.5.0

setup_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  source "$BATS_TEST_DIRNAME/authority.bash"
  sides_start
  mkdir "$BATS_FILE_TMPDIR/sigstore" "$BATS_FILE_TMPDIR/roots"
  cd "$BATS_FILE_TMPDIR/sigstore"
  local log="url=https://log.example.org,public-key=log.pub,start-time=2024-01-01T00:00:00Z"
  authority_make authority
  authority_make other
  authority_key log
  authority_key log-other
  for name in times times-other; do
    authority_make "$name-authority"
    authority_certify "$name" "$name-authority" "1 day ago" "1 day" extendedKeyUsage=critical,timeStamping
    cat "$name.pem" "$name-authority.pem" >"$name.chain.pem"
  done
  trusted_root ../roots/private.json authority
  trusted_root ../roots/timed.json authority --tsa="url=https://times.example.org,certificate-chain=times.chain.pem"
  trusted_root ../roots/logged.json authority --rekor="$log"
  trusted_root ../roots/both.json authority --rekor="$log" --tsa="url=https://times.example.org,certificate-chain=times.chain.pem"
  trusted_root ../roots/proven.json authority --ctfe="$log"
  trusted_root ../roots/other.json other
  signer ada authority "1 hour ago" "1 day"
  signer bob authority "1 hour ago" "1 day" bob@example.org
  signer elsewhere authority "1 hour ago" "1 day" ada@example.org https://elsewhere.example.org
  signer stranger other "1 hour ago" "1 day"
  signer old authority "2 days ago" "1 day ago"
  cp -R ../roots ../roots-inside
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  sides_stop
}

setup() {
  source "$BATS_TEST_DIRNAME/sides.bash"
  source "$BATS_TEST_DIRNAME/authority.bash"
  sides_test
  export TRUST_ROOTS=$KEYS/roots
  cp -R "$KEYS/sigstore/." "$BATS_TEST_TMPDIR"
}

# Runs a command of ours as the closed side would, with its own copies of the roots.
inside_rooted() { TRUST_ROOTS=${INSIDE_ROOTS:-$KEYS/roots-inside} inside "$@"; }

# Pushes an image that is tagged 1 and prints its reference by digest.
image() { # name [registry]
  local image
  image=$(push_image "${2:-$PLAIN}/mini/$NAME-$1" "$NAME $1")
  tagged "$image" 1
  printf '%s\n' "$image"
}

# Pushes an image with a signature, as cosign would without keys.
signed_image() { # name signer [type] [material]
  local image
  image=$(image "$1")
  signed_bundle "$2" "${image#*@}" "${@:3}" >"$1.bundle"
  hang "$image" "$1.bundle"
}

# Adds an image to the list by the rule.
keyless() { # name root [identity] [issuer]
  printf '%s/mini/%s-%s:1 keyless %s %s %s\n' "$PLAIN" "$NAME" "$1" "$2" "${3:-ada@example.org}" "${4:-$ISSUER}" >>images.txt
}

# Locks and exports images.txt as this test's stream.
out() { # folder words…
  bundle lock --images images.txt
  AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle export --lock images.lock --key "$KEYS/bundle.key" --stream "$NAME" --without chart --without policies --out "$@"
}

# Edits the manifest of a bundle on one medium, and signs it again as whoever has the key could.
forged() { # from to filter
  local name
  cp -R "$1" "$2"
  (
    cd "$2/medium-1"
    jq "$3" manifest.json >edited && mv edited manifest.json
    document_sign manifest.json "$KEYS/bundle.key" manifest.json.sig
    for name in manifest.json manifest.json.sig; do sed -i "s|^.*  $name\$|$(trust_hash "$name")  $name|" SHA256SUMS; done
    document_sign SHA256SUMS "$KEYS/bundle.key" SHA256SUMS.sig
  )
}

ended() { openssl x509 -in "$1.pem" -noout -checkend 0; } # signer

# Fails, and shows what was said, unless all of these are told.
told() { # pattern…
  local words
  for words in "$@"; do
    # shellcheck disable=SC2053  # a pattern
    [[ $stderr == *$words* ]] || {
      printf 'not told: %s\n%s\n' "$words" "$stderr" >&2
      return 1
    }
  done
}

@test "an image is locked that was signed for an identity by the word of an issuer, with whatever proof of time its root asks for" {
  local both logged timed
  signed_image now ada
  timed=$(image timed) logged=$(image logged) both=$(image both)
  signed_bundle old "${logged#*@}" >logged.bundle
  signed_bundle old "${logged#*@}" "" "$(logged old log "36 hours ago")" >logged.bundle
  # A certificate that ends in a moment; its signature is as good later, by the time that was signed, or written in a log.
  signer short authority "1 hour ago" "8 seconds"
  signed_bundle short "${timed#*@}" >timed.bundle
  signed_bundle short "${timed#*@}" "" "$(stamped short times)" >timed.bundle
  signed_bundle short "${both#*@}" >both.bundle
  stamped short times >stamp
  # A log that tells no time, and the time beside it; among signatures that are not the one that is wanted.
  logged short log now | jq --slurpfile time stamp '$time[0] + . | del(.tlogEntries[0].inclusionPromise, .tlogEntries[0].integratedTime)' >material
  signed_bundle short "${both#*@}" "" "$(<material)" >both.bundle
  signed_bundle bob "${both#*@}" >others.bundle
  image_sign "$both" "$KEYS/release.key" release
  hang "$both" others.bundle
  hang "$both" both.bundle
  hang "$timed" timed.bundle
  hang "$logged" logged.bundle
  wait_until 30 eval '! ended short'
  keyless now private
  keyless timed timed
  keyless logged logged
  keyless both both
  # Who has a log that tells the time needs no other, even if the root knows of one.
  echo "$PLAIN/mini/$NAME-logged:1 as mini/again keyless both ada@example.org $ISSUER" >>images.txt
  bundle lock --images images.txt >table
  [[ $(grep -c 'keyless: ada@example.org' table) == 5 ]]
  jq -e --arg sha "$(sha256sum <"$TRUST_ROOTS/private.json" | cut -c 1-64)" --arg issuer "$ISSUER" '.images[0].rule == {rule: "keyless", root: "private", sha256: $sha, identity: "ada@example.org", issuer: $issuer}' images.lock
}

@test "whatever is not a signature of that image by that identity, with the proofs its root asks for, is not locked, and why is told" {
  local image
  signed_image who bob && keyless who private
  signed_image issuer elsewhere && keyless issuer private
  signed_image root stranger && keyless root private
  signed_image attested ada https://spdx.dev/Document && keyless attested private
  signed_image ended old && keyless ended private
  signed_image untimed ada && keyless untimed timed
  signed_image unlogged ada && keyless unlogged logged
  signed_image unproven ada && keyless unproven proven
  image >/dev/null unsigned && keyless unsigned private
  image_sign "$(image keyed)" "$KEYS/release.key" release && keyless keyed private
  # By an authority of times and in a log that the root does not have, and at a time when the certificate had ended.
  image=$(image foreign) && signed_bundle old "${image#*@}" >foreign.bundle
  signed_bundle old "${image#*@}" "" "$(stamped old times-other)" >foreign.bundle && hang "$image" foreign.bundle && keyless foreign timed
  image=$(image log) && signed_bundle old "${image#*@}" >log.bundle
  signed_bundle old "${image#*@}" "" "$(logged old log-other "36 hours ago")" >log.bundle && hang "$image" log.bundle && keyless log logged
  image=$(image late) && signed_bundle old "${image#*@}" >late.bundle
  signed_bundle old "${image#*@}" "" "$(logged old log "1 hour ago")" >late.bundle && hang "$image" late.bundle && keyless late logged
  # In a log that tells no time, and no time beside it.
  image=$(image timeless) && signed_bundle ada "${image#*@}" >timeless.bundle
  signed_bundle ada "${image#*@}" "" "$(logged ada log now | jq -c 'del(.tlogEntries[0].inclusionPromise, .tlogEntries[0].integratedTime)')" >timeless.bundle
  hang "$image" timeless.bundle && keyless timeless both
  # Of another image, and altered afterwards.
  image=$(image moved) && signed_bundle ada "sha256:$(sha256sum <images.txt | cut -c 1-64)" >moved.bundle && hang "$image" moved.bundle && keyless moved private
  image=$(image altered) && signed_bundle ada "sha256:$(sha256sum <images.txt | cut -c 1-64)" >altered.bundle
  jq -c --arg hex "${image#*@sha256:}" '.dsseEnvelope.payload |= (@base64d | fromjson | .subject[0].digest.sha256 = $hex | tojson | @base64)' altered.bundle >edited.bundle
  hang "$image" edited.bundle && keyless altered private
  run --separate-stderr bundle lock --images images.txt
  [[ $status == 65 && ! -e images.lock ]]
  told "$NAME-who:1: it is not signed by ada@example.org of $ISSUER, as the root private has it: "*'expected SAN value "ada@example.org", got "bob@example.org"' \
    "$NAME-issuer:1: it is not signed by ada@example.org of "*"expected issuer value \"$ISSUER\"" "$NAME-root:1: it is not signed by"*"leaf certificate" \
    "$NAME-attested:1: it is not signed; what is attested of it is no signature" "$NAME-ended:1: it is not signed by"*"leaf certificate" \
    "$NAME-untimed:1: it is not signed by"*"timestamps" "$NAME-unlogged:1: it is not signed by"*"log inclusion" "$NAME-unproven:1: it is not signed by"*"certificate timestamp" \
    "$NAME-unsigned:1: it is not signed" "$NAME-keyed:1: it is signed by a key, and by no certificate" "$NAME-foreign:1: it is not signed by"*"timestamps" \
    "$NAME-log:1: it is not signed by"*"log inclusion" "$NAME-late:1: it is not signed by"*"integrated time outside certificate validity" \
    "$NAME-timeless:1: it is not signed by"*"timestamps" "$NAME-moved:1: it is not signed" "$NAME-altered:1: it is not signed by"*"signature"
  # None of them was left out.
  [[ $(grep -c ":1: it is " <<<"$stderr") == $(wc -l <images.txt) ]]
}

@test "a root that is not here, is none or is of no use is told with what to do, before anything is asked" {
  mkdir own
  TRUST_ROOTS=$PWD/own
  local rule="keyless private ada@example.org $ISSUER"
  signed_image now ada
  keyless now private
  stop_plain "$KEYS"
  refused 78 "the root private is not here: bring this Sigstore trusted root by another way than a bundle, compare its SHA-256, and put it at $PWD/own/private.json" bundle lock --images images.txt
  for text in '{}' 'no JSON' '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}' "$(jq -c '.certificate_authorities = .certificateAuthorities' "$KEYS/roots/private.json")"; do
    printf '%s' "$text" >own/private.json
    refused 78 "$PWD/own/private.json is no Sigstore trusted root" bundle lock --images images.txt
  done
  start_plain "$KEYS"
  jq '.certificateAuthorities[0].certChain.certificates[0].rawBytes = "AAAA"' "$KEYS/roots/private.json" >own/private.json
  refused 78 "$PWD/own/private.json cannot be used: " bundle lock --images images.txt
  # What is written otherwise is no rule.
  for rule in "keyless private ada@example.org" "keyless ../private ada@example.org $ISSUER" 'keyless private a"b '"$ISSUER" "keyless private a\\b $ISSUER" "keyless Private ada@example.org $ISSUER"; do
    echo "$PLAIN/mini/$NAME-now:1 $rule" >images.txt
    refused 65 "is no rule" bundle lock --images images.txt
  done
  # Another root is another rule.
  cp "$KEYS/roots/private.json" own/private.json
  rm images.txt && keyless now private
  bundle lock --images images.txt
  jq . own/private.json >pretty && mv pretty own/private.json
  run bundle lock --images images.txt --check
  [[ $status == 65 && $output == *"another rule or place"* ]]
}

@test "from the lock to the last import it is verified by the roots of whoever verifies, and a delta in place" {
  local image registry
  image=$(push_index "$PLAIN/mini/$NAME-now" "an index")
  tagged "$image" 1
  signed_bundle ada "${image#*@}" >now.bundle
  hang "$image" now.bundle
  keyless now private
  out first
  inside_rooted bundle inspect first | grep -F "must be signed by ada@example.org of $ISSUER, as the root private has it"
  inside_rooted bundle verify first | grep -E "^$PLAIN/mini/$NAME-now:1 .*signed by ada@example.org, with a certificate$"
  inside_rooted bundle verify --json first | jq -e '.images[0].believed == {how: "keyless", who: "ada@example.org"}'
  for registry in "$HERE" "$NATIVE"; do
    inside_rooted bundle import --to "$registry" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" first
    [[ $(oras resolve "$registry/mini/$NAME-now:1") == "${image#*@}" ]]
    inside "$ROOT/policy/admit" --purpose import "$registry/mini/$NAME-now@${image#*@}"
  done
  inside bundle receipt --to "$HERE" --stream "$NAME" --out back
  signed_image new ada
  keyless new private
  out second --since back/receipt.json
  # What is inside already is verified there: a rule that somebody edited does not hold.
  forged second edited '(.images[] | select(.path | endswith("now")).rule.identity) = "bob@example.org"'
  inside_rooted bundle verify edited
  refused 65 "$NAME-now@${image#*@}, which is inside: it is not signed by bob@example.org" \
    inside_rooted bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" edited
  [[ ! $(oras resolve "$HERE/mini/$NAME-new:1" 2>/dev/null) ]]
  inside_rooted bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" second
  [[ $(oras resolve "$HERE/mini/$NAME-new:1") == sha256:* ]]
}

@test "a bundle whose rules were edited, or whose root is not here or is another, is refused, though its key signed it" {
  signed_image now ada
  keyless now private
  out out
  INSIDE_ROOTS=$PWD/none refused 78 "the root private is not here: bring this Sigstore trusted root by another way than a bundle, compare its SHA-256 ($(jq -r '.images[0].rule.sha256' images.lock)), and put it at $PWD/none/private.json" \
    inside_rooted bundle verify out
  mkdir others && cp "$KEYS/roots/other.json" others/private.json
  INSIDE_ROOTS=$PWD/others refused 65 "the root private here is another (SHA-256 $(trust_hash others/private.json))" inside_rooted bundle verify out
  INSIDE_ROOTS=$PWD/others refused 65 "the root private here is another" inside_rooted bundle import --to "$HERE" --dry-run out
  forged out who '.images[0].rule.identity = "bob@example.org"'
  refused 65 "it is not signed by bob@example.org" inside_rooted bundle verify who
  forged out issuer '.images[0].rule.issuer = "https://elsewhere.example.org"'
  refused 65 "expected issuer value" inside_rooted bundle verify issuer
  forged out root "(.images[0].rule | .root, .sha256) |= . | .images[0].rule.root = \"other\" | .images[0].rule.sha256 = \"$(trust_hash "$KEYS/roots/other.json")\""
  refused 65 "as the root other has it" inside_rooted bundle verify root
  forged out logged ".images[0].rule.root = \"logged\" | .images[0].rule.sha256 = \"$(trust_hash "$KEYS/roots/logged.json")\""
  refused 65 "log inclusion" inside_rooted bundle verify logged
  # What is written otherwise than the format says.
  for filter in '.sha256 = "0"' 'del(.issuer)' '.more = 1' '.root = "../private"' '.identity = "a b"' '.identity = "a\\"' '.issuer = "a\"b"'; do
    jq ".images[0].rule |= ($filter)" out/medium-1/manifest.json | jq -r -L "$ROOT/airgap/lib/carried" 'include "manifest"; faults("mini"; 8388608)[]' >faults
    grep -F "keyless by a root for an identity and an issuer" faults
  done
}

@test "an attestation, a signature that ended and none at all do not pass inside, though the bundle's key signed that they may" {
  signed_image attested ada https://spdx.dev/Document
  signed_image ended old
  image unsigned >/dev/null
  printf "$PLAIN/mini/$NAME-%s:1 vouched ada@example.org until 2099-01-01 reviewed\n" attested ended unsigned >images.txt
  out out
  forged out edited ".images[].rule = {rule: \"keyless\", root: \"private\", sha256: \"$(trust_hash "$KEYS/roots/private.json")\", identity: \"ada@example.org\", issuer: \"$ISSUER\"}"
  run --separate-stderr inside_rooted bundle verify edited
  [[ $status == 65 ]]
  told "$NAME-attested@sha256:"*": it is not signed; what is attested of it is no signature" "$NAME-ended@sha256:"*"leaf certificate" "$NAME-unsigned@sha256:"*": it is not signed" ": 3 faults"
}

@test "a signature that is not found in place after it was written moves no name" {
  local image
  signed_image now ada
  keyless now private
  out out
  # A cosign that finds nothing the second time it is asked: it is verified on the medium, and not in the registry.
  mkdir bin
  printf '#!/usr/bin/env bash\nif [[ $* == *verify-blob-attestation* ]]; then echo >>%q; (($(wc -l <%q) < 2)) || { echo "Error: it is gone" >&2; exit 1; }; fi\nexec %q "$@"\n' \
    "$PWD/asked" "$PWD/asked" "$(type -P env)" >bin/env
  chmod +x bin/env
  PATH=$PWD/bin:$PATH refused 65 "signatures did not arrive whole: no name was moved" \
    inside_rooted bundle import --to "$HERE" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" out
  [[ $stderr == *"it is gone"* && ! $(oras resolve "$HERE/mini/$NAME-now:1" 2>/dev/null) ]]
  # A cosign that cannot be asked is no answer.
  printf '#!/usr/bin/env bash\nexit 137\n' >bin/env
  PATH=$PWD/bin:$PATH refused 69 "cosign cannot say who signed it: it ended with 137" inside_rooted bundle verify out
}

@test "a clock that was set back does not make a certificate good that has ended" {
  local part image code=0
  image=$(image now)
  signed_bundle ada "${image#*@}" >referrer.1.certified
  printf '%s\n' "$(openssl x509 -in ada.pem -outform DER | base64 -w 0)" >referrer.1.certificate
  TEMPORARY=$PWD/temporary
  mkdir "$TEMPORARY"
  source "$ROOT/airgap/lib/carried/keyless.sh"
  keyless_root private
  keyless_cosign referrer.1.certified private ada@example.org "$ISSUER" "${image#*@}"
  TRUST_FLOOR=$(date -u -d "3 days" +%Y-%m-%dT%H:%M:%SZ)
  keyless_cosign referrer.1.certified private ada@example.org "$ISSUER" "${image#*@}" || code=$?
  [[ $code == 65 && $KEYLESS_WHY == *"with a certificate that ended at "*", and nothing proves that it was signed before" ]]
}

@test "neither lock nor verify reaches for anything but the registry of the image; roots stay at home" {
  [[ $EUID == 0 ]] || skip "needs root"
  signed_image now ada
  keyless now private
  "$ROOT/airgap/prove-offline" --registry "$PLAIN" -- "$ROOT/airgap/bundle" lock --images images.txt
  mkdir -p policies/roots && echo rule >policies/rule && cp "$TRUST_ROOTS/private.json" policies/roots/
  AIRGAP_STATE=$PWD/outside bundle export --lock images.lock --key "$KEYS/bundle.key" --stream "$NAME" --without chart --policies policies --out out
  TRUST_ROOTS=$KEYS/roots-inside "$ROOT/airgap/prove-offline" -- "$ROOT/airgap/bundle" verify out
  [[ ! $(grep -rlF "$(jq -r '.certificateAuthorities[0].certChain.certificates[0].rawBytes' "$TRUST_ROOTS/private.json")" out) ]]
  tar -tzf "out/medium-1/blobs/sha256/$(jq -r '.images[] | select(.kind == "policies") | .digest[7:]' out/medium-1/manifest.json | xargs -I{} jq -r '.layers[0].digest[7:]' "out/medium-1/blobs/sha256/{}")" >list
  grep -Fx policy/rule list
  [[ ! $(grep roots list) ]]
}
