# shellcheck shell=bash
# Requests at a steady rate while a test does something: to a site (API_PORT), by a user who is logged in (TOKEN).

# Begins to ask.
load_begins() { # [requests-a-second]
  rm -f stop load.json
  python3 "$BATS_TEST_DIRNAME/load.py" "127.0.0.1:$API_PORT" /users/me "$TOKEN" "${1:-100}" stop load.json 3>&- &
  LOAD=$!
}

# Ends asking; prints what came of it.
load_ends() {
  touch stop
  wait "$LOAD" || true
  cat load.json
}
