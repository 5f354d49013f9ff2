#!/usr/bin/env bash
# reproduce: one commit, one digest. The image is built here and again in another folder with another CARGO_HOME, where
# everything is compiled anew; that is why this tier is not run without being asked for.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"
# shellcheck source=scripts/lib/laws.sh
source "$lib/laws.sh"
# shellcheck source=scripts/lib/elsewhere.sh
source "$lib/elsewhere.sh"

# Builds the image in the second place.
builds_elsewhere() {
  make_elsewhere
  run_elsewhere scripts/build-image --out "$WORK/there"
}

main() {
  "$scripts/setup" rust musl jq
  check "scripts/build-image builds here" "$scripts/build-image" --out "$WORK/here"
  check "scripts/build-image builds in another folder" builds_elsewhere
  check "both images are the same, byte for byte" diff -r "$WORK/here" "$WORK/there"
}

main
