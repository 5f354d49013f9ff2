#!/usr/bin/env bash
# api: every URL against a real server and a real PostgreSQL, a throw-away cluster of its own.
# The tests read TEST_DATABASE_URL (superuser), TEST_PG_BIN (programs, for clusters they start and kill themselves) and
# TEST_PG_AS (the words to put before those programs when the tests run as root; empty otherwise).
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" rust postgres jq curl
  # Where the tier postgres comes as well, this one takes the newest major version off its hands.
  if [[ " ${ASKED:-} " == *" postgres "* ]]; then
    "$scripts/setup" postgres-matrix
    PG_BIN=$(cd "$TOOLS/postgres-18/bin" && pwd -P)
  fi
  test_cluster cluster
  say "   on $("$PG_BIN/postgres" --version)"
  # Most of the time they wait. Those that need root are a tier of their own.
  cargo_tests "cargo test --test api" --test api -- --test-threads 4 --skip as_root
}

main
