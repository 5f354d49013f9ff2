#!/usr/bin/env bash
# swarm: compose.swarm.yaml on a real Swarm of one node, which needs root.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  ((EUID == 0)) || die "this tier needs root: a Docker Engine is started"
  export TMPDIR=$WORK
  tap_tests "bats tests/deploy/swarm.bats" tests/deploy/stage bats --tap tests/deploy/swarm.bats
}

main
