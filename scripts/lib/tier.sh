# shellcheck shell=bash
# What every tier of tests begins with: a work folder that goes away, and checks that are counted.
# scripts/test gives TALLY (a file: one line "passed N" or "failed N" per count) and FULL (1: the whole matrix).
set -euo pipefail

lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=scripts/lib/project.sh
source "$lib/project.sh"
# shellcheck source=scripts/lib/log.sh
source "$lib/log.sh"
# shellcheck source=scripts/lib/network.sh
source "$lib/network.sh"
# shellcheck source=scripts/lib/process.sh
source "$lib/process.sh"
# shellcheck source=scripts/lib/postgres.sh
source "$lib/postgres.sh"
# shellcheck disable=SC2034  # read by the tiers
scripts=${lib%/lib}
TALLY=${TALLY:-/dev/null} FULL=${FULL:-}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/mini-api-test.XXXXXX")
# PostgreSQL's own user walks through it.
chmod 0711 "$WORK"
cd "$ROOT"
# Tests open some thousand connections; a login shell's soft limit is 1,024.
ulimit -S -n "$(ulimit -H -n)"
started=()
# Commands to run at the end, whatever happened.
at_end=()

# Stops what the tier started and takes its folder away.
clean_up() {
  local code=$? pid data command
  trap '' INT TERM HUP
  # Tests still at work when the tier is interrupted would go on writing.
  if ((code != 0)); then kill -TERM -- "-$$" 2>/dev/null || true; fi
  for command in "${at_end[@]}"; do $command || true; done
  for pid in "${started[@]}"; do process_end "$pid" 10; done
  while IFS= read -r data; do
    PG_BIN=${PG_BIN:-$(postgres_find || true)}
    postgres_step_down "$WORK"
    postgres_stop "${data%/data/postmaster.pid}" immediate || true
  done < <(find "$WORK" -path '*/data/postmaster.pid' 2>/dev/null)
  wait_until 20 rm -rf "$WORK" || true
  exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Records results.
count() { # passed|failed number
  printf '%s %s\n' "$1" "$2" >>"$TALLY"
}

# Runs one check; its output is shown when it fails. A failed check does not end the tier.
check() { # name command…
  local name=$1 begin=$SECONDS code=0 output
  shift
  output=$(mktemp "$WORK/check.XXXXXX")
  # In a subshell that keeps `set -e`: a condition around it would switch that off inside.
  set +e
  (
    set -e
    trap - EXIT
    "$@"
  ) >"$output" 2>&1
  code=$?
  set -e
  if ((code == 0)); then
    count passed 1
    say "   ok      $name ($((SECONDS - begin)) s)"
    return 0
  fi
  count failed 1
  say "   FAILED  $name ($((SECONDS - begin)) s)"
  tail -n 80 "$output" | sed 's/^/      | /' >&2
  return 0
}

# Runs `cargo test` and counts each test it reports.
cargo_tests() { # name arguments of cargo test…
  local name=$1 begin=$SECONDS code=0 passed failed output=$WORK/cargo.log
  shift
  cargo test --locked "$@" >"$output" 2>&1 || code=$?
  read -r passed failed < <(awk '/^test result:/ { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$output")
  if ((code != 0 && failed == 0)); then failed=1; fi
  if ((passed + failed == 0)); then
    failed=1
    echo "no test ran" >>"$output"
  fi
  count passed "$passed"
  count failed "$failed"
  say "   $([[ $failed == 0 ]] && echo 'ok    ' || echo FAILED)  $name: $passed passed, $failed failed ($((SECONDS - begin)) s)"
  if ((failed)); then tail -n 150 "$output" | sed 's/^/      | /' >&2; fi
}

# Counts the lines of TAP that a command prints.
tap_tests() { # name command…
  local name=$1 begin=$SECONDS code=0 passed failed output
  output=$(mktemp "$WORK/tap.XXXXXX")
  shift
  "$@" >"$output" 2>&1 || code=$?
  # A test that skipped itself showed nothing.
  sed -i -E 's/^ok (.* # skip)/not ok \1/' "$output"
  passed=$(grep -c '^ok ' "$output" || true)
  failed=$(grep -c '^not ok ' "$output" || true)
  if ((code != 0 && failed == 0 || passed + failed == 0)); then failed=$((failed + 1)); fi
  count passed "$passed"
  count failed "$failed"
  say "   $([[ $failed == 0 ]] && echo 'ok    ' || echo FAILED)  $name: $passed passed, $failed failed ($((SECONDS - begin)) s)"
  if ((failed)); then grep -A 30 '^not ok' "$output" | sed 's/^/      | /' >&2 || sed 's/^/      | /' "$output" >&2; fi
}

# Starts a throw-away cluster in the work folder and exports what tests need to know of it.
test_cluster() { # name
  PG_BIN=${PG_BIN:-$(postgres_find)}
  postgres_create "$WORK/$1"
  postgres_start "$WORK/$1" fast
  TEST_DATABASE_URL=$(postgres_superuser_url "$WORK/$1")
  TEST_PG_BIN=$PG_BIN TEST_PG_AS="${PG_AS[*]}" TMPDIR=$WORK
  export TEST_DATABASE_URL TEST_PG_BIN TEST_PG_AS TMPDIR
}

# Builds the service and starts it on a free port over a throw-away cluster; exports BASE_URL.
test_service() {
  local port password settings
  PG_BIN=${PG_BIN:-$(postgres_find)}
  postgres_create "$WORK/service"
  password=$(random_hex 16)
  postgres_create_database "$WORK/service" mini_api "$password"
  postgres_start "$WORK/service" fast
  cargo build --quiet --locked --bin mini-api
  port=$(free_port)
  (umask 077 && random_hex 32 >"$WORK/jwt_secret")
  settings=(
    DATABASE_URL="postgresql://mini_api:$password@127.0.0.1:$(<"$WORK/service/port")/mini_api"
    JWT_SECRET_FILE="$WORK/jwt_secret" LISTEN_ADDR="127.0.0.1:$port" LOG_FORMAT=text MIGRATE_ON_START=true
  )
  setsid env "${settings[@]}" "$ROOT/target/debug/mini-api" serve >"$WORK/service.log" 2>&1 &
  started+=("$!")
  export BASE_URL=http://127.0.0.1:$port
  wait_until 30 port_answers "$port" || {
    cat "$WORK/service.log" >&2
    die "the service did not start"
  }
}
