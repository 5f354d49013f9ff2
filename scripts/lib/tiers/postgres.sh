#!/usr/bin/env bash
# postgres: the API's tests against the oldest and the newest PostgreSQL we promise; with --full against all of 14 to 18.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" rust postgres-matrix jq curl
  local major majors=(14 18)
  if [[ $FULL ]]; then
    majors=(14 15 16 17 18)
  elif [[ " ${ASKED:-} " == *" api "* ]]; then
    say "   PostgreSQL 18 is what the tier api ran on"
    majors=(14)
  fi
  for major in "${majors[@]}"; do
    PG_BIN=$(cd "$TOOLS/postgres-$major/bin" && pwd -P)
    check "PostgreSQL $major starts" test_cluster "probe-$major"
    postgres_stop "$WORK/probe-$major" immediate
    test_cluster "cluster-$major"
    cargo_tests "cargo test --test api on PostgreSQL $major" --test api -- --test-threads 4 --skip as_root
    postgres_stop "$WORK/cluster-$major" immediate
  done
}

main
