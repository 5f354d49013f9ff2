#!/usr/bin/env bash
# schema: schemathesis over /openapi.json. tests/schema/run gets BASE_URL and FULL and prints TAP.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  [[ -x tests/schema/run ]] || die "tests/schema/run is missing"
  "$scripts/setup" rust postgres schema
  test_service
  export FULL
  tap_tests "tests/schema/run" tests/schema/run
}

main
