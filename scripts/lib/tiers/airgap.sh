#!/usr/bin/env bash
# airgap: what carries images across a gap, beside real registries on both sides; needs root for small disks, namespaces and a Docker
# Engine.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  ((EUID == 0)) || die "this tier needs root: small disks are mounted, and a Docker Engine is started"
  "$scripts/setup" bats jq curl cosign registry referrers oras helm forward offline docker rust musl
  export TMPDIR=$WORK FULL
  # With --full each run is killed at other moments, and more often.
  if [[ $FULL ]]; then export SEED=$RANDOM KILLS=20; fi
  # The real image is what crosses.
  "$scripts/build-image" --out "$WORK/image" >/dev/null
  # Most of their time goes by waiting for one small program after another: two lanes keep two cores busy.
  lane export hostile faults status keyless elsewhere &
  local longest=$!
  lane verify import journey lock offline
  wait "$longest"
}

# Runs files of tests, one after another.
lane() { # file…
  local file
  for file in "$@"; do tap_tests "bats tests/airgap/$file.bats" bats --tap "tests/airgap/$file.bats"; done
}

main
