#!/usr/bin/env bash
# release: the grammar of image references, whom to believe, and signatures of images on two real registries.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" bats curl cosign registry referrers oras
  export TMPDIR=$WORK
  # With --full each run has inputs of its own.
  if [[ $FULL ]]; then export SEED=$RANDOM; fi
  tap_tests "bats tests/release" bats --tap tests/release
}

main
