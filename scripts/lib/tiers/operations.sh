#!/usr/bin/env bash
# operations: what keeps a deployment well, on a real Docker Engine, which needs root: backup and restore, PostgreSQL's next major
# version, the doctor, certificates, full disks and wrong clocks.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  ((EUID == 0)) || die "this tier needs root: a Docker Engine is started"
  export TMPDIR=$WORK
  local file files=()
  for file in backup doctor runbooks; do files+=("tests/deploy/$file.bats"); done
  tap_tests "bats ${files[*]}" tests/deploy/stage bats --tap "${files[@]}"
}

main
