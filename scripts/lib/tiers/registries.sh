#!/usr/bin/env bash
# registries: the registry inside and the mirror behind their gateway, first as programs, then whole in a closed network on a real Docker
# Engine, which needs root.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  ((EUID == 0)) || die "this tier needs root: a Docker Engine is started"
  "$scripts/setup" bats jq curl cosign registry oras skopeo docker stage rust musl
  [[ ! $FULL ]] || "$scripts/setup" auditable podman
  export TMPDIR=$WORK FULL
  local file files=() part=(--filter-tags '!full')
  [[ ! $FULL ]] || part=()
  for file in registries mirror client; do files+=("tests/registries/$file.bats"); done
  tap_tests "bats ${files[*]}" bats --tap "${part[@]}" "${files[@]}"
  tap_tests "bats tests/registries/compose.bats" tests/registries/closed bats --tap tests/registries/compose.bats
  [[ $FULL ]] || say "   left to --full: the whole project built through the mirror, and Podman as its client"
}

main
