# scripts/release, from a commit to a registry and back, on a service in miniature.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT COSIGN_PASSWORD=only-for-tests
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load_house
  start_registries "$BATS_FILE_TMPDIR"
  make_trust "$BATS_FILE_TMPDIR"
  make_place "$BATS_FILE_TMPDIR/place"
  unset CARGO_TARGET_DIR RELEASE_REPOSITORY RELEASE_KEY
}

teardown_file() {
  load_house
  stop_registries "$BATS_FILE_TMPDIR"
}

load_house() {
  source "$BATS_TEST_DIRNAME/registries.bash"
  source "$BATS_TEST_DIRNAME/place.bash"
  source "$ROOT/tests/refused.bash"
  local part
  for part in project log network process document trust reference registry sign; do source "$ROOT/scripts/lib/$part.sh"; done
}

# Every test has releases, a register and repositories of its own; what was built of a commit is shared.
setup() {
  load_house
  KEYS=$BATS_FILE_TMPDIR PLACE=$BATS_FILE_TMPDIR/place
  cd "$BATS_TEST_TMPDIR"
  export RELEASES=$PWD/releases REGISTER=$PWD/register BASE=$PLAIN/mini/mini-api-$BATS_TEST_NUMBER
  export RELEASE_REPOSITORY=$BASE RELEASE_KEY=$KEYS/ours.key
  mkdir -p "$RELEASES" "$BATS_FILE_TMPDIR/builds"
  ln -s "$BATS_FILE_TMPDIR/builds" "$RELEASES/builds"
}

release() { "${FROM:-$PLACE}/scripts/release" "$@"; }

# A copy of the place for a test that alters it.
own_place() {
  cp -R "$PLACE" place
  FROM=$PWD/place
}

# Prints the statement that cosign itself believes of an image.
attested() { # reference type
  cosign_offline verify-attestation --key "$KEYS/ours.pub" --registry-cacert "$REGISTRY_CA" --type "$2" "$1" 2>/dev/null |
    jq -r '.dsseEnvelope.payload // .payload' | base64 -d
}

# Prints what hangs on an image: how many statements of each kind.
hanging() { # reference
  local referrer
  for referrer in $(oras discover --format json "$1" | jq -r '.referrers[].digest'); do
    oras manifest fetch "${1%@*}@$referrer" | jq -r '.annotations["dev.sigstore.bundle.predicateType"]'
  done | sort | uniq -c
}

# Starts a release that is killed, with all it started, as soon as it is at a step, or a moment later. Counts in LANDED those
# that were not at their end before.
killed_at() { # step moment words…
  local step=$1 moment=$2 pid code=0
  shift 2
  setsid "$PLACE/scripts/release" "$@" >killed.log 2>&1 3>&- &
  pid=$!
  wait_until 120 at_step "$step" "$pid" || return 1
  sleep "$moment"
  kill -KILL -- "-$pid" 2>/dev/null || true
  wait "$pid" || code=$?
  if ((code == 137)); then LANDED=$((LANDED + 1)); else cat killed.log >&2; fi
}

