# shellcheck shell=bash
# Both sides of the gap, for a file of tests: what each of its blocks begins with.

export ROOT
ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
# shellcheck source=tests/airgap/outside.bash
source "$BATS_TEST_DIRNAME/outside.bash"
# shellcheck source=tests/airgap/closed.bash
source "$BATS_TEST_DIRNAME/closed.bash"
outside_house

# Brings both up in the folder of the file.
sides_start() {
  outside_start "$BATS_FILE_TMPDIR"
  closed_start "$BATS_FILE_TMPDIR"
  cd "$BATS_FILE_TMPDIR" || return
  # What is made for all tests of the file lies there, too.
  BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR KEYS=$BATS_FILE_TMPDIR
}

# Ends both.
sides_stop() {
  stop_registries "$BATS_FILE_TMPDIR"
  closed_stop "$BATS_FILE_TMPDIR"
}

# What a test begins with: a folder of its own, and a stream and repositories, since registries and marks are shared.
sides_test() {
  KEYS=$BATS_FILE_TMPDIR NAME=t$BATS_TEST_NUMBER
  cd "$BATS_TEST_TMPDIR" || return
}

bundle() { "$ROOT/airgap/bundle" "$@"; }

# The registry inside, as on its first day.
empty_registry() {
  local PLAIN=$HERE closed=$BATS_FILE_TMPDIR/closed
  stop_plain "$closed"
  rm -rf "$closed/plain" && mkdir "$closed/plain"
  start_plain "$closed"
}
