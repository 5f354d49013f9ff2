# scripts/release, from a commit to a registry and back, on a service in miniature.

bats_require_minimum_version 1.5.0

source "$BATS_TEST_DIRNAME/releases.bash"

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

@test "a release for one platform is an index of that one, and says so; one that was built for it is not taken for both" {
  local image
  own_place
  commit_place place "For one platform"
  image=$(release 1.0.0-rc.1 --begin --platform linux/amd64)
  image=${image%:*@*}@${image#*@}
  [[ $(oras manifest fetch "$image" | jq -r '.manifests[].platform | "\(.os)/\(.architecture)"') == linux/amd64 ]]
  "$ROOT/policy/admit" "$image"
  attested "$image" slsaprovenance1 | jq -e '.predicate.buildDefinition.externalParameters.platforms == ["linux/amd64"]'
  image=$(release 1.0.0-rc.2)
  [[ $(oras manifest fetch "${image%:*@*}@${image#*@}" | jq '.manifests | length') == 2 ]]
  refused 64 "--platform is linux/amd64, linux/arm64" release 1.0.0-rc.3 --platform linux/riscv64
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
