#!/usr/bin/env bash
# unit: the library's own tests. They open no connection.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"

main() {
  "$scripts/setup" rust
  cargo_tests "cargo test --lib" --lib
}

main
