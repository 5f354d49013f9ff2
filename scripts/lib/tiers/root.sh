#!/usr/bin/env bash
# root: the tests that need root: a pooler between, a disk that is full, the service as process 1, scripts/run as root.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  ((EUID == 0)) || die "this tier needs root: it mounts small disks and makes namespaces"
  "$scripts/setup" rust postgres pgbouncer bats curl
  test_cluster cluster
  cargo_tests "cargo test --test api as_root" --test api as_root
  export WORK BINARY=$ROOT/target/debug/mini-api BATS_TEST_TIMEOUT=180
  tap_tests "bats tests/scripts/as_root" bats --tap tests/scripts/as_root
}

main
