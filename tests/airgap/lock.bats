# airgap/bundle lock: from names to digests, with everything that hangs on them, beside two real registries.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/outside.bash"
  outside_house
  outside_start "$BATS_FILE_TMPDIR"
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/outside.bash"
  outside_house
  stop_registries "$BATS_FILE_TMPDIR"
}

setup() {
  source "$BATS_TEST_DIRNAME/outside.bash"
  outside_house
  KEYS=$BATS_FILE_TMPDIR
  cd "$BATS_TEST_TMPDIR"
}

bundle() { "$ROOT/airgap/bundle" "$@"; }

# Prints the kinds of what belongs to an image in a lock, counted.
kinds() { # reference [lock]
  jq -r --arg reference "$1" '.images[] | select(.reference == $reference).manifests | group_by(.kind) | map("\(length) \(.[0].kind)") | join(", ")' "${2:-images.lock}"
}

@test "everything that belongs to an image is found, on both kinds of registries, whichever way it hangs there" {
  local registry image second
  for registry in "$PLAIN" "$LISTING"; do
    image=$(push_index "$registry/mini/everything" "an index in $registry")
    tagged "$image" 1.0.0
    image_sign "$image" "$KEYS/release.key" release
    second=$(push_referrer "$image" application/vnd.example.report "a report")
    push_referrer "$second" application/vnd.example.comment "a comment on the report"
    # On a child, too.
    push_referrer "${image%@*}@$(oras manifest fetch "$image" | jq -r '.manifests[0].digest')" application/vnd.example.report "on one platform"
    push_old "$image" sig
    printf '%s/mini/everything:1.0.0 signed release\n' "$registry" >images.txt
    bundle lock --images images.txt >table
    grep -F "signed: release" table
    [[ $(kinds "$registry/mini/everything:1.0.0") == "2 child, 1 image, 4 referrer, 1 tagged" ]]
    jq -e --arg digest "${image#*@}" '.images[0] | .digest == $digest and .tag == "1.0.0" and .path == "mini/everything" and .platforms == ["linux/amd64", "linux/arm64"]' images.lock
    # Its size is that of all manifests and blobs, each once.
    jq -e '.images[0] | .size == ([.manifests[].size, .blobs[].size] | add) and (.blobs | length) > 6 and ([.manifests[].digest] | unique | length) == (.manifests | length)' images.lock
    jq -e --arg hex "${image#*sha256:}" '[.images[0].manifests[] | select(.kind == "tagged").tag] == ["sha256-\($hex).sig"]' images.lock
  done
}

@test "what is listed and has a tag of old as well keeps both, and one tag too many is told" {
  local registry image second tag
  for registry in "$PLAIN" "$LISTING"; do
    image=$(push_image "$registry/mini/both" "in $registry")
    tag=sha256-${image#*sha256:}
    image_sign "$image" "$KEYS/release.key" release
    second=$(push_referrer "$image" application/vnd.example.report "a report")
    tagged "$second" "$tag.att"
    echo "${image/@*/@${image#*@}} signed release" >images.txt
    bundle lock --images images.txt
    jq -e --arg tag "$tag.att" --arg digest "${second#*@}" --arg of "${image#*@}" '[.images[0].manifests[] | select(.tag)] == [.images[0].manifests[] | select(.digest == $digest)]
      and (.images[0].manifests[] | select(.tag) | .kind == "referrer" and .tag == $tag and .of == $of)' images.lock
    tagged "$second" "$tag.sbom"
    run bundle lock --images images.txt
    [[ $status == 65 && $output == *"which belongs elsewhere too"* ]]
  done
}

@test "a reason may have a number with its sign, and a line that begins with one is a comment" {
  local image
  image=$(push_image "$PLAIN/mini/vouched" one)
  tagged "$image" 1
  printf '%s\n' "  # a comment" "$PLAIN/mini/vouched:1 vouched ada@example.org until 2099-01-01 reviewed in #17" >images.txt
  bundle lock --images images.txt
  jq -e '.images | length == 1 and .[0].rule.why == "reviewed in #17"' images.lock
}

@test "--check tells what moved and what hangs on it now, and writes nothing" {
  local image
  image=$(push_image "$PLAIN/mini/moves" one)
  tagged "$image" stable
  image_sign "$image" "$KEYS/release.key" release
  echo "$PLAIN/mini/moves:stable signed release" >images.txt
  bundle lock --images images.txt
  cp images.lock before
  bundle lock --images images.txt --check
  push_referrer "$image" application/vnd.example.report "a report"
  run bundle lock --images images.txt --check
  [[ $status == 65 && $output == *"moves:stable: sha256:"*" hangs on it now"* ]]
  image=$(push_image "$PLAIN/mini/moves" two)
  image_sign "$image" "$KEYS/release.key" release
  tagged "$image" stable
  run bundle lock --images images.txt --check
  [[ $status == 65 && $output == *"moves:stable: moved from sha256:"*" to ${image#*@}"* ]]
  cmp before images.lock
}

@test "what may not cross is not locked, and every reason is told" {
  local image
  image=$(push_image "$PLAIN/mini/unsigned" unsigned)
  tagged "$image" 1
  echo "$PLAIN/mini/unsigned:1 signed release" >images.txt
  refused 65 "unsigned:1: it is not signed" bundle lock --images images.txt
  echo "$PLAIN/mini/unsigned:1 vouched ada@example.org until 2020-01-01 reviewed by hand" >images.txt
  refused 65 "ada@example.org for it ended on 2020-01-01" bundle lock --images images.txt
  echo "$PLAIN/mini/nobody:1 vouched ada@example.org until 2099-01-01 reviewed" >images.txt
  refused 65 "the registry has no 1 in mini/nobody" bundle lock --images images.txt
  echo "$PLAIN/mini/unsigned:1 as import/unsigned vouched ada@example.org until 2099-01-01 reviewed by hand" >images.txt
  bundle lock --images images.txt
  jq -e '.images[0] | .path == "import/unsigned" and .rule == {rule: "vouched", who: "ada@example.org", until: "2099-01-01T00:00:00Z", why: "reviewed by hand"}' images.lock
  cp images.lock before
  # All faults of a list at once, by their lines.
  printf '%s\n' "# comment" "$PLAIN/mini/unsigned signed release" "$PLAIN/mini/unsigned:latest signed release" "$PLAIN/mini/unsigned:1" "elsewhere.test/mini/a:1 signed release" >images.txt
  run bundle lock --images images.txt
  [[ $status == 65 && $output == *"images.txt:2: "*"neither tag nor digest"*"images.txt:3: "*latest*"images.txt:4: "*"is no rule"*"images.txt:5: "*"elsewhere.test"* ]]
  cmp before images.lock
}

@test "a registry that is down is not one that lacks something" {
  local image
  image=$(push_image "$PLAIN/mini/away" away)
  tagged "$image" 1
  echo "$PLAIN/mini/away:1 vouched ada@example.org until 2099-01-01 reviewed" >images.txt
  stop_plain "$BATS_FILE_TMPDIR"
  refused 69 "the registry does not answer" bundle lock --images images.txt
  start_plain "$BATS_FILE_TMPDIR"
  bundle lock --images images.txt
}
