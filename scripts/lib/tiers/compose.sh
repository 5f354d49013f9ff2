#!/usr/bin/env bash
# compose: the deployment on a real Docker Engine, which needs root: compose.yaml and its overlays.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  ((EUID == 0)) || die "this tier needs root: a Docker Engine is started"
  "$scripts/setup" jq bats forward
  export TMPDIR=$WORK
  local file files=()
  for file in compose image_patterns logging fluent_bit; do files+=("tests/deploy/$file.bats"); done
  tap_tests "bats ${files[*]}" tests/deploy/stage bats --tap "${files[@]}"
}

main
