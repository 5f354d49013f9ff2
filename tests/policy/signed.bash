# shellcheck shell=bash
# shellcheck disable=SC1090  # the parts are named in a loop
# Images with all that may hang on them, in two real registries: signed, countersigned, attested, promoted; well and badly. Most
# is signed by openssl, as the import does it, since cosign takes its time; what cosign signs is the first of each kind.

# The parts of the project that tests call by name, and what starts registries.
load_house() {
  source "$ROOT/tests/release/registries.bash"
  local part
  for part in project log network process document trust reference registry sign promotion; do source "$ROOT/scripts/lib/$part.sh"; done
}

# What blocks of a file of tests begin and end with: two registries and whom to believe, in the folder of the file; a folder for each test.
signed_start() {
  BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR
  load_house
  start_registries "$BATS_FILE_TMPDIR"
  make_trust "$BATS_FILE_TMPDIR"
}
signed_stop() {
  load_house
  stop_registries "$BATS_FILE_TMPDIR"
}
signed_test() {
  load_house
  # shellcheck disable=SC2034  # read by tests
  KEYS=$BATS_FILE_TMPDIR
  cd "$BATS_TEST_TMPDIR" || return
}

# Makes a key that openssl reads: NAME.key and NAME.pub in this folder.
plain_key() { # name
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null
  openssl pkey -in "$1.key" -pubout -out "$1.pub"
}

# Makes keys and a trust file in a folder, for both registries: release (cosign's), import, promotion; next, promoter's other, lost and
# old ones; a stranger is in no file.
make_trust() { # folder
  local name everywhere=(--repository "$PLAIN/mini/*" --repository "$LISTING/mini/*")
  export TRUST=$1/trust TRUST_PIN=$1/pin COSIGN_PASSWORD=only-for-tests
  cd "$1" || return
  for name in root importer promoter limited lost old stranger lost-promoter breaker; do plain_key "$name"; done
  "$ROOT/scripts/trust" key ours
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add ours.pub --id ours --purpose release "${everywhere[@]}"
  "$ROOT/scripts/trust" add importer.pub --id importer --purpose import "${everywhere[@]}"
  "$ROOT/scripts/trust" add promoter.pub --id promoter --purpose promotion "${everywhere[@]}"
  "$ROOT/scripts/trust" add limited.pub --id limited --purpose release --repository "$PLAIN/mini/web" --repository "$LISTING/mini/web"
  "$ROOT/scripts/trust" add lost.pub --id lost --purpose release "${everywhere[@]}"
  "$ROOT/scripts/trust" add lost-promoter.pub --id lost-promoter --purpose promotion "${everywhere[@]}"
  "$ROOT/scripts/trust" add old.pub --id old --purpose release --from 2020-01-01T00:00:00Z --until 2021-01-01T00:00:00Z "${everywhere[@]}"
  "$ROOT/scripts/trust" add breaker.pub --id breaker --purpose break-glass
  "$ROOT/scripts/trust" revoke lost --reason "the laptop was stolen"
  "$ROOT/scripts/trust" revoke lost-promoter --reason "the laptop was stolen, too"
  "$ROOT/scripts/trust" sign root.key
}

# Hangs a statement on an image: any type, predicate and annotations, signed by a key that openssl reads; of other subjects than the image,
# if their digests are said.
hang_statement() { # reference key type predicate-json [annotations-json] ["digest…"]
  local work hint length
  work=$(mktemp -d "$BATS_TEST_TMPDIR/statement.XXXXXX")
  jq -ncj --arg type "$3" --argjson predicate "$4" --argjson annotations "${5:-null}" --arg digest "${6:-${1#*@}}" '{"_type": "https://in-toto.io/Statement/v1",
    predicateType: $type, predicate: $predicate, subject: ($digest | split(" ") | map({digest: {sha256: ltrimstr("sha256:")}} + if $annotations then {annotations: $annotations} else {} end))}' >"$work/payload"
  length=$(stat --format=%s "$work/payload")
  { printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$length" && cat "$work/payload"; } >"$work/signed"
  hint=$(openssl pkey -in "$2" -pubout -outform DER | openssl dgst -sha256 -binary | base64 -w 0)
  jq -nc --arg hint "$hint" --arg payload "$(base64 -w 0 "$work/payload")" --arg signature "$(openssl dgst -sha256 -sign "$2" "$work/signed" | base64 -w 0)" \
    '{mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json", verificationMaterial: {publicKey: {hint: $hint}},
      dsseEnvelope: {payload: $payload, payloadType: "application/vnd.in-toto+json", signatures: [{sig: $signature}]}}' >"$work/bundle.json"
  (cd "$work" && oras attach --artifact-type application/vnd.dev.sigstore.bundle.v0.3+json \
    --annotation "dev.sigstore.bundle.predicateType=$3" "$1" bundle.json:application/vnd.dev.sigstore.bundle.v0.3+json >&2)
}

# Signs an image in a repository (its own unless said) for a purpose.
hang_signature() { # reference key purpose [repository]
  hang_statement "$1" "$2" "$SIGN_STATEMENT" '{}' "$(jq -nc --arg purpose "$3" --arg repository "${4:-${1%%@*}}" '{purpose: $purpose, repository: $repository}')"
}

# Prints a promotion that holds for a day, altered by a jq program.
a_promotion() { # repository [program]
  jq -nc --arg repository "$1" --arg now "$(date -u -d '1 minute ago' +%Y-%m-%dT%H:%M:%SZ)" --arg until "$(date -u -d '1 day' +%Y-%m-%dT%H:%M:%SZ)" \
    '{audience: "mini", purpose: "promotion", repository: $repository, promoted: $now, until: $until, reason: "tested as candidate 3"} | '"${2:-.}"
}

# Promotes an image by a key, in a way altered by a jq program.
hang_promotion() { # reference key [program]
  hang_statement "$1" "$2" "$PROMOTION" "$(a_promotion "${1%%@*}" "${3:-.}")"
}
