#!/usr/bin/env bash
# policy: the rules of policy/POLICY.md, every case of the corpus through every engine, and what stands around them. Beside other tiers
# without what takes longest: Kyverno, whose program takes twelve minutes to build, and the rules with each clause removed in turn.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  local file part=(--filter-tags '!alone') alone=
  [[ ! $FULL && $ASKED != policy ]] || alone=1 part=()
  "$scripts/setup" lint bats curl jq cosign registry referrers oras helm docker conftest kubernetes gator ${alone:+kyverno}
  export TMPDIR=$WORK KYVERNO=$alone
  for file in tests/policy/*.bats; do
    if [[ ! $alone ]] && grep -q '^# bats file_tags=alone$' "$file"; then continue; fi
    tap_tests "bats $file" bats --tap "${part[@]}" "$file"
  done
  [[ $alone ]] || say "   left to scripts/test policy, and to --full: Kyverno, and each clause removed in turn"
}

main
