# policy/admit beside two real registries, and beside cosign's own judgement.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT COSIGN_PASSWORD=only-for-tests
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load_house
  cd "$BATS_FILE_TMPDIR"
  start_registries "$BATS_FILE_TMPDIR"
  export TRUST=$BATS_FILE_TMPDIR/trust TRUST_PIN=$BATS_FILE_TMPDIR/pin
  for name in root ours lost limited importer stranger; do "$ROOT/scripts/trust" key "$name"; done
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add ours.pub --id ours --purpose release --repository "$PLAIN/mini/*" --repository "$LISTING/mini/*"
  "$ROOT/scripts/trust" add lost.pub --id lost --purpose release --repository "$PLAIN/mini/*" --repository "$LISTING/mini/*"
  "$ROOT/scripts/trust" add limited.pub --id limited --purpose release --repository "$PLAIN/mini/web" --repository "$LISTING/mini/web"
  "$ROOT/scripts/trust" add importer.pub --id importer --purpose import --repository "$PLAIN/mini/*" --repository "$LISTING/mini/*"
  "$ROOT/scripts/trust" revoke lost --reason "the laptop was stolen" --since 2026-01-31T00:00:00Z
  "$ROOT/scripts/trust" sign root.key
}

teardown_file() {
  load_house
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
}

admit() { "$ROOT/policy/admit" "$@"; }

# Asks for one image, which must end with this code and say these words.
judged() { # code words arguments of admit…
  local code=$1 words=$2
  shift 2
  run admit "$@"
  [[ $status == "$code" && $output == *"$words"* ]] || {
    echo "admit $* ended with $status: $output" >&2
    return 1
  }
}

# What cosign itself says of an image and a key; it takes an attestation for a signature, so that is looked at.
cosign_accepts() { # reference key
  local said
  said=$(cosign_offline verify --key "$2" --registry-cacert "$REGISTRY_CA" "$1" 2>/dev/null) &&
    jq -es 'any(.[][]; .critical.type == "https://sigstore.dev/cosign/sign/v1")' >/dev/null <<<"$said"
}

@test "an image that a key of ours signed in its repository is admitted, on both kinds of registries, as cosign does" {
  local registry image
  for registry in "$PLAIN" "$LISTING"; do
    image=$(push_image "$registry/mini/mini-api" "signed in $registry")
    judged 65 "it is not signed" "$image"
    image_sign "$image" "$KEYS/ours.key" release
    judged 0 "(key ours)" "$image"
    judged 0 "(key ours)" "${image/@/:1.0.0@}"
    cosign_accepts "$image" "$KEYS/ours.pub"
    run ! cosign_accepts "$image" "$KEYS/stranger.pub"
  done
}

@test "an attestation is no signature" {
  local image
  for registry in "$PLAIN" "$LISTING"; do
    image=$(push_image "$registry/mini/mini-api" "attested in $registry")
    echo '{"name": "something"}' >predicate
    image_attest "$image" "$KEYS/ours.key" https://spdx.dev/Document predicate
    judged 65 "what is attested of it is no signature" "$image"
  done
}

@test "an empty predicate is not attested" {
  local image text
  image=$(push_image "$PLAIN/mini/mini-api" "nothing attested")
  for text in '{}' '[]' 'null' '' '{"a":'; do
    printf '%s' "$text" >predicate
    run image_attest "$image" "$KEYS/ours.key" https://spdx.dev/Document predicate
    [[ $status == 65 && $output == *"says nothing"* ]]
  done
  judged 65 "it is not signed" "$image"
}

