# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/release
# What is said of a release: two bills of material, which must list what the binaries say they are made of, and its provenance.

# Writes RELEASE/documents: spdx.json, cyclonedx.json, provenance.json. The bills follow from the commit alone.
describe() {
  local work=$RELEASE/documents.new format why
  rm -rf "$work" "$RELEASE/documents"
  mkdir -p "$work"
  describe_inputs "$work"
  why=$(describe_run "$work" disagreements -r)
  [[ ! $why ]] || fail 65 "the bill of material is not what the binaries say they are made of: ${why%%$'\n'*}"
  for format in spdx cyclonedx; do
    describe_run "$work" "$format" -S >"$work/$format.json"
    describe_lists "$work/$format.json"
  done
  describe_provenance >"$work/provenance.json"
  rm -rf "$work/inputs"
  mv "$work" "$RELEASE/documents"
}

# Gathers what is known: what cargo says, the checksums, what the binaries recorded.
describe_inputs() { # folder
  local architecture platforms=()
  mkdir -p "$1/inputs"
  for architecture in "${ARCHITECTURES[@]}"; do
    [[ $architecture == amd64 ]] && platforms+=(--filter-platform x86_64-unknown-linux-musl) || platforms+=(--filter-platform aarch64-unknown-linux-musl)
  done
  cargo metadata --locked --format-version 1 --manifest-path "$ROOT/Cargo.toml" "${platforms[@]}" >"$1/inputs/metadata"
  build_locked | jq -Rn '[inputs / "\t" | {key: "\(.[0]) \(.[1])", value: .[2]}] | from_entries' >"$1/inputs/checksums"
  for architecture in "${ARCHITECTURES[@]}"; do
    build_binary here "$architecture" >"$1/inputs/binary"
    python3 "$ROOT/scripts/lib/release/recorded.py" "$1/inputs/binary" >"$1/inputs/recorded.$architecture" ||
      fail 65 "the binary for $architecture does not say what it is made of: build it with cargo auditable"
  done
  jq -s '[.[].packages[]] | unique_by(.name, .version)' "$1"/inputs/recorded.* >"$1/inputs/recorded"
}

# Runs one function of sbom.jq over them.
describe_run() { # folder function jq-options…
  local folder=$1 function=$2
  shift 2
  jq "$@" --slurpfile checksums "$folder/inputs/checksums" --slurpfile recorded "$folder/inputs/recorded" \
    --argjson release "$(describe_release)" "\$checksums[0] as \$checksums | \$recorded[0] as \$recorded | $(<"$ROOT/scripts/lib/release/sbom.jq") $function" \
    "$folder/inputs/metadata"
}

# Prints what the bills say of the release itself: nothing that another version of the same commit would not say too.
describe_release() {
  jq -n --arg version "$(project_value version)" --arg commit "$COMMIT" --arg source "$(project_value repository)" \
    --arg made "$(date -u -d "@$(project_epoch)" +%Y-%m-%dT%H:%M:%SZ)" '{$version, $commit, $source, $made}'
}

# Fails for a bill that lists nothing.
describe_lists() { # file
  jq -e '(.packages // .components) | length > 0' "$1" >/dev/null 2>&1 || fail 65 "the bill of material ${1##*/} lists nothing"
}

# Prints the provenance, a SLSA v1 predicate (https://slsa.dev/spec/v1.0/provenance).
describe_provenance() {
  jq -nS --arg source "$(project_value repository)" --arg commit "$COMMIT" --arg version "$VERSION" --arg repository "$IMAGES" \
    --arg epoch "$(project_epoch)" --arg id "$(<"$RELEASE/id")" --arg ended "$(trust_now)" --argjson made "$(<"$BUILDS/made.json")" \
    --arg lock "$(trust_hash "$ROOT/Cargo.lock")" --arg digest "${DIGEST#sha256:}" --argjson advisories "$(<"$RELEASE/advisories.json")" \
    --arg key "$KEY_ID" --arg architectures "${ARCHITECTURES[*]}" --argjson crates "$(build_locked | jq -Rnc '[inputs / "\t" | {uri: "pkg:cargo/\(.[0])@\(.[1])", digest: {sha256: .[2]}}]')" '{
    buildDefinition: {
      buildType: "\($source)/release/v1",
      externalParameters: {source: "git+\($source)", commit: $commit, version: $version, repository: $repository, platforms: ($architectures | split(" ") | map("linux/\(.)"))},
      internalParameters: {rustc: $made.rust, zig: $made.zig, "cargo-auditable": $made.auditable, "SHA-256 of the configurations of cargo outside of the commit": $made.configs,
        SOURCE_DATE_EPOCH: ($epoch | tonumber), built: {from: $made.began, until: $made.ended}, advisories: $advisories},
      resolvedDependencies: ([{uri: "git+\($source)@\($commit)", digest: {gitCommit: $commit}}, {uri: "Cargo.lock", digest: {sha256: $lock}}] + $crates)},
    runDetails: {
      builder: {id: "\($source)/scripts/release", version: {key: $key}},
      metadata: {invocationId: $id, startedOn: $made.began, finishedOn: $ended},
      byproducts: [{name: "the same image, built a second time in another folder", digest: {sha256: $digest}}]}}'
}
