#!/usr/bin/env bash
# release: the grammar of image references, whom to believe, signatures of images on two real registries, and releases: of a
# service in miniature in every way, and of the image itself, built twice.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

# Waits for tests that were started before, and says what they said.
finished() { # pid file
  local code=0
  wait "$1" || code=$?
  cat "$2"
  return "$code"
}

main() {
  "$scripts/setup" bats curl cosign registry referrers oras deny rust musl cross auditable bills actionlint
  export TMPDIR=$WORK
  # With --full each run has inputs of its own.
  if [[ $FULL ]]; then export SEED=$RANDOM; fi
  local file real
  # Compilers leave a core idle at the end: the image is built beside the other tests.
  setsid bats --tap tests/release/real.bats >"$WORK/real.tap" 2>&1 &
  real=$!
  started+=("$real")
  check "actionlint finds nothing in the workflows" actionlint
  for file in reference trust documents register admit faults tokens release; do
    tap_tests "bats tests/release/$file.bats" bats --tap "tests/release/$file.bats"
  done
  tap_tests "bats tests/release/real.bats" finished "$real" "$WORK/real.tap"
}

main
