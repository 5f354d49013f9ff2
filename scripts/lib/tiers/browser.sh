#!/usr/bin/env bash
# browser: /docs in headless Chromium. tests/browser/run gets BASE_URL and prints TAP.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  [[ -x tests/browser/run ]] || die "tests/browser/run is missing"
  "$scripts/setup" rust postgres browser
  test_service
  tap_tests "tests/browser/run" tests/browser/run
}

main