@test "keys that are unknown, revoked, for other repositories or purposes are refused, each by its name" {
  local registry image key
  for registry in "$PLAIN" "$LISTING"; do
    image=$(push_image "$registry/mini/mini-api" "refused in $registry")
    image_sign "$image" "$KEYS/stranger.key" release
    judged 65 "a key that the trust file does not have: $(document_fingerprint "$KEYS/stranger.pub")" "$image"
    image_sign "$image" "$KEYS/lost.key" release
    judged 65 "key lost is revoked since 2026-01-31T00:00:00Z" "$image"
    image_sign "$image" "$KEYS/limited.key" release
    judged 65 "signed, but key" "$image"
    image_sign "$image" "$KEYS/importer.key" import
    judged 65 "" --purpose release "$image"
    judged 0 "(key importer)" "$image"
    # All hang on it beside each other, and one good signature is enough.
    image_sign "$image" "$KEYS/ours.key" release
    judged 0 "(key ours)" --purpose release "$image"
  done
  image=$(push_image "$PLAIN/mini/shop" "limited")
  image_sign "$image" "$KEYS/limited.key" release
  judged 65 "key limited does not speak for $PLAIN/mini/shop" "$image"
  image=$(push_image "$PLAIN/mini/web" "limited")
  image_sign "$image" "$KEYS/limited.key" release
  judged 0 "(key limited)" "$image"
  # The right key under the wrong purpose.
  image=$(push_image "$PLAIN/mini/web" "release signed for the import")
  image_sign "$image" "$KEYS/ours.key" import
  judged 65 "key ours is for release, not for import" "$image"
}

