# shellcheck shell=bash
# A second place to build in: a copy of the project in another folder, with a CARGO_HOME of another name. It is how the tests
# show that nothing of the first place is in the result. Wants scripts/lib/tier.sh and scripts/lib/laws.sh.

elsewhere=$WORK/another/place

# Copies the project's files.
copy_project() { # folder
  mkdir -p "$1"
  (cd "$ROOT" && project_files | tar --create --files-from=-) | tar --directory "$1" --extract
}

# Makes the second place, once. The copy shares what was downloaded, and nothing that was compiled.
make_elsewhere() {
  [[ ! -d $elsewhere ]] || return 0
  copy_project "$elsewhere"
  mkdir -p "$WORK/cargo-home" "$TOOLS"
  local shared
  for shared in registry config.toml bin; do
    if [[ -e ${CARGO_HOME:-$HOME/.cargo}/$shared ]]; then ln -s "${CARGO_HOME:-$HOME/.cargo}/$shared" "$WORK/cargo-home/"; fi
  done
  ln -s "$TOOLS" "$elsewhere/.tools"
}

# Runs a command of the copy, which has no repository of its own and is told its commit.
run_elsewhere() { # command…
  local command=$1
  shift
  env -u CARGO_TARGET_DIR MINI_API_REVISION="$(project_revision)" SOURCE_DATE_EPOCH="$(project_epoch)" \
    CARGO_HOME="$WORK/cargo-home" "$elsewhere/$command" "$@"
}
