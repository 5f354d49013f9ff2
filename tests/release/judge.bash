#!/usr/bin/env bash
# judge: reads records "VERDICT NUL REFERENCE NUL", fails at the first that the parser judges otherwise, and prints how many
# were accepted and refused.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=scripts/lib/log.sh
source "$ROOT/scripts/lib/log.sh"
# shellcheck source=scripts/lib/reference.sh
source "$ROOT/scripts/lib/reference.sh"

main() {
  local verdict reference got
  local -A count=([accept]=0 [refuse]=0)
  while IFS= read -r -d '' verdict && IFS= read -r -d '' reference; do
    got=accept
    reference_parse "$reference" || got=refuse
    if [[ $got != "$verdict" ]]; then
      printf 'wanted %s: %q %s\n' "$verdict" "$reference" "$REF_WHY"
      exit 1
    fi
    count[$got]=$((count[$got] + 1))
  done
  echo "${count[accept]} ${count[refuse]}"
}

main
