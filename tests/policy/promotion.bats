# Promotions, as policy/admit verifies them, beside two real registries.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/signed.bash"
  signed_start
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/signed.bash"
  signed_stop
}

setup() {
  source "$BATS_TEST_DIRNAME/signed.bash"
  signed_test
}

# Asks whether an image is promoted, which must end with this code and these words.
judged() { # code words reference
  local code=0
  rm -rf asked && mkdir asked
  (
    trust_open "$PWD/asked/keys"
    sign_gather "$PWD/asked" "$3"
    promotion_verdict "$PWD/asked/1" "$3" || code=$?
    printf '%s %s %s\n' "$code" "${SIGN_KEY:--}" "$SIGN_WHY"
  ) >verdict
  [[ $(<verdict) == "$1 "* && $(<verdict) == *"$2"* ]] || {
    echo "$3: $(<verdict)" >&2
    return 1
  }
}

@test "an image that a promoter's key attested for its repository is promoted, on both kinds of registries" {
  local registry image
  for registry in "$PLAIN" "$LISTING"; do
    image=$(push_image "$registry/mini/mini-api" "good in $registry")
    judged 65 "it is not promoted" "$image"
    hang_signature "$image" "$KEYS/importer.key" import
    judged 65 "it is not promoted" "$image"
    hang_promotion "$image" "$KEYS/promoter.key"
    judged 0 promoter "$image"
  done
}

@test "cosign attests it, and what cosign attested is believed" {
  local image
  image=$(push_image "$PLAIN/mini/mini-api" "by cosign")
  (cd "$KEYS" && "$ROOT/scripts/trust" key cosigner && "$ROOT/scripts/trust" add cosigner.pub --id cosigner --purpose promotion --repository "$PLAIN/mini/*" &&
    "$ROOT/scripts/trust" sign root.key)
  a_promotion "$PLAIN/mini/mini-api" '. + {from: "registry.intra/mini/mini-api-rc", version: "1.0.0"}' >predicate
  promotion_attest "$image" "$KEYS/cosigner.key" "$PWD/predicate"
  judged 0 cosigner "$image"
  # What is malformed is not even signed.
  a_promotion "$PLAIN/mini/mini-api" 'del(.until)' >predicate
  run promotion_attest "$image" "$KEYS/cosigner.key" "$PWD/predicate"
  [[ $status == 65 && $output == *"is no promotion: the field \"until\" is missing"* ]]
}

@test "keys that are unknown, revoked, or for another purpose promote nothing" {
  local image
  image=$(push_image "$PLAIN/mini/mini-api" "wrong keys")
  hang_promotion "$image" "$KEYS/stranger.key"
  judged 65 "it is not promoted" "$image"
  hang_promotion "$image" "$KEYS/importer.key"
  judged 65 "key importer is for import, not for promotion" "$image"
  image=$(push_image "$PLAIN/mini/mini-api" "revoked")
  hang_promotion "$image" "$KEYS/lost-promoter.key"
  judged 65 "key lost-promoter is revoked since" "$image"
  # Beside a good one they do no harm.
  hang_promotion "$image" "$KEYS/promoter.key"
  judged 0 promoter "$image"
}

@test "a promotion of another image, or for another repository, is none of this one" {
  local image other
  image=$(push_image "$PLAIN/mini/mini-api" "the one")
  other=$(push_image "$PLAIN/mini/mini-api" "the other one")
  hang_statement "$image" "$KEYS/promoter.key" "$PROMOTION" "$(a_promotion "$PLAIN/mini/mini-api")" null "${other#*@}"
  judged 65 "it is not promoted" "$image"
  hang_promotion "$image" "$KEYS/promoter.key" '.repository |= sub("mini-api"; "shop")'
  judged 65 "the promotion by key promoter is for $PLAIN/mini/shop" "$image"
  # Copied with its image.
  hang_promotion "$other" "$KEYS/promoter.key"
  oras cp --recursive "$other" "$PLAIN/mini/copy@${other#*@}" >&2
  judged 0 promoter "$other"
  judged 65 "is for $PLAIN/mini/mini-api" "$PLAIN/mini/copy@${other#*@}"
}

@test "a promotion that has ended, has not begun, or is another organisation's does not hold" {
  local image
  image=$(push_image "$PLAIN/mini/mini-api" "ended")
  hang_promotion "$image" "$KEYS/promoter.key" '.promoted = "2026-01-01T00:00:00Z" | .until = "2026-01-02T00:00:00Z"'
  judged 65 "does not hold since 2026-01-02T00:00:00Z" "$image"
  image=$(push_image "$PLAIN/mini/mini-api" "not begun")
  hang_promotion "$image" "$KEYS/promoter.key" '.promoted = "2999-01-01T00:00:00Z" | .until = "2999-01-02T00:00:00Z"'
  judged 65 "does not hold before 2999-01-01T00:00:00Z" "$image"
  image=$(push_image "$PLAIN/mini/mini-api" "of others")
  hang_promotion "$image" "$KEYS/promoter.key" '.audience = "maxi"'
  judged 65 "is for the organisation maxi, not for mini" "$image"
}

