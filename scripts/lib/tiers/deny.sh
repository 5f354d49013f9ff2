#!/usr/bin/env bash
# deny: licences, sources and doubles of every crate we ship. Advisories need a database and are asked for elsewhere.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" rust deny
  local what
  for what in bans licenses sources; do
    check "cargo deny check $what" cargo-deny --locked --log-level warn check --hide-inclusion-graph "$what"
  done
}

main
