#!/usr/bin/env bash
# release: the grammar of image references.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" bats
  export TMPDIR=$WORK
  # With --full each run has inputs of its own.
  if [[ $FULL ]]; then export SEED=$RANDOM; fi
  tap_tests "bats tests/release" bats --tap tests/release
}

main