@test "it ends by itself when its time is over" {
  local image
  image=$(push_image "$PLAIN/mini/mini-api" "ends soon")
  hang_promotion "$image" "$KEYS/promoter.key"
  judged 0 promoter "$image"
  # Nobody's clock need be set: this one is never earlier than TRUST_FLOOR.
  TRUST_FLOOR=$(date -u -d '25 hours' +%Y-%m-%dT%H:%M:%SZ) judged 65 "does not hold since" "$image"
}

@test "what has another predicate type is no promotion" {
  local image
  image=$(push_image "$PLAIN/mini/mini-api" "another type")
  for type in "${PROMOTION%1}2" "$PROMOTION/" https://spdx.dev/Document "$SIGN_STATEMENT"; do
    hang_statement "$image" "$KEYS/promoter.key" "$type" "$(a_promotion "$PLAIN/mini/mini-api")"
  done
  judged 65 "it is not promoted" "$image"
}

@test "a registry that cannot be asked is not one that refuses" {
  local image
  image=$(push_image "$PLAIN/mini/mini-api" "unknown")
  hang_promotion "$image" "$KEYS/promoter.key"
  DOCKER_CONFIG=$PWD judged 69 credentials "$image"
  judged 65 "not pinned" "$PLAIN/mini/mini-api:1"
  judged 0 promoter "$image"
}

# What a promotion must not be: a jq program a line, which alters a good one.
malformed() {
  cat <<'PROGRAMS'
del(.audience)
del(.purpose)
del(.repository)
del(.promoted)
del(.until)
del(.reason)
.more = "field"
.audience = "Mini"
.audience = null
.purpose = "release"
.repository = "registry.intra/mini/*"
.repository = "mini-api"
.repository = ["registry.intra/mini/mini-api"]
.until = "tomorrow"
.until = 4102444800
.until = "2026-02-30T00:00:00Z"
.until = "2999-01-01T00:00:00+00:00"
.promoted = "2026-01-31"
.reason = ""
.reason = "two\nlines"
.from = "registry.intra/mini/*"
.version = "one two"
[.]
"text"
null
PROGRAMS
}

@test "what is malformed does not hold, and the schema says the same of it" {
  local image program n=0
  image=$(push_image "$PLAIN/mini/mini-api" "malformed")
  mkdir -p chart/templates
  printf 'apiVersion: v2\nname: schema\nversion: 1.0.0\n' >chart/Chart.yaml
  jq '{type: "object", required: ["predicate"], properties: {predicate: del(.definitions)}, definitions}' "$ROOT/policy/promotion.schema.json" >chart/values.schema.json
  malformed >programs
  while IFS= read -r program; do
    a_promotion registry.intra/mini/mini-api "$program" | jq '{predicate: .}' >values.json
    jq .predicate values.json >predicate
    [[ $(promotion_form predicate) ]] || { echo "taken for well-formed: $program" >&2 && return 1; }
    run helm template chart --values values.json
    [[ $status != 0 && $output == *"predicate"* ]] || { echo "the schema takes it: $program" >&2 && return 1; }
    n=$((n + 1))
  done <programs
  ((n >= 25))
  for program in . '. + {from: "registry.intra/mini/mini-api-rc", version: "1.0.0+build.5"}' '.reason = "é"'; do
    a_promotion registry.intra/mini/mini-api "$program" | jq '{predicate: .}' >values.json
    jq .predicate values.json >predicate
    [[ ! $(promotion_form predicate) ]]
    helm template chart --values values.json
  done
  # Through the registry as well, the ones that are objects; all hang on one image.
  hang_promotion "$image" "$KEYS/promoter.key" 'del(.until)'
  hang_promotion "$image" "$KEYS/promoter.key" '.more = "field"'
  hang_promotion "$image" "$KEYS/promoter.key" '.until = 4102444800'
  hang_promotion "$image" "$KEYS/promoter.key" '[.]'
  judged 65 "is not well-formed" "$image"
}

@test "policy/admit asks for a promotion where it is told to, and a broken glass lets one image through" {
  local image glass
  image=$(push_image "$PLAIN/mini/mini-api" "asked by admit")
  hang_signature "$image" "$KEYS/importer.key" import
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: once}\nspec:\n  restartPolicy: Never\n  securityContext: {runAsNonRoot: true, runAsUser: 1}\n  containers: [{name: once, image: "%s"}]\n' "$image" >pod.yaml
  "$ROOT/policy/admit" "$image" pod.yaml
  run "$ROOT/policy/admit" --promoted "$image" pod.yaml
  [[ $status == 65 && $output == *"it is not promoted"*"Pod/once, container once ($image): promoted: have it promoted"* ]]
  export BREAK_GLASS=$PWD/glass
  glass=$("$ROOT/policy/break-glass" open --key "$KEYS/breaker.key" --image "$image" --rule promoted --for 1h --reason "a long night")
  run "$ROOT/policy/admit" --promoted --break-glass "$glass" "$image" pod.yaml
  [[ $status == 0 && $output == *"promoted is let through, as the glass is broken until "*"excepted pod.yaml: "*"a long night (glass-"* ]]
  # For that rule alone, and that image.
  glass=$("$ROOT/policy/break-glass" open --key "$KEYS/breaker.key" --image "$image" --rule probes --for 1h --reason "a long night")
  run "$ROOT/policy/admit" --promoted --break-glass "$glass" "$image" pod.yaml
  [[ $status == 65 ]]
  hang_promotion "$image" "$KEYS/promoter.key"
  "$ROOT/policy/admit" --promoted "$image" pod.yaml
}
