# shellcheck shell=bash
# The stage of scripts/bench: binaries, a private cluster with users in it, tokens, services, and the book of results.

PASSWORD='correct horse battery'
WORK=
services=()

# Makes everything ready that measures share, and takes it away at the end.
stage() {
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/mini-api-bench.XXXXXX")
  # PostgreSQL's own user walks through it.
  chmod 0711 "$WORK"
  trap strike EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  build
  PG_BIN=$(postgres_find) || die "no PostgreSQL programs were found: scripts/setup postgres"
  PGBENCH=$(pgbench_find) || die "pgbench is missing: apt-get install postgresql-contrib, or the package that has it"
  (umask 077 && random_hex 32 >"$WORK/secret" && random_hex 16 >"$WORK/role")
  postgres_create "$WORK/cluster"
  postgres_create_database "$WORK/cluster" bench "$(<"$WORK/role")"
  # Safe: fsync as PostgreSQL comes. TCP over loopback for everybody: the cluster has no other socket.
  # With room for every table: how deep a look-up goes is measured, not how fast this machine reads.
  PG_OPTIONS="-c shared_buffers=1GB" postgres_start "$WORK/cluster" safe
  sql postgres "ALTER ROLE bench SUPERUSER"
  PGHOST=127.0.0.1 PGPORT=$(<"$WORK/cluster/port") PGUSER=bench PGPASSWORD=$(<"$WORK/role")
  export PGHOST PGPORT PGUSER PGPASSWORD PGSSLMODE=disable
  HASH=$("$LOAD" phc --password "$PASSWORD")
  say "making $ROWS users, and as many rows for pgbench"
  people bench "$ROWS"
  "$PGBENCH" --quiet -i -s "$((ROWS / 100000))" bench >"$WORK/pgbench.log" 2>&1 || die "pgbench -i failed: $(<"$WORK/pgbench.log")"
  sql bench "CHECKPOINT"
  "$LOAD" tokens --secret-file "$WORK/secret" --rows "$ROWS" --count 10000 >"$WORK/tokens"
  record about machine "$(about)"
}

# Takes the stage away.
strike() {
  local code=$?
  trap '' INT TERM HUP
  services_stop
  if [[ ${PG_BIN:-} ]]; then postgres_stop "$WORK/cluster" immediate || true; fi
  rm -rf "$WORK"
  exit "$code"
}

# Sets BINARY and LOAD: the service as it is shipped, and the tools built the same way.
build() {
  local target=x86_64-unknown-linux-musl
  [[ $(uname -m) == x86_64 ]] || target=$(uname -m)-unknown-linux-musl
  if [[ ! $BINARY ]]; then
    "$ROOT/scripts/build-static" >&2
    BINARY=$ROOT/dist/mini-api
  fi
  same_crate scrypt
  say "building the load generator"
  cargo build --quiet --locked --release --target "$target" --manifest-path "$ROOT/bench/load/Cargo.toml" \
    --target-dir "$ROOT/target/bench"
  LOAD=$ROOT/target/bench/$target/release/load
}

# Dies unless the load generator uses the same release of a crate as the service.
same_crate() { # name
  local ours theirs
  ours=$(crate_version "$1" "$ROOT/Cargo.lock") theirs=$(crate_version "$1" "$ROOT/bench/load/Cargo.lock")
  [[ $ours == "$theirs" ]] || die "the service has $1 $ours, bench/load $theirs: cargo update -p $1 --precise $ours there"
}

# Prints the version of a crate in a lock file.
crate_version() { # name file
  awk -v name="$1" -F'"' '$1 == "name = " { found = ($2 == name) } found && $1 == "version = " { print $2; exit }' "$2"
}

# Prints the path of pgbench: the cluster's own, else any.
pgbench_find() {
  if [[ -x $PG_BIN/pgbench ]]; then echo "$PG_BIN/pgbench"; else command -v pgbench; fi
}

# Runs SQL as the superuser.
sql() { # database statement
  local psql=psql
  [[ -x $PG_BIN/psql ]] && psql=$PG_BIN/psql
  PGOPTIONS='-c client_min_messages=warning' PGPASSWORD=$(<"$WORK/cluster/password") \
    "$psql" -X -q -At -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(<"$WORK/cluster/port")" -U postgres -d "$1" -c "$2"
}

# Migrates a database and fills it with users 1 to N, all with one password.
people() { # database rows
  DATABASE_URL=$(database_url "$1") JWT_SECRET_FILE=$WORK/secret "$BINARY" migrate >/dev/null
  sql "$1" "INSERT INTO users (email, password_hash, full_name)
    SELECT 'user' || i || '@bench.example', '$HASH', 'User ' || i FROM generate_series(1, $2) AS i"
  sql "$1" "VACUUM ANALYZE users"
}

# Prints the URL a service reaches a database by.
database_url() { # database
  printf 'postgresql://bench:%s@127.0.0.1:%s/%s?sslmode=disable\n' "$(<"$WORK/role")" "$(<"$WORK/cluster/port")" "$1"
}

# Starts a service on a database, with more settings as NAME=VALUE; sets SERVICE (its pid) and ADDRESS.
# Without limits for logins, since it is hashing that is measured, unless the settings say otherwise.
serve() { # database [setting…]
  local database=$1
  shift
  ADDRESS=127.0.0.1:$(free_port)
  # A session of its own: the kernel shares the cores among sessions first (autogroup), as it does among containers.
  env DATABASE_URL="$(database_url "$database")" JWT_SECRET_FILE="$WORK/secret" LISTEN_ADDR="$ADDRESS" \
    TRUSTED_PROXIES=127.0.0.1 LOGIN_LIMIT_ACCOUNT_NETWORK=off LOGIN_LIMIT_NETWORK=off LOGIN_LIMIT_ACCOUNT=off \
    "$@" setsid "$BINARY" serve >"$WORK/service.log" 2>&1 &
  SERVICE=$!
  services+=("$SERVICE")
  wait_until 20 is_ready || die "the service did not become ready: $(tail -n 5 "$WORK/service.log")"
}

# True when the service at ADDRESS lets requests through.
is_ready() {
  LISTEN_ADDR=$ADDRESS JWT_SECRET_FILE=$WORK/secret DATABASE_URL=$(database_url bench) "$BINARY" healthcheck
}

# Ends the services started by this shell.
services_stop() {
  local pid
  for pid in "${services[@]}"; do process_end "$pid" 10; done
  services=()
}

# Writes one result down.
record() { # measure variant json
  jq -cn --arg measure "$1" --arg variant "$2" --argjson value "$3" \
    '{measure: $measure, variant: $variant, value: $value}' >>"$WORK/rounds.jsonl"
}

# Prints what the figures depend on.
about() {
  jq -cn --arg mode "$MODE" --arg cores "$(nproc)" --arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
    --arg kernel "$(uname -r)" --arg postgres "$("$PG_BIN/postgres" --version)" --arg revision "$(project_revision)" \
    --arg rows "$ROWS" --arg many "$MANY" --arg rounds "$ROUNDS" --arg seconds "$SECONDS_A_TURN" --arg date "$(date -u +%FT%TZ)" \
    --arg autogroup "$(cat /proc/sys/kernel/sched_autogroup_enabled 2>/dev/null || echo 0)" \
    '{$mode, $date, $revision, $cpu, cores: ($cores | tonumber), $kernel, $postgres, rows: ($rows | tonumber),
      many: ($many | tonumber), rounds: ($rounds | tonumber), seconds: ($seconds | tonumber), autogroup: ($autogroup == "1")}'
}
