#!/usr/bin/env bash
# policy: the rules of policy/POLICY.md, every case of the corpus through every engine, and what stands around them. Beside other tiers
# without Kyverno, which takes twelve minutes to build.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  local file part=(--filter-tags '!kyverno')
  [[ ! $FULL && $ASKED != policy ]] || KYVERNO=1
  "$scripts/setup" lint bats curl jq cosign registry referrers oras helm docker conftest kubernetes gator ${KYVERNO:+kyverno}
  export TMPDIR=$WORK KYVERNO=${KYVERNO:-}
  [[ ! $KYVERNO ]] || part=()
  for file in tests/policy/*.bats; do
    if [[ ! $KYVERNO ]] && grep -q '^# bats file_tags=kyverno$' "$file"; then continue; fi
    tap_tests "bats $file" bats --tap "${part[@]}" "$file"
  done
  [[ $KYVERNO ]] || say "   left to scripts/test policy, and to --full: Kyverno"
}

main
