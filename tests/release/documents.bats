# Signed documents say what they are, and keys say what they may sign.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$ROOT/scripts/lib/project.sh"
  source "$ROOT/scripts/lib/log.sh"
  source "$ROOT/scripts/lib/document.sh"
  source "$ROOT/scripts/lib/trust.sh"
  cd "$BATS_TEST_TMPDIR"
}

@test "a document of another type, for another audience or purpose is refused by name" {
  echo '{"type": "receipt/v1", "audience": "mini", "purpose": "receipt"}' >receipt
  document_is receipt receipt/v1 mini receipt
  run document_is receipt plan/v1 mini receipt
  [[ $status == 65 && $output == *'of type "receipt/v1", not "plan/v1"'* ]]
  run document_is receipt receipt/v1 maxi receipt
  [[ $status == 65 && $output == *'for "mini", not for "maxi"'* ]]
  run document_is receipt receipt/v1 mini bundle
  [[ $status == 65 && $output == *'serves "receipt", not "bundle"'* ]]
  for text in '' '[]' 'null' '{"type": "receipt/v1"' '{}' '"receipt/v1"'; do
    printf '%s' "$text" >receipt
    run document_is receipt receipt/v1 mini receipt
    [[ $status == 65 ]]
  done
}

# Lays out keys as trust_open does.
keys() { # id purpose from until revoked repositories
  TRUST_KEYS=$PWD
  printf '%s\tfingerprint-of-%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "$@" >table
  trust_load
}

past=2020-01-01T00:00:00Z future=2120-01-01T00:00:00Z

@test "a key speaks for its repositories, and for none that only looks like one" {
  keys ours release "$past" "$future" - "registry.intra/mini/* registry.intra:5000/acme/web"
  trust_judge ours release registry.intra/mini/mini-api
  trust_judge ours release registry.intra/mini/team/mini-api
  trust_judge ours release registry.intra:5000/acme/web
  run ! trust_judge ours release ''
  keys parcels bundle "$past" "$future" - ""
  trust_judge parcels bundle ''
  run ! trust_judge parcels bundle registry.intra/mini/mini-api
  keys ours release "$past" "$future" - "registry.intra/mini/* registry.intra:5000/acme/web"
  for other in registry.intra/minimal/web registry.intra/mini registry.intra.evil/mini/web registry.intra:5000/acme/webshop \
    registry.intra:5000/acme/web/x other/registry.intra/mini/web; do
    run ! trust_judge ours release "$other"
  done
}

@test "a key is asked for its purpose, its time and its revocation, and the reason is told" {
  local id purpose from until revoked words
  while IFS='|' read -r id purpose from until revoked words; do
    keys ours "$purpose" "$from" "$until" "$revoked" registry.intra/mini/web
    TRUST_WHY=
    if trust_judge "$id" release registry.intra/mini/web; then
      echo "key $id was let through: $words" >&2
      return 1
    fi
    [[ $TRUST_WHY == *"$words"* ]]
  done <<TEXT
ours|import|$past|$future|-|is for import, not for release
ours|release|$future|$future|-|not valid before $future
ours|release|$past|$past|-|not valid since $past
ours|release|$past|$future|2026-01-31T00:00:00Z|revoked since 2026-01-31T00:00:00Z
theirs|release|$past|$future|-|no key is called 'theirs'
TEXT
}

@test "a key is found by its fingerprint, whole" {
  keys ours release "$past" "$future" - registry.intra/mini/web
  [[ $(trust_key fingerprint-of-ours) == ours ]]
  run ! trust_key fingerprint-of
  run ! trust_key ''
}
