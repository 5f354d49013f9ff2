# shellcheck shell=bash
# Where the project lies, and what it says about itself. Everything a script writes is below these folders.

# A failed step inside $(…) ends the script as well.
shopt -s inherit_errexit

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
TOOLS=$ROOT/.tools
LOCAL=$ROOT/.local
export ROOT TOOLS LOCAL

# Tools of the project come before those of the machine: they are the pinned ones.
export PATH=$TOOLS/venv/bin:$TOOLS/bin:$PATH

# Prints one value of Cargo.toml's [package] table.
project_value() { # key
  awk -v key="$1" -F' *= *' '/^\[/ { package = ($0 == "[package]") } package && $1 == key { gsub(/"/, "", $2); print $2; exit }' \
    "$ROOT/Cargo.toml"
}

# Prints the commit the tree stands on, "-dirty" when tracked files differ from it, "unknown" outside a repository.
project_revision() {
  local commit
  if ! commit=$(git -C "$ROOT" rev-parse --verify --quiet HEAD 2>/dev/null); then
    echo "${MINI_API_REVISION:-unknown}"
    return
  fi
  if git -C "$ROOT" diff --quiet HEAD -- 2>/dev/null; then echo "$commit"; else echo "$commit-dirty"; fi
}

# Prints the time of that commit, in seconds: the only clock a reproducible build may look at.
project_epoch() {
  git -C "$ROOT" log -1 --format=%ct 2>/dev/null || echo "${SOURCE_DATE_EPOCH:-315532800}"
}
