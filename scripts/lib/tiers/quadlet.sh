#!/usr/bin/env bash
# quadlet: Podman's units: what Podman's generators and systemd say of them, and with --full what they do on a machine with both, for
# which root is needed.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" jq bats lint quadlet
  export TMPDIR=$WORK
  tap_tests "bats tests/deploy/quadlet.bats" bats --tap tests/deploy/quadlet.bats
  if [[ ! $FULL ]]; then
    say "   left to --full: bats tests/deploy/quadlet_host.bats, which boots a system"
    return
  fi
  ((EUID == 0)) || die "with --full this tier needs root: a system is booted in namespaces of its own"
  "$scripts/setup" curl cosign registry referrers oras rust musl stage podman
  # A network namespace of its own: the units publish ports and bring rules for the firewall.
  tap_tests "bats tests/deploy/quadlet_host.bats" unshare --net bats --tap tests/deploy/quadlet_host.bats
}

main