@test "a signature that was copied to another repository, or to another image, counts for nothing there" {
  local image other
  image=$(push_image "$PLAIN/mini/mini-api" "copied")
  image_sign "$image" "$KEYS/ours.key" release
  oras cp --recursive "$image" "$PLAIN/mini/copy@${image#*@}" >&2
  judged 65 "for another repository or purpose" "$PLAIN/mini/copy@${image#*@}"
  # cosign alone would let it run.
  cosign_accepts "$PLAIN/mini/copy@${image#*@}" "$KEYS/ours.pub"
  # Under another image's name in the tag that lists referrers.
  other=$(push_image "$PLAIN/mini/mini-api" "the other")
  list=${image#*@} list=${list/:/-}
  oras tag "$PLAIN/mini/mini-api:$list" "${other#*@sha256:}" >&2
  oras manifest fetch "$PLAIN/mini/mini-api:$list" >list.json
  oras manifest push "$PLAIN/mini/mini-api:sha256-${other#*@sha256:}" list.json >&2
  judged 65 "it is not signed" "$other"
}

@test "a statement that was altered, and an envelope that was forged, are not believed" {
  local image bundle
  image=$(push_image "$PLAIN/mini/mini-api" "forged")
  image_sign "$image" "$KEYS/stranger.key" release
  # Somebody writes our key's fingerprint on a stranger's signature.
  oras discover --format json "$image" >referrers.json
  bundle=$(jq -r '.referrers[0].digest' referrers.json)
  oras manifest fetch "${image%@*}@$bundle" >manifest.json
  oras blob fetch --output bundle.json "${image%@*}@$(jq -r '.layers[0].digest' manifest.json)" >&2
  hint=$(openssl pkey -pubin -in "$KEYS/ours.pub" -outform DER | openssl dgst -sha256 -binary | base64)
  jq -c --arg hint "$hint" '.verificationMaterial.publicKey.hint = $hint' bundle.json >forged.json
  attach_bundle "$image" forged.json
  judged 65 "does not have: $(document_fingerprint "$KEYS/stranger.pub")" "$image"
  # Somebody turns the statement of another image into one of this.
  other=$(push_image "$PLAIN/mini/mini-api" "signed well")
  image_sign "$other" "$KEYS/ours.key" release
  bundle=$(oras discover --format json "$other" | jq -r '.referrers[0].digest')
  oras blob fetch --output bundle.json "${image%@*}@$(oras manifest fetch "${image%@*}@$bundle" | jq -r '.layers[0].digest')" >&2
  jq -c --arg from "${other#*@sha256:}" --arg to "${image#*@sha256:}" '
    .dsseEnvelope.payload |= (@base64d | sub($from; $to) | @base64)' bundle.json >altered.json
  attach_bundle "$image" altered.json
  judged 65 "does not have" "$image"
}

# Attaches a file as a signature bundle.
attach_bundle() { # reference file
  oras attach --artifact-type application/vnd.dev.sigstore.bundle.v0.3+json \
    --annotation dev.sigstore.bundle.predicateType=https://sigstore.dev/cosign/sign/v1 \
    "$1" "$2:application/vnd.dev.sigstore.bundle.v0.3+json" >&2
}

@test "what the grammar refuses is refused before any registry is asked" {
  local digest=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  judged 65 "not pinned" "$PLAIN/mini/mini-api:1.0.0"
  judged 65 "latest" "$PLAIN/mini/mini-api:latest@$digest"
  judged 65 "capital letters" "$PLAIN/Mini/mini-api@$digest"
  judged 65 "not in registries.txt" "docker.io/mini/mini-api@$digest"
  judged 65 "there is no such image" "$PLAIN/mini/mini-api@$digest"
}

@test "a registry that cannot be asked is not one that refuses" {
  local image digest=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  image=$(push_image "$PLAIN/mini/mini-api" "unknown")
  image_sign "$image" "$KEYS/ours.key" release
  REGISTRY_CA=/etc/ssl/certs/ca-certificates.crt judged 69 "certificate" "$image"
  DOCKER_CONFIG=$PWD judged 69 "credentials" "$image"
  stop_plain "$KEYS"
  judged 69 "does not answer" "$image"
  # One refusal decides, whatever else is unknown.
  judged 65 "not pinned" "$image" "$PLAIN/mini/mini-api"
  start_plain "$KEYS"
  judged 0 "admitted" "$image"
}

@test "bytes that are not what their digest says are refused" {
  local image hex
  image=$(push_image "$PLAIN/mini/mini-api" "rotten")
  image_sign "$image" "$KEYS/ours.key" release
  judged 0 "admitted" "$image"
  hex=${image#*@sha256:}
  printf ' ' >>"$KEYS/plain/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
  judged 65 "" "$image"
}

@test "many are judged together, and programs get JSON" {
  local image
  image=$(push_image "$PLAIN/mini/mini-api" "many")
  image_sign "$image" "$KEYS/ours.key" release
  printf '%s\n' "$image" "$PLAIN/mini/mini-api:1" | {
    run admit --json -
    [[ $status == 65 ]]
    jq -se --arg image "$image" 'length == 2 and .[0] == {reference: $image, verdict: "admitted", key: "ours"}
      and .[1].verdict == "refused" and (.[1].why | contains("not pinned"))' <<<"$output"
  }
}

@test "without a trust file that somebody confirmed nothing is admitted" {
  TRUST_PIN=$PWD/none judged 78 "no trust file was ever confirmed" "$PLAIN/mini/mini-api:1"
  TRUST=$PWD/none judged 78 "there is no" "$PLAIN/mini/mini-api:1"
}

@test "eight who sign at once on one machine lose nothing" {
  local image pids=() pid
  image=$(push_image "$PLAIN/mini/mini-api" "eight")
  for _ in 1 2 3 4 5 6 7 8; do
    image_sign "$image" "$KEYS/ours.key" release &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
  [[ $(oras discover --format json "$image" | jq '.referrers | length') == 8 ]]
}

@test "the page on trust is true: its commands, one after another" {
  local page=$ROOT/docs/trust.md block image script
  mkdir -p policy
  ln -s "$ROOT/scripts" scripts
  ln -s "$ROOT/policy/admit" policy/admit
  export TRUST=$PWD/policy/trust TRUST_PIN=$PWD/pin
  image=$(push_image "$PLAIN/mini/mini-api" "the page")
  awk '/^```bash$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside { print > ("block." n) }' "$page"
  for block in $(find . -name 'block.*' | sort -t . -k 3n); do
    script=$(<"$block")
    case $script in
      *SHA256_OF_THE_SHEET*)
        rm "$TRUST_PIN"
        SHA256_OF_THE_SHEET=$(sha256sum <"$TRUST/trust.json" | cut -d ' ' -f 1)
        export SHA256_OF_THE_SHEET
        ;;
      *policy/admit*) image_sign "$image" release-2.key release ;;
    esac
    script=${script//registry.intra\/mini\/mini-api@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08/$image}
    script=${script//registry.intra/$PLAIN}
    bash -euo pipefail -c "$script" >out 2>&1 || {
      cat "$block" out >&2
      return 1
    }
  done
  grep -q 'admitted' out
  [[ $(find . -name 'block.*' | wc -l) -ge 8 ]]
}
