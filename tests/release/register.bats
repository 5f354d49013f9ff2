# The register of releases: what was released stays what it was, or somebody notices.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT COSIGN_PASSWORD=only-for-tests
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  cd "$BATS_FILE_TMPDIR"
  export TRUST=$BATS_FILE_TMPDIR/trust TRUST_PIN=$BATS_FILE_TMPDIR/pin
  for name in root ours other; do "$ROOT/scripts/trust" key "$name"; done
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add ours.pub --id ours --purpose release --repository 'registry.intra/mini/*'
  "$ROOT/scripts/trust" add other.pub --id other --purpose release --repository 'registry.intra/other/*'
  "$ROOT/scripts/trust" sign root.key
}

setup() {
  local part
  for part in project log document trust register; do source "$ROOT/scripts/lib/$part.sh"; done
  KEYS=$BATS_FILE_TMPDIR
  cd "$BATS_TEST_TMPDIR"
  REGISTER=$PWD/register
  trust_open "$PWD/keys"
}

repository=registry.intra/mini/mini-api

# Appends a release whose digests follow from its version.
released() { # version
  local hash
  hash=$(printf '%s' "$1" | sha256sum | cut -d ' ' -f 1)
  register_append "$repository" "$(jq -n --arg version "$1" --arg hash "$hash" '{version: $version, channel: "release",
    commit: $hash[:40], digest: "sha256:\($hash)", platforms: {"linux/amd64": "sha256:\($hash[1:])0"}, documents: {},
    image: "registry.intra/mini/mini-api@sha256:\($hash)", time: "2026-01-31T00:00:00Z", key: "ours"}')" ours "$KEYS/ours.key" "$([[ -e $REGISTER ]] || echo begin)"
}

verified() { # repository [head]
  local lines
  lines=$(register_verify "$REGISTER" "$@") && register_tell "$REGISTER" "$1" "$lines"
}

# Runs a function that must end with 65 and say these words.
refused() { # words function…
  local words=$1
  shift
  run "$@"
  [[ $status == 65 && $output == *"$words"* ]] || {
    echo "$* ended with $status: $output" >&2
    return 1
  }
}

@test "a register of some releases is consistent, and says that this is all it can say by itself" {
  released 1.0.0
  released 1.0.1
  run verified "$repository"
  [[ $status == 0 && $output == *"2 releases"*"consistent with itself"*"only a head known from elsewhere"* ]]
}

@test "a line that was altered, taken out, put in or put elsewhere is found" {
  local version file=$REGISTER/releases.jsonl
  for version in 1.0.0 1.0.1 1.0.2; do released "$version"; done
  cp -r register sound
  sed -i '2s/1.0.1/1.0.9/' "$file"
  refused "line 3 does not follow" verified "$repository"
  sed '2d' sound/releases.jsonl >"$file"
  refused "line 2 does not follow" verified "$repository"
  sed '2p' sound/releases.jsonl >"$file"
  refused "line 3 does not follow" verified "$repository"
  sed -n '1p;3p' sound/releases.jsonl | cat - <(sed -n 2p sound/releases.jsonl) >"$file"
  refused "line 2 does not follow" verified "$repository"
  head -c -1 sound/releases.jsonl >"$file"
  refused "cut off" verified "$repository"
  { cat sound/releases.jsonl && echo 'no JSON'; } >"$file"
  refused "no JSON" verified "$repository"
  cp sound/releases.jsonl "$file"
  verified "$repository"
}

@test "the last line is guarded by the signed head" {
  released 1.0.0
  released 1.0.1
  cp -r register sound
  sed -i '$s/1.0.1/1.0.9/' register/releases.jsonl
  refused "it was shortened, or the head is another's" verified "$repository"
  head -n 1 sound/releases.jsonl >register/releases.jsonl
  refused "2 lines of $repository, and here are 1" verified "$repository"
  cp sound/releases.jsonl register/releases.jsonl
  jq '.lines = 1' sound/head.json >register/head.json
  refused "not signed by key ours" verified "$repository"
  rm register/head.json.sig
  refused "no signed head" verified "$repository"
}

@test "a register that was rewritten or shortened with the key itself is found by a head known elsewhere" {
  local known
  released 1.0.0
  released 1.0.1
  known=$(jq -r .head register/head.json)
  released 1.0.2
  run verified "$repository" "$known"
  [[ $status == 0 && $output == *"the first 2 are those that were known elsewhere"* ]]
  rm -r register
  released 1.0.0
  refused "rewritten or shortened" verified "$repository" "$known"
  released 1.0.9
  released 1.0.2
  verified "$repository"
  refused "rewritten or shortened" verified "$repository" "$known"
}

