# The register of releases, beside those who alter it, lose it, read it and write it at once; on a service in miniature.

bats_require_minimum_version 1.5.0

source "$BATS_TEST_DIRNAME/releases.bash"

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
