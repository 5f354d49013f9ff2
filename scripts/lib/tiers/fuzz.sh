#!/usr/bin/env bash
# fuzz: each target for a moment (--full: five minutes), so that none of them rots; scripts/fuzz goes on for as long as one likes.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" rust fuzz
  local target seconds=15
  [[ $FULL ]] && seconds=300
  for target in bearer settings request; do
    check "scripts/fuzz $target $seconds finds nothing" "$scripts/fuzz" "$target" "$seconds"
  done
}

main
