#!/usr/bin/env bash
# near_misses: reads references, each behind a NUL, and prints r0, r1, … of those that the parser refuses.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=scripts/lib/log.sh
source "$ROOT/scripts/lib/log.sh"
REFERENCE_REGISTRIES=$ROOT/tests/policy/registries.txt
# shellcheck source=scripts/lib/reference.sh
source "$ROOT/scripts/lib/reference.sh"

main() {
  local reference number=0
  while IFS= read -r -d '' reference; do
    reference_parse "$reference" || echo "r$number"
    number=$((number + 1))
  done
}

main "$@"
