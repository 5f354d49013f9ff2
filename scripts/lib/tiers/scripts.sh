#!/usr/bin/env bash
# scripts: the scripts themselves, run as a newcomer runs them, in a copy of the project.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" rust postgres bats
  export WORK
  tap_tests "bats tests/scripts" bats --tap --timing tests/scripts
}

main
