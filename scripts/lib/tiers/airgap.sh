#!/usr/bin/env bash
# airgap: what carries images across a gap, beside real registries.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" bats jq curl cosign registry referrers oras
  export TMPDIR=$WORK
  tap_tests "bats tests/airgap" bats --tap tests/airgap
}

main
