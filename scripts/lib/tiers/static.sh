#!/usr/bin/env bash
# static: the binary that is shipped. It is built here and again in another folder with another CARGO_HOME; the bytes must
# be the same. Crates that were compiled here serve both builds; with --full the second compiles everything anew.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"
# shellcheck source=scripts/lib/laws.sh
source "$lib/laws.sh"
# shellcheck source=scripts/lib/static.sh
source "$lib/static.sh"

# Copies the project's files, and gives the copy what makes it the same commit.
copy_project() { # folder
  mkdir -p "$1"
  project_files | tar -C "$ROOT" --create --files-from=- | tar -C "$1" --extract
}

# Builds in a folder of another name and depth, with a CARGO_HOME of another name that shares the downloads.
build_elsewhere() {
  local copy=$WORK/another/place home=$WORK/cargo-home
  copy_project "$copy"
  mkdir -p "$home"
  ln -s "${CARGO_HOME:-$HOME/.cargo}"/{registry,config.toml,bin} "$home/" 2>/dev/null || true
  [[ -d $TOOLS ]] && ln -s "$TOOLS" "$copy/.tools"
  if [[ ! $FULL ]]; then
    mkdir -p "$copy/target"
    cp -al "$ROOT/target/x86_64-unknown-linux-musl" "$copy/target/"
    if [[ -d $ROOT/target/release ]]; then cp -al "$ROOT/target/release" "$copy/target/"; fi
  fi
  MINI_API_REVISION=$(project_revision) SOURCE_DATE_EPOCH=$(project_epoch) CARGO_HOME=$home \
    "$copy/scripts/build-static" --out "$WORK/elsewhere"
}

# Fails unless no path of this machine stands in the binary.
names_no_folder() { # file
  local folder
  for folder in "$ROOT" "${CARGO_HOME:-$HOME/.cargo}" "$WORK" "$HOME/.rustup"; do
    if grep -qaF "$folder" "$1"; then die "the binary names $folder"; fi
  done
}

main() {
  "$scripts/setup" rust musl
  check "scripts/build-static builds" "$scripts/build-static" --out "$WORK/mini-api"
  check "the binary is static and stripped" static_verify "$WORK/mini-api"
  check "the binary names no folder of this machine" names_no_folder "$WORK/mini-api"
  check "the binary tells version and commit" grep -qF "mini-api $(project_value version) ($(project_revision))" \
    <("$WORK/mini-api" version)
  check "the binary runs in an empty root" runs_in_empty_root
  check "another folder gives a binary" build_elsewhere
  check "both are the same bytes" cmp "$WORK/mini-api" "$WORK/elsewhere"
}

# Runs the binary where no library, no /etc and no /proc exist.
runs_in_empty_root() {
  local empty=$WORK/empty
  mkdir -p "$empty"
  cp "$WORK/mini-api" "$empty/"
  if ((EUID == 0)); then chroot "$empty" /mini-api version; else unshare --map-root-user --root="$empty" /mini-api version; fi
}

main