# True when the step was begun, or one after it, or the release ended.
at_step() { # step pid
  local begun later=" build rebuild crates describe push sign attest verify register tag "
  kill -0 "$2" 2>/dev/null || return 0
  begun=$(cat "$RELEASES/1.0.0/begun" 2>/dev/null) || return 1
  [[ $begun == "$1" || ${later#*" $1 "} == *"$begun "* ]]
}

@test "a candidate and a release of one commit are one digest, which tells where it comes from, and the other way round" {
  local image digest commit platform wanted
  image=$(release 1.0.0-rc.1 --begin)
  digest=${image#*@} commit=$(git -C "$PLACE" rev-parse HEAD)
  [[ $image == "$BASE-rc:1.0.0-rc.1@sha256:"* ]]
  [[ $(oras resolve "$BASE-rc:1.0.0-rc.1") == "$digest" ]]
  "$ROOT/policy/admit" --purpose release "$BASE-rc@$digest"
  # What cosign says, and what is attested.
  cosign_offline verify --key "$KEYS/ours.pub" --registry-cacert "$REGISTRY_CA" "$BASE-rc@$digest" >verified
  jq -e --arg digest "$digest" '.[0].critical.image["docker-manifest-digest"] == $digest' verified
  for platform in amd64 arm64; do
    wanted=$(oras manifest fetch "$BASE-rc@$digest" | jq -r --arg platform "$platform" '.manifests[] | select(.platform.architecture == $platform).digest')
    "$ROOT/policy/admit" "$BASE-rc@$wanted"
    diff <(hanging "$BASE-rc@$wanted") <(hanging "$BASE-rc@$digest")
    [[ $(release trace "$wanted" | jq -r .digest) == "$digest" ]]
  done
  [[ $(hanging "$BASE-rc@$digest" | wc -l) == 4 && ! $(hanging "$BASE-rc@$digest" | grep -v '^ *1 http') ]]
  attested "$BASE-rc@$digest" spdxjson | jq -S .predicate >spdx.json
  jq -e '[.packages[].name] | contains(["mini-api", "itoa", "base64", "subtle"])' spdx.json
  attested "$BASE-rc@$digest" slsaprovenance1 | jq -e --arg commit "$commit" '.predicate.buildDefinition | .externalParameters.commit == $commit
    and (.resolvedDependencies | any(.uri == "pkg:cargo/itoa@1.0.19" and (.digest.sha256 | length) == 64))'
  # The release is the candidate, to the bit.
  image=$(release 1.0.0)
  [[ $image == "$BASE:1.0.0@$digest" ]]
  attested "$BASE@$digest" spdxjson | jq -S .predicate | diff spdx.json -
  for wanted in "$digest" "$commit" "${commit:0:9}"; do
    [[ $(release trace "$wanted" | jq -r .version | paste -sd ' ') == "1.0.0-rc.1 1.0.0" ]]
  done
  [[ $(release trace 1.0.0 | jq -r .commit) == "$commit" ]]
  for wanted in $(release trace 1.0.0 | jq -r '.documents[]'); do
    oras manifest fetch "$BASE@$wanted" | jq -e --arg digest "$digest" '.subject.digest == $digest'
    [[ $(release trace "$wanted" | jq -r .version) == 1.0.0 ]]
  done
  # The register can be fetched by whoever has none.
  REGISTER=$PWD/other release log | awk 'END { exit NR != 3 }'
  REGISTER=$PWD/other release verify --head "$(release head --json | jq -r .head)" | grep "2 releases; the first 2 are those"
  # A second time there is nothing left to do.
  cp -R register before
  [[ $(release 1.0.0 --resume) == "$image" ]]
  diff -r before register
}

@test "the bills of material are what their formats want, list what the binary is made of, and follow from the commit" {
  local format
  release 1.0.0 --begin
  python3 "$BATS_TEST_DIRNAME/bills.py" "$RELEASES/1.0.0/documents/spdx.json" "$RELEASES/1.0.0/documents/cyclonedx.json"
  jq -e '[.components[] | select(.name == "subtle") | .scope] == ["excluded"]' "$RELEASES/1.0.0/documents/cyclonedx.json"
  jq -e '[.components[] | select(.name == "itoa") | .scope] == ["required"]' "$RELEASES/1.0.0/documents/cyclonedx.json"
  # Another clone, another register: the same words.
  git clone --quiet "$PLACE" again
  ln -s "$ROOT/.tools" again/.tools
  FROM=$PWD/again REGISTER=$PWD/other RELEASES=$PWD/others RELEASE_REPOSITORY=$LISTING/mini/mini-api release 1.0.0 --begin
  for format in spdx cyclonedx; do cmp "$RELEASES/1.0.0/documents/$format.json" "others/1.0.0/documents/$format.json"; done
  [[ $(jq -r .digest other/releases.jsonl) == "$(jq -r .digest register/releases.jsonl)" ]]
}

# Nothing of this test's release came out.
nothing_came_out() {
  run oras repo tags "$BASE"
  [[ $status != 0 && ! -e $REGISTER ]]
}

@test "a bill that is not what the binaries are made of, or a binary that does not say it, is not released" {
  own_place
  # Built with a feature that the bill knows nothing of.
  sed -i 's/^itoa = .*/&\nfnv = { version = "1", optional = true }/' place/Cargo.toml
  (cd place && cargo update --quiet --workspace)
  sed -i 's/^static_cargo=(/&--features fnv /' place/scripts/lib/static.sh
  commit_place place "Build with more"
  refused 65 "fnv 1.0.7 is in a binary, and not listed" release 1.0.0 --begin
  nothing_came_out
  # Built without a word on what it is made of.
  sed -i '/RUSTC_WORKSPACE_WRAPPER=/d' place/scripts/lib/static.sh
  commit_place place "Say nothing"
  rm -r "$RELEASES/1.0.0"
  refused 65 "does not say what it is made of" release 1.0.0 --begin
  nothing_came_out
}

@test "builds of another commit are not taken for this one's" {
  local commit
  release 1.0.0-rc.1 --begin
  own_place
  commit_place place "Another commit"
  commit=$(git -C place rev-parse HEAD)
  mkdir -p own/builds
  cp -R "$BATS_FILE_TMPDIR/builds/$(git -C "$PLACE" rev-parse HEAD)" "own/builds/$commit"
  RELEASES=$PWD/own refused 65 "is not of commit $commit" release 1.0.0
  RELEASES=$PWD/own release 1.0.0 --resume
}

@test "a version is given once, whatever its tag and this machine's notes say" {
  local line
  release 1.0.0 --begin
  line=$(jq -c 'del(.n, .previous, .repository)' register/releases.jsonl)
  source "$ROOT/scripts/lib/register.sh"
  trust_open "$PWD/keys"
  # The same again changes nothing; another digest is refused.
  cp -R register before
  register_append "$BASE" "$line" ours "$KEYS/ours.key"
  diff -r before register
  run register_append "$BASE" "$(jq -c '.digest |= sub("...$"; "000")' <<<"$line")" ours "$KEYS/ours.key"
  [[ $status == 65 && $output == *"1.0.0 is registered already"* ]]
  diff -r before register
  # Built anew by something else: the register knows, though tag and notes are gone.
  rm -r "$RELEASES/1.0.0"
  jq -c '.digest |= sub("...$"; "000") | del(.n, .previous, .repository)' register/releases.jsonl >other.json
  rm -r register
  register_append "$BASE" "$(<other.json)" ours "$KEYS/ours.key" begin
  source "$ROOT/scripts/lib/register_oci.sh"
  registry_register_push "$BASE"
  oras manifest delete --force "$BASE:1.0.0" >&2
  refused 65 "1.0.0 is released already" release 1.0.0
}

@test "what may not be released is refused before anything is built, each with its reason" {
  local version words
  while IFS='|' read -r version words; do
    refused 65 "$words" release "$version" --begin
  done <<'TEXT'
1.0|is no version
v1.0.0|is no version
01.0.0|is no version
1.0.0-alpha.1|is no version
1.0.0-rc|is no version
1.0.0+build.1|is no version
latest|is no version
1.0.1|Cargo.toml is at version 1.0.0
TEXT
  refused 64 "who signs" env -u RELEASE_KEY "$PLACE/scripts/release" 1.0.0 --begin
  refused 64 "where to" env -u RELEASE_REPOSITORY "$PLACE/scripts/release" 1.0.0 --begin
  refused 65 "capital letters" release 1.0.0 --begin --repository "$PLAIN/Mini/mini-api"
  refused 65 "it names no organisation" release 1.0.0 --begin --repository "$PLAIN/mini-api"
  refused 65 "its tag is 'latest'" release 1.0.0 --begin --repository "$PLAIN/mini/mini-api:latest"
  refused 65 "neither tag nor digest" release 1.0.0 --begin --repository "$PLAIN/mini/mini-api:1"
  refused 65 "is a channel's" release 1.0.0 --begin --repository "$PLAIN/mini/mini-api-rc"
  refused 65 "key lost is revoked" release 1.0.0 --begin --key "$KEYS/lost.key"
  refused 65 "is not in the trust file" release 1.0.0 --begin --key "$KEYS/stranger.key"
  refused 65 "key limited does not speak for $BASE" release 1.0.0 --begin --key "$KEYS/limited.key"
  COSIGN_PASSWORD=another refused 77 "cannot be used" release 1.0.0 --begin
  refused 66 "add --begin" release 1.0.0
  own_place
  echo more >>place/src/main.rs
  refused 65 "commit, stash or remove  M src/main.rs" release 1.0.0 --begin
  git -C place checkout --quiet src/main.rs
  touch place/src/new.rs
  refused 65 "commit, stash or remove ?? src/new.rs" release 1.0.0 --begin
  rm place/src/new.rs
  sed -i '/org.opencontainers.image.source=/d' place/Containerfile
  commit_place place "Lose a label"
  refused 65 "no label org.opencontainers.image.source" release 1.0.0 --begin
  git -C place revert --no-edit --quiet HEAD 2>/dev/null || git -C place revert --no-edit HEAD >/dev/null
  sed -i 's/"BSD-3-Clause", //' place/deny.toml
  commit_place place "Take no BSD"
  refused 65 "deny.toml does not allow" release 1.0.0 --begin
  refused 64 "wants a value" release 1.0.0 --begin --key ""
  refused 64 "wants a value" release verify --head ""
  [[ $(ls "$RELEASES") == builds ]]
  nothing_came_out
}

@test "--dry-run says what would be done, and does none of it" {
  run --separate-stderr release 1.0.0-rc.1 --begin --dry-run
  [[ $status == 0 && ! $output && $stderr == *"push the image to $BASE-rc by digest"* ]]
  [[ ! -e register && ! -e $RELEASES/1.0.0-rc.1 ]]
  run oras repo tags "$BASE-rc"
  [[ $status != 0 ]]
}

@test "a version that is taken by another digest, in the register or by a tag, is refused, and no tag is moved" {
  local digest
  release 1.0.0 --begin
  digest=$(oras resolve "$BASE:1.0.0")
  refused 65 "leave --begin out" release 1.0.0 --begin
  own_place
  commit_place place "Another commit"
  rm -r "$RELEASES/1.0.0"
  refused 65 "1.0.0 is released already, as $digest" release 1.0.0
  # Somebody put the tag of a version that is not released yet on something else.
  image=$(push_image "$BASE-rc" "something else")
  oras tag "$image" 1.0.0-rc.2
  unset FROM
  refused 65 "tags are never moved" release 1.0.0-rc.2
  [[ $(oras resolve "$BASE-rc:1.0.0-rc.2") == "${image#*@}" ]]
  [[ $(oras resolve "$BASE:1.0.0") == "$digest" ]]
  ! grep -q 1.0.0-rc.2 register/releases.jsonl || false
}

@test "two builds that differ by one byte of a dependency are not released, and the report names it" {
  local home=${CARGO_HOME:-$HOME/.cargo} crate
  own_place
  commit_place place "Something new"
  # A cargo home whose sources somebody altered after they were unpacked, which cargo never looks at.
  mkdir -p home/registry
  for crate in config.toml registry/index registry/cache; do [[ ! -e $home/$crate ]] || ln -s "$home/$crate" "home/$crate"; done
  (cd place && CARGO_HOME=$BATS_TEST_TMPDIR/home cargo fetch --quiet --locked)
  crate=$(echo home/registry/src/*/itoa-1.0.19/src)
  grep -rl 0123456789 "$crate" >&2 || true
  sed -i 's/"00010203/"10010203/' "$crate"/*.rs
  CARGO_HOME=$BATS_TEST_TMPDIR/home run --separate-stderr release 1.0.0 --begin
  [[ $status == 65 && $stderr == *"the binary for amd64: "*"the binary for arm64: "*"source of the crate itoa-1.0.19: Files src/"*"so nothing is released"* ]]
  nothing_came_out
  # Once it is mended, --resume builds both anew.
  release 1.0.0 --resume
}

@test "a crate on disk that is not the one of Cargo.lock is found" {
  local home=${CARGO_HOME:-$HOME/.cargo} index
  mkdir -p home/registry/cache
  for index in config.toml registry/index; do [[ ! -e $home/$index ]] || ln -s "$home/$index" "home/$index"; done
  for index in "$home"/registry/cache/*/; do mkdir "home/registry/cache/$(basename "$index")" && cp "$index"/{itoa,base64,subtle}-*.crate "home/registry/cache/$(basename "$index")/"; done
  printf 'x' >>"$(echo home/registry/cache/*/itoa-1.0.19.crate)"
  # What is built is shared, so only the crates are looked at.
  CARGO_HOME=$BATS_TEST_TMPDIR/home refused 65 "is not the one that Cargo.lock names" release 1.0.0 --begin
}

@test "a known fault in a dependency stops the release, and the age of the database is told" {
  mkdir -p database/crates/itoa
  git -C database init --quiet --initial-branch main
  git -C database config user.name tests
  git -C database config user.email tests@example.org
  cp "$BATS_TEST_DIRNAME/advisory.md" database/crates/itoa/RUSTSEC-2026-0001.md
  (cd database && git add . && GIT_COMMITTER_DATE="$(date -d '-9 days' +%s) +0000" git commit --quiet --message "An advisory")
  ADVISORIES=$PWD/database refused 65 "a dependency has a known fault" release 1.0.0 --begin --dry-run
  [[ $stderr == *RUSTSEC-2026-0001* && $stderr == *"9 days old"* ]]
  sed -i 's/"<0.0.1"/">=0.0.1"/; s/patched = \[\]/patched = [">=1.0.0"]/' database/crates/itoa/RUSTSEC-2026-0001.md
  git -C database commit --quiet --all --message "It is mended in what we have"
  ADVISORIES=$PWD/database run --separate-stderr release 1.0.0 --begin --dry-run
  [[ $status == 0 && $stderr == *"no known fault in a database that is 0 days old"* ]]
  ADVISORIES=$PWD/nowhere refused 66 "is no git clone" release 1.0.0 --begin --dry-run
}

@test "a registry that does not answer is not one that has no register" {
  release 1.0.0 --begin
  stop_plain "$BATS_FILE_TMPDIR"
  refused 69 "does not answer" release 1.0.0 --resume
  REGISTER=$PWD/other refused 69 "does not answer" release 1.0.0 --resume --begin
  start_plain "$BATS_FILE_TMPDIR"
  release 1.0.0 --resume
}

@test "a register that was altered or shortened, here or in the registry, stops every release" {
  local known push=(oras push --artifact-type application/vnd.mini-api.register.v1)
  release 1.0.0-rc.1 --begin
  cp -R register first
  release 1.0.0-rc.2
  known=$(release head --json | jq -r .head)
  cp -R register sound
  # Here: one byte.
  sed -i '1s/1.0.0-rc.1/1.0.0-rc.9/' register/releases.jsonl
  refused 65 "went different ways" release 1.0.0
  rm -rf register && cp -R sound register
  # There: shortened to what once was true and signed. Whoever has the newer copy sees it, and mends it.
  (cd first && "${push[@]}" "$BASE:register" releases.jsonl:application/vnd.mini-api.register.v1+jsonl head.json head.json.sig)
  run --separate-stderr release log
  [[ $status == 0 && $stderr == *"lacks lines that are known here"* && $output == *1.0.0-rc.2* ]]
  # Whoever has none cannot know by itself, and is told so; the known head tells.
  REGISTER=$PWD/other run release verify
  [[ $status == 0 && $output == *"only a head known from elsewhere can tell"* ]]
  REGISTER=$PWD/other refused 65 "rewritten or shortened" release verify --head "$known"
  release 1.0.0
  rm -rf other
  REGISTER=$PWD/other release verify --head "$known" | grep "the first 2 are those"
  # There: rewritten by somebody without a key.
  cp -R register forged
  sed -i '$s/"key":"ours"/"key":"mine"/' forged/releases.jsonl
  (cd forged && "${push[@]}" "$BASE:register" releases.jsonl:application/vnd.mini-api.register.v1+jsonl head.json head.json.sig)
  refused 65 "not to be believed" release 1.0.0-rc.3
}

@test "a register whose key was revoked is signed anew by who knows its head" {
  local head
  release 1.0.0-rc.1 --begin
  head=$(release head --json | jq -r .head)
  cp -R "$TRUST" trust
  cp "$TRUST_PIN" pin
  export TRUST=$PWD/trust TRUST_PIN=$PWD/pin
  "$ROOT/scripts/trust" revoke ours --reason "the machine was lost"
  "$ROOT/scripts/trust" sign "$KEYS/root.key"
  refused 65 "key ours is revoked" release verify
  refused 65 "is not that of the last line" release head --sign --key "$KEYS/next.key" --head "sha256:${head:8}0"
  refused 65 "key ours is revoked" release head --sign --head "$head"
  cp -R register stale
  # A copy that is behind does not shorten what is in the registry.
  REGISTER=$PWD/other release head --sign --key "$KEYS/next.key" --head "$head" | grep "signed by next"
  release verify --head "$head" | grep "the first 1 are those"
  # Whoever had all lines takes the new head; and what was released is signed again.
  diff -r register other
  REGISTER=$PWD/stale release log
  image=$BASE-rc@$(jq -r .digest register/releases.jsonl)
  run "$ROOT/policy/admit" "$image"
  [[ $status == 65 && $output == *"key ours is revoked"* ]]
  RELEASE_KEY=$KEYS/next.key release sign-again 1.0.0-rc.1 | grep "(key next)"
  "$ROOT/policy/admit" "$image"
  refused 66 "no release is called 2.0.0" release sign-again 2.0.0
  RELEASE_KEY=$KEYS/next.key release 1.0.0-rc.2
}

@test "a head that is known from elsewhere stands for its lines, not for more and not for others" {
  local head put=(oras push --artifact-type application/vnd.mini-api.register.v1 "$BASE:register" releases.jsonl:application/vnd.mini-api.register.v1+jsonl head.json head.json.sig)
  release 1.0.0-rc.1 --begin
  cp -R register first
  head=$(release head --json | jq -r .head)
  release 1.0.0-rc.2
  # The registry has more than the head stands for: nobody is shortened unawares.
  REGISTER=$PWD/first refused 65 "has 1 more lines than the head you know stands for" release head --sign --head "$head"
  [[ $(REGISTER=$PWD/other release log --json | wc -l) == 2 ]]
  REGISTER=$PWD/none refused 65 "its last line has the head" release head --sign --head "$head"
  refused 65 "is not that of the last line" release head --sign --head "$head"
  # What somebody wrote into the registry does not take the place of what is known here.
  head=$(release head --json | jq -r .head)
  cp -R register sound
  cp -R register forged
  sed -i '$s/"channel":"rc"/"channel":"dev"/' forged/releases.jsonl
  (cd forged && "${put[@]}")
  refused 65 "not to be believed" release log
  release head --sign --head "$head"
  diff register/releases.jsonl sound/releases.jsonl
  rm -rf other
  REGISTER=$PWD/other release verify --head "$head" | grep "the first 2 are those"
  # A head that was signed before ours, put there again, does not take its place either.
  cp -R register newer
  (cd sound && "${put[@]}")
  run --separate-stderr release log
  [[ $status == 0 && $stderr == *"is older than the one here"* ]]
  diff -r register newer
}

@test "what was begun with another compiler or its flags is begun anew, and its provenance tells" {
  local first image
  rm "$RELEASES/builds"
  own_place
  commit_place place "To be built in two ways"
  LANDED=0 PLACE=$PWD/place killed_at attest 0 1.0.0 --begin
  first=$(<"$RELEASES/1.0.0/digest")
  # The builds are gone, and above them lies a configuration that cargo takes: other binaries, twice the same.
  rm -r "$RELEASES/builds"
  mkdir .cargo
  printf '[profile.release]\nopt-level = 1\n' >.cargo/config.toml
  image=$(release 1.0.0 --resume)
  [[ ${image#*@} != "$first" ]]
  "$ROOT/policy/admit" --purpose release "$BASE@${image#*@}"
  jq -e --arg digest "${image#*@}" '.digest == $digest and (.documents | all(. != ""))' register/releases.jsonl
  [[ $(hanging "$BASE@${image#*@}" | wc -l) == 4 ]]
  attested "$BASE@${image#*@}" slsaprovenance1 | jq -e --arg hash "$(sha256sum .cargo/config.toml | cut -d ' ' -f 1)" --arg digest "${image#*@sha256:}" \
    '.predicate | (.buildDefinition.internalParameters["SHA-256 of the configurations of cargo outside of the commit"] | any(. == $hash))
      and .runDetails.byproducts[0].digest.sha256 == $digest'
}

@test "another key, or another register, is not mixed in" {
  release 1.0.0-rc.1 --begin
  RELEASE_KEY=$KEYS/next.key refused 65 "this release was begun as" release 1.0.0-rc.1 --resume
  refused 65 "$REGISTER is the register of $BASE" release 1.0.0-rc.2 --repository "$PLAIN/mini/another" --begin
  cp -R register other.ready
  REGISTER=$PWD/other/ refused 65 "$PWD/other.ready is the register of $BASE" release 1.0.0-rc.2 --repository "$PLAIN/mini/another" --begin
  # A line that somebody wrote into the copy here is not carried to the registry.
  jq -c '.version = "1.0.0-rc.7"' register/releases.jsonl >line
  cat line >>register/releases.jsonl
  refused 65 "is not to be believed" release 1.0.0-rc.7
  [[ $(REGISTER=$PWD/other release log --json | wc -l) == 1 ]]
}

@test "the changelog comes from the register and the commits" {
  own_place
  release 1.0.0-rc.1 --begin
  commit_place place "Mend the door"
  commit_place place "Paint the wall"
  release 1.0.0-rc.2
  run release changelog 1.0.0-rc.2
  [[ $output == "## 1.0.0-rc.2 ($(date -u +%F))"*"$BASE-rc@sha256:"*"- Mend the door"$'\n'"- Paint the wall" ]]
  [[ $output != *Begin* ]]
  run release changelog 1.0.0-rc.1
  [[ $output == *"- Begin" ]]
  refused 66 "no release is called 2.0.0" release changelog 2.0.0
}

@test "a release that is killed at each of its ten steps comes to the same end" {
  local step moment words=(1.0.0 --begin) image digest LANDED=0
  rm "$RELEASES/builds"
  for step in build rebuild crates describe push sign attest verify register tag; do
    moment=0
    if [[ $step =~ ^(build|rebuild|sign|attest)$ ]]; then moment=0.$((RANDOM % 10)); fi
    killed_at "$step" "$moment" "${words[@]}"
    words=(1.0.0 --resume)
  done
  ((LANDED >= 8))
  image=$(release 1.0.0 --resume)
  digest=${image#*@}
  # The same as one that nobody stopped.
  image=$(REGISTER=$PWD/other RELEASES=$PWD/others RELEASE_REPOSITORY=$PLAIN/mini/undisturbed release 1.0.0 --begin)
  [[ ${image#*@} == "$digest" ]]
  hanging "$BASE@$digest" >hanging
  [[ $(grep -c '^ *1 http' hanging) == 4 && $(wc -l <hanging) == 4 ]]
  diff <(hanging "$PLAIN/mini/undisturbed@$digest") hanging
  diff <(oras repo tags "$PLAIN/mini/undisturbed" | sort) <(oras repo tags "$BASE" | sort)
  [[ $(wc -l <register/releases.jsonl) == 1 ]]
  release verify --head "$(jq -r .head register/head.json)"
  diff <(jq 'del(.time, .documents, .image, .repository)' other/releases.jsonl) <(jq 'del(.time, .documents, .image, .repository)' register/releases.jsonl)
}

@test "a register that is read while it is written is whole" {
  local n pids=()
  release 1.0.0-rc.1 --begin
  for n in 1 2 3 4; do
    release log >"log.$n" 2>"why.$n" 3>&- &
    pids+=("$!")
  done
  release 1.0.0-rc.2
  for n in "${pids[@]}"; do wait "$n"; done
  release verify --head "$(release head --json | jq -r .head)" | grep "2 releases"
}

@test "two who release at once do not come between each other" {
  setsid "$PLACE/scripts/release" 1.0.0 --begin >first.log 2>&1 3>&- &
  wait_until 60 test -e "$RELEASES/1.0.0/plan"
  refused 65 "was begun already" release 1.0.0 --begin
  release 1.0.0 --resume
  wait $!
  [[ $(wc -l <register/releases.jsonl) == 1 ]]
}

@test "the page on releases is true: its commands, one after another" {
  local page=$ROOT/docs/release.md block script digest
  own_place
  cd place
  export TRUST=$BATS_TEST_TMPDIR/trust TRUST_PIN=$BATS_TEST_TMPDIR/pin
  for name in release-1 release-2; do scripts/trust key "../$name"; done
  scripts/trust init --audience mini "$KEYS/root.pub"
  scripts/trust sign "$KEYS/root.key"
  for name in release-1 release-2; do scripts/trust add "../$name.pub" --id "$name" --purpose release --repository "$PLAIN/mini/*"; done
  scripts/trust sign "$KEYS/root.key"
  awk '/^```bash$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside { print > ("../block." n) }' "$page"
  for block in $(find .. -maxdepth 1 -name 'block.*' | sort -t . -k 5n); do
    script=$(<"$block")
    HEAD_KNOWN_FROM_ELSEWHERE=$(jq -r .head "$REGISTER/head.json" 2>/dev/null || true)
    export HEAD_KNOWN_FROM_ELSEWHERE
    digest=$(jq -rn '[inputs][0].digest // ""' "$REGISTER/releases.jsonl" 2>/dev/null || true)
    script=${script//sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08/$digest}
    script=${script//registry.intra/$PLAIN}
    script=${script//release-1./..\/release-1.}
    script=${script//release-2.key/..\/release-2.key}
    # What the first block exports holds for the others.
    bash -euo pipefail -c "source ../exports 2>/dev/null || true; $script"$'\n''export -p | grep " RELEASE_" >../exports || true' >../out 2>&1 || {
      cat "$block" ../out >&2
      return 1
    }
  done
  [[ $(find .. -maxdepth 1 -name 'block.*' | wc -l) -ge 8 ]]
  grep -q admitted ../out || grep -q predicateType ../out || grep -q payload ../out
}
