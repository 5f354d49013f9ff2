#!/usr/bin/env bash
# scripts: the scripts themselves, run as a newcomer runs them, in copies of the project.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" rust postgres bats curl jq age
  cargo build --quiet --locked --bin mini-api
  export WORK BINARY=$ROOT/target/debug/mini-api TMPDIR=$WORK BATS_TEST_TIMEOUT=180
  tap_tests "bats tests/scripts" bats --tap tests/scripts
}

main
