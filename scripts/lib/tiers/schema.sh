#!/usr/bin/env bash
# schema: schemathesis over /openapi.json. tests/schema/run gets BASE_URL and FULL and prints TAP.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  [[ -x tests/schema/run ]] || die "tests/schema/run is missing"
  "$scripts/setup" rust postgres schema
  # Its cases are no attempts to break in, and nearly as many.
  export LOGIN_LIMIT_ACCOUNT_NETWORK=off LOGIN_LIMIT_NETWORK=off LOGIN_LIMIT_ACCOUNT=off REGISTER_LIMIT_NETWORK=off
  test_service
  export FULL
  tap_tests "tests/schema/run" tests/schema/run
}

main
