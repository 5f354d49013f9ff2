# shellcheck shell=bash
# What a flood of logins does to /users/me, and /users/me to logins.

# Prints the latencies of /users/me at 1,000 requests a second as JSON.
open_loop() { # seconds
  "$LOAD" open --address "$ADDRESS" --tokens "$WORK/tokens" --rate 1000 --connections 32 --seconds "$1"
}

# Runs a command while logins pour in; records the flood's own result.
during_flood() { # variant seconds command…
  local variant=$1 seconds=$2 pid
  shift 2
  flood 16 "$((seconds + 2))" >"$WORK/flood.json" &
  pid=$!
  # Until all slots are busy and the queue stands.
  sleep 1
  "$@"
  wait "$pid"
  record flood "$variant" "$(<"$WORK/flood.json")"
}

measure_flood() {
  local round seconds=$((SECONDS_A_TURN * 2)) quiet loud
  serve bench
  wrk_on /users/me 32 1 >/dev/null
  for ((round = 1; round <= ROUNDS; round++)); do
    record flood open/quiet "$(open_loop "$seconds")"
    during_flood logins/open "$seconds" eval 'loud=$(open_loop "$seconds")'
    record flood open/flood "$loud"
    record flood me/alone "$(wrk_on /users/me 32 "$seconds")"
    record flood logins/alone "$(flood 16 "$seconds")"
    during_flood logins/both "$seconds" eval 'loud=$(wrk_on /users/me 32 "$seconds")'
    record flood me/both "$loud"
  done
}
