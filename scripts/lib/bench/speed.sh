# shellcheck shell=bash
# Rates: /users/me beside pgbench, logins beside a bare loop of the same hash.

# Prints the processor time used so far, in ticks: by the children of a shell, the service, and PostgreSQL.
ticks() { # pid of the shell
  local postmaster
  read -r postmaster <"$WORK/cluster/data/postmaster.pid"
  # Some end while they are read.
  { cat /proc/[0-9]*/stat 2>/dev/null || true; } | sed 's/^\([0-9]*\) (.*) /\1 /' | awk -v shell="$1" -v service="${SERVICE:-0}" -v postmaster="$postmaster" '
    $1 == shell { mine = $15 + $16 }
    $1 == service { its = $13 + $14 }
    # Backends that ended are counted by the one who waited for them.
    $1 == postmaster { theirs += $13 + $14 + $15 + $16 }
    $3 == postmaster { theirs += $13 + $14 }
    END { printf "[%d,%d,%d]\n", mine, its, theirs }'
}

# Adds what each answer cost, in microseconds of processor time: a figure that a busy machine distorts least.
with_ticks() { # before after
  jq -c --argjson before "$1" --argjson after "$2" --argjson hz "$(getconf CLK_TCK)" '
    . as $result | [$after, $before] | transpose | map((.[0] - .[1]) / $hz * 1e6 / $result.count) as $us
    | $result + {client_us: $us[0], service_us: $us[1], postgres_us: $us[2], cpu_us: ($us | add)}'
}

# Prints wrk's result on one path as JSON.
wrk_on() { # path connections seconds
  local out
  local before self=$BASHPID
  before=$(ticks "$self")
  wrk -t 1 -c "$2" -d "${3}s" --timeout 10s -s "$ROOT/bench/wrk.lua" "http://$ADDRESS" -- "$1" "$WORK/tokens" >"$WORK/wrk.out"
  out=$(tail -n 1 "$WORK/wrk.out" | with_ticks "$before" "$(ticks "$self")")
  [[ $(jq .errors <<<"$out") == 0 ]] || {
    say "wrk met errors on $1: $out"
    return 1
  }
  printf '%s\n' "$out"
}

# Prints pgbench's result as JSON; it has no such format of its own.
pgbench_on() { # clients threads seconds
  local before self=$BASHPID extra
  # Making its connections is part of the time it is given, and on a busy machine may take all of it.
  for extra in $(($1 / 32)) 10 30; do
    before=$(ticks "$self")
    if ! "$PGBENCH" -n -S -M prepared -c "$1" -j "$2" -T "$(($3 + extra))" bench >"$WORK/pgbench.out" 2>"$WORK/pgbench.log"; then
      say "pgbench with $1 clients failed: $(tail -n 3 "$WORK/pgbench.log")"
      return 1
    fi
    if ! grep -q 'actually processed: 0$' "$WORK/pgbench.out"; then break; fi
  done
  awk '/^tps = / { tps = $3 } /^latency average = / { latency = $4 } /actually processed:/ { count = $NF }
    END { if (tps == "") exit 1; printf "{\"rate\":%s,\"count\":%d,\"mean_ms\":%s}\n", tps, count, latency }' \
    "$WORK/pgbench.out" | with_ticks "$before" "$(ticks "$self")"
}

# /users/me and pgbench in turns. pgbench is given one thread and two, and judged by its better median.
measure_me() {
  local round clients
  serve bench
  for clients in 1 32 128; do
    wrk_on /users/me "$clients" "$SECONDS_A_TURN" >/dev/null
    pgbench_on "$clients" 1 "$SECONDS_A_TURN" >/dev/null
    for ((round = 1; round <= ROUNDS; round++)); do
      record me "pgbench-j1/c$clients" "$(pgbench_on "$clients" 1 "$SECONDS_A_TURN")"
      record me "service/c$clients" "$(wrk_on /users/me "$clients" "$SECONDS_A_TURN")"
      if ((clients == 1)); then
        # One HTTP exchange without the database: what a look-up costs on top of it is the look-up's.
        record me "livez/c1" "$(wrk_on /livez 1 "$SECONDS_A_TURN")"
      else
        record me "pgbench-j2/c$clients" "$(pgbench_on "$clients" 2 "$SECONDS_A_TURN")"
      fi
    done
  done
}

# Prints a flood's result as JSON.
flood() { # users connections seconds
  "$LOAD" flood --address "$ADDRESS" --rows "$1" --connections "$2" --seconds "$3" --password "$PASSWORD"
}

# Logins and the bare loop in turns; then logins under the default limits, spread over accounts and networks.
measure_login() {
  local round threads seconds=$((SECONDS_A_TURN * 2)) limited free
  threads=$(nproc)
  serve bench HASH_SLOTS="$threads"
  free=$ADDRESS
  serve bench HASH_SLOTS="$threads" LOGIN_LIMIT_ACCOUNT_NETWORK= LOGIN_LIMIT_NETWORK= LOGIN_LIMIT_ACCOUNT=
  limited=$ADDRESS
  for ((round = 1; round <= ROUNDS; round++)); do
    record login loop "$("$LOAD" scrypt --threads "$threads" --seconds "$seconds" --nice 19)"
    ADDRESS=$free
    record login service "$(flood "$ROWS" 16 "$seconds")"
    ADDRESS=$limited
    record login limited "$(flood "$ROWS" 16 "$seconds")"
  done
}
