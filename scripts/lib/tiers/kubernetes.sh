#!/usr/bin/env bash
# kubernetes: the chart and the manifests on a real cluster of two nodes, which needs root.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  ((EUID == 0)) || die "this tier needs root: nodes of Kubernetes are started"
  "$scripts/setup" jq bats pgbouncer patroni
  export TMPDIR=$WORK
  tap_tests "bats tests/kubernetes" tests/kubernetes/cluster bats --tap tests/kubernetes
}

main