@test "a head of another key, repository, type or audience is refused" {
  released 1.0.0
  cp -r register sound
  refused "no release of this repository" verified registry.intra/other/web
  local change words
  while IFS='|' read -r change words; do
    rm -rf register && cp -r sound register
    jq "$change" sound/head.json >register/head.json
    document_sign register/head.json "$KEYS/ours.key" register/head.json.sig
    refused "$words" verified "$repository"
  done <<'TEXT'
.type = "receipt/v1"|of type "receipt/v1"
.audience = "maxi"|for "maxi"
.purpose = "import"|serves "import"
.repository = "registry.intra/mini/web"|the head is another's
.signer = "other"|key other does not speak for
.signer = "nobody"|no key is called
.signer = "ours.*"|no key is called
.signer = "../keys/ours"|no key is called
.signer = ["ours"]|no key is called
.signer = ""|no key is called
TEXT
  # The wrong key for the name that stands there.
  rm -rf register && cp -r sound register
  document_sign register/head.json "$KEYS/other.key" register/head.json.sig
  refused "not signed by key ours" verified "$repository"
}

@test "what cannot be signed is not appended" {
  released 1.0.0
  cp -r register before
  local line
  line=$(head -n 1 register/releases.jsonl | jq -c 'del(.n, .previous, .repository)')
  line=$(jq -c '.version = "1.0.1"' <<<"$line")
  refused "is not the one that the trust file calls ours" register_append "$repository" "$line" ours "$KEYS/other.key"
  refused "key other does not speak for" register_append "$repository" "$line" other "$KEYS/other.key"
  line=$(jq -c '.version = "1.0.1"' <<<"$line")
  refused "no release" register_append "$repository" '{"version": 1}' ours "$KEYS/ours.key"
  refused "no release" register_append "$repository" "$(jq -c '.digest = "sha256:1"' <<<"$line")" ours "$KEYS/ours.key"
  refused "no JSON object" register_append "$repository" "$line"$'\n'"$line" ours "$KEYS/ours.key"
  refused "no JSON object" register_append "$repository" '[' ours "$KEYS/ours.key"
  run register_append "$repository" "$line" ours "$PWD/nowhere.key"
  [[ $status == 77 ]]
  diff -r before register
}

@test "a register whose lines were taken away is not begun again" {
  released 1.0.0
  : >register/releases.jsonl
  refused "and here are 0 of" register_append "$repository" '{}' ours "$KEYS/ours.key"
  refused "there is a register already" register_append "$repository" '{}' ours "$KEYS/ours.key" begin
  rm -r register
  run register_append "$repository" '{}' ours "$KEYS/ours.key"
  [[ $status == 66 && $output == *"or begin one"* ]]
}

@test "a register of another repository's releases is refused" {
  released 1.0.0
  sed -i 's#"repository":"registry.intra/mini/mini-api"#"repository":"registry.intra/mini/web"#' register/releases.jsonl
  refused "no release of this repository" verified "$repository"
}

@test "eight who append at once lose nothing" {
  local n pids=()
  released 1.0.0
  for n in 1 2 3 4 5 6 7 8; do
    released "1.0.$n" 3>&- &
    pids+=("$!")
  done
  for n in "${pids[@]}"; do wait "$n"; done
  [[ $(jq -r .version register/releases.jsonl | sort | uniq | wc -l) == 9 ]]
  verified "$repository"
}

@test "what was left behind and is not sound does not take the register's place" {
  released 1.0.0
  cp -r register sound
  cp -r register register.ready
  sed -i 's/1.0.0/1.0.1/' register.ready/releases.jsonl
  refused "was left behind and is not sound" register_settle "$repository"
  diff -r register sound
}

@test "a release is found by version, commit, digest or the digest of a platform" {
  local wanted
  released 1.0.0
  released 1.0.1
  for wanted in 1.0.1 $(jq -r 'select(.version == "1.0.1") | .digest, .commit, .commit[:12], .platforms["linux/amd64"]' register/releases.jsonl); do
    [[ $(register_trace "$REGISTER" "$wanted" | jq -r .version) == 1.0.1 ]]
  done
  # Without sha256: before it, too; and a version is no beginning of another.
  [[ $(register_trace "$REGISTER" "$(jq -r 'select(.version == "1.0.1").digest[7:]' register/releases.jsonl)" | jq -r .version) == 1.0.1 ]]
  for wanted in 1.0.2 1.0.1-rc; do
    run register_trace "$REGISTER" "$wanted"
    [[ $status == 66 && $output == *"no release has $wanted"* ]]
  done
  run register_trace "$REGISTER" '"'
  [[ $status == 64 ]]
}

@test "whoever was stopped while a release was being written down finds the old register or the new one" {
  released 1.0.0
  cp -r register old
  released 1.0.1
  cp -r register new
  # Stopped before the new one was whole, when it was, and between the renames.
  rm -rf register && cp -r old register && mkdir register.new && echo half >register.new/releases.jsonl
  register_settle "$repository"
  verified "$repository"
  diff -r register old
  cp -r new register.ready
  register_settle "$repository"
  verified "$repository"
  diff -r register new
  mv register register.ready && cp -r old register.old
  register_settle "$repository"
  verified "$repository"
  diff -r register new
  released 1.0.2
  [[ ! -e register.new && ! -e register.ready && ! -e register.old ]]
}
