#!/usr/bin/env bash
# release: the grammar of image references, whom to believe, signatures of images on two real registries, and releases of a
# service in miniature in every way.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" bats curl cosign registry referrers oras deny rust musl cross auditable bills actionlint
  export TMPDIR=$WORK
  # With --full each run has inputs of its own.
  if [[ $FULL ]]; then export SEED=$RANDOM; fi
  local tokens=()
  # A cosign that knows them takes some minutes to build.
  if [[ $FULL ]]; then "$scripts/setup" pkcs11 && tokens=(token_keys); else say "   left to --full: keys in tokens"; fi
  check "actionlint finds nothing in the workflows" actionlint
  # Most of their time goes by waiting for one small program after another: two lanes keep two cores busy.
  lane release &
  local longest=$!
  lane reference trust documents register admit faults tokens kept "${tokens[@]}"
  wait "$longest"
}

# Runs files of tests, one after another.
lane() { # file…
  local file
  for file in "$@"; do tap_tests "bats tests/release/$file.bats" bats --tap "tests/release/$file.bats"; done
}

main
