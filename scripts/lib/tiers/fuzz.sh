#!/usr/bin/env bash
# fuzz: each target for a moment (--full: five minutes, at random, and with every crate instrumented), so that none of them rots; scripts/fuzz goes on for as long as one likes.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" rust fuzz
  local target seconds=60 light=(--light)
  # The same inputs each time: a test that finds something new on some day would stop work that has nothing to do with it.
  export FUZZ_OPTIONS="-seed=1 -runs=50000"
  if [[ $FULL ]]; then seconds=300 FUZZ_OPTIONS='' light=(); fi
  # What was learned on another day is no part of it.
  if [[ ! $FULL ]]; then rm -rf "$ROOT/target/fuzz/corpus"; fi
  for target in bearer settings request; do
    check "scripts/fuzz $target $seconds finds nothing" "$scripts/fuzz" "${light[@]}" "$target" "$seconds"
  done
}

main
