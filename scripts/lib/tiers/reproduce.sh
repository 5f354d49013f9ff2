#!/usr/bin/env bash
# reproduce: the image itself (--full: for both platforms), built twice in two folders, compared byte by byte, and released.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" bats curl cosign registry referrers oras deny rust musl cross auditable bills
  export TMPDIR=$WORK
  tap_tests "bats tests/release/real.bats" bats --tap tests/release/real.bats
}

main
