# shellcheck shell=bash
# What tests of scripts/release share: registries, keys, a service in miniature; each test has releases and a register of its own.

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

