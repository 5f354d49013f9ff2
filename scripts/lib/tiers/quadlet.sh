#!/usr/bin/env bash
# quadlet: Podman's units: what Podman's generators and systemd say of them, and what they do on a machine with both. Needs root.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  ((EUID == 0)) || die "this tier needs root: a system is booted in namespaces of its own"
  "$scripts/setup" jq bats curl cosign registry referrers oras lint rust musl stage quadlet podman
  export TMPDIR=$WORK
  tap_tests "bats tests/deploy/quadlet.bats" bats --tap tests/deploy/quadlet.bats
  # A network namespace of its own: the units publish ports and bring rules for the firewall.
  tap_tests "bats tests/deploy/quadlet_host.bats" unshare --net bats --tap tests/deploy/quadlet_host.bats
}

main
