#!/usr/bin/env bash
# chart: the Helm chart, rendered in every way that its values offer. No cluster is asked.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" bats jq lint helm kubeconform promtool checkov
  export TMPDIR=$WORK
  tap_tests "bats tests/chart" bats --tap tests/chart
}

main
