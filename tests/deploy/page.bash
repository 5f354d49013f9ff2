# shellcheck shell=bash
# The commands of a page, as they stand there: every block that is marked as bash.

# Prints the N-th block of a page, or all of them.
page_block() { # page [number]
  awk -v wanted="${2:-0}" '/^ *```bash$/ { inside = 1; n++; next } /^ *```$/ { inside = 0 } inside && (wanted == 0 || n == wanted)' "$ROOT/docs/runbooks/$1"
}

# Runs a block in the site, stopping at the first command that fails; prints what it prints. Ports are those of the site.
run_block() { # page number
  local commands
  commands=$(page_block "$1" "$2")
  [[ $commands ]] || {
    echo "there is no block $2 in $1" >&2
    return 1
  }
  bash -euo pipefail -x -c "${commands//:8000/:$API_PORT}"
}

# How many blocks a page has: a test that runs them all says so, and fails when one is added.
page_blocks() { grep -c '^ *```bash$' "$ROOT/docs/runbooks/$1"; } # page
