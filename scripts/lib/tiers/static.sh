#!/usr/bin/env bash
# static: the binary that is shipped, looked at from outside; with --full also the one for aarch64, run by an emulator.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"
# shellcheck source=scripts/lib/static.sh
source "$lib/static.sh"

# Fails unless no path of this machine stands in the binary.
names_no_folder() { # file
  local folder
  for folder in "$ROOT" "${CARGO_HOME:-$HOME/.cargo}" "$HOME/.rustup" "$(rustc --print sysroot)"; do
    if grep -qaF "$folder/" "$1"; then die "the binary names $folder"; fi
  done
}

# Fails unless the allocator is mimalloc: with musl's own the service would be slower by far, and nothing else would tell.
brings_mimalloc() { # file
  grep -qaF 'mimalloc: ' "$1" || die "there is no mimalloc in the binary"
}

# Fails unless the binary says which version it is and which commit it was built from.
tells_version() { # [emulator] file
  [[ $("$@" version) == "mini-api $(project_value version) ($revision)" ]] || die "it says: $("$@" version)"
}

# Runs the binary where no library, no /etc and no /proc exist.
runs_in_empty_root() { # file
  local root_of=(chroot)
  ((EUID == 0)) || root_of=(unshare --map-root-user chroot)
  mkdir "$WORK/empty"
  cp "$1" "$WORK/empty/mini-api"
  "${root_of[@]}" "$WORK/empty" /mini-api version
}

# The same for aarch64, which this machine may not be.
check_aarch64() {
  "$scripts/setup" cross emulator
  local binary=$WORK/mini-api-aarch64
  check "scripts/build-static builds for aarch64" "$scripts/build-static" --arch aarch64 --out "$binary"
  check "the aarch64 binary is static and stripped" static_verify "$binary"
  check "the aarch64 binary brings mimalloc" brings_mimalloc "$binary"
  check "the aarch64 binary names no folder of this machine" names_no_folder "$binary"
  check "the aarch64 binary tells version and commit" tells_version qemu-aarch64-static "$binary"
}

main() {
  "$scripts/setup" rust musl
  local binary=$WORK/mini-api revision
  revision=$(project_revision)
  check "scripts/build-static builds" "$scripts/build-static" --out "$binary"
  check "the binary is static and stripped" static_verify "$binary"
  check "the binary brings mimalloc" brings_mimalloc "$binary"
  check "the binary names no folder of this machine" names_no_folder "$binary"
  check "the binary tells version and commit" tells_version "$binary"
  check "the binary runs in an empty root" runs_in_empty_root "$binary"
  if [[ $FULL ]]; then check_aarch64; fi
}

main
