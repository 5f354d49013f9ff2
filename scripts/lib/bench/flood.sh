# shellcheck shell=bash
# What a flood of logins does to /users/me, and /users/me to logins.

# Prints the latencies of /users/me at 1,000 requests a second as JSON.
open_loop() { # seconds
  "$LOAD" open --address "$ADDRESS" --tokens "$WORK/tokens" --rate 1000 --connections 32 --seconds "$1"
}

# Records what a command prints while logins pour in, and the flood's own result.
during_flood() { # variant of the command, variant of the flood, seconds, command…
  local variant=$1 flood=$2 seconds=$3 pid result
  shift 3
  flood "$ROWS" 16 "$((seconds + 2))" >"$WORK/flood.json" &
  pid=$!
  # Until all slots are busy and the queue stands.
  sleep 1
  result=$("$@")
  wait "$pid"
  record flood "$variant" "$result"
  record flood "$flood" "$(<"$WORK/flood.json")"
}

# Records /users/me at 1,000/s beside a bare scrypt loop that is not the service's: what the kernel alone makes of it.
beside_a_loop() { # seconds
  local pid result
  # A session of its own, as the service has one.
  setsid "$LOAD" scrypt --threads "$(nproc)" --seconds "$(($1 + 2))" --nice 19 >/dev/null &
  pid=$!
  sleep 1
  result=$(open_loop "$1")
  wait "$pid"
  record flood open/loop "$result"
}

measure_flood() {
  local round seconds=$((SECONDS_A_TURN * 2))
  serve bench
  wrk_on /users/me 32 "$SECONDS_A_TURN" >/dev/null
  for ((round = 1; round <= ROUNDS; round++)); do
    record flood open/quiet "$(open_loop "$seconds")"
    beside_a_loop "$seconds"
    during_flood open/flood logins/open "$seconds" open_loop "$seconds"
    record flood me/alone "$(wrk_on /users/me 32 "$seconds")"
    record flood logins/alone "$(flood "$ROWS" 16 "$seconds")"
    during_flood me/both logins/both "$seconds" wrk_on /users/me 32 "$seconds"
  done
}
