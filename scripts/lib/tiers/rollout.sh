#!/usr/bin/env bash
# rollout: from one release to the next and back under load, on a real Docker Engine behind HAProxy, which needs root.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  ((EUID == 0)) || die "this tier needs root: a Docker Engine is started"
  export TMPDIR=$WORK
  tap_tests "bats tests/deploy/rollout.bats" tests/deploy/stage bats --tap tests/deploy/rollout.bats
}

main
