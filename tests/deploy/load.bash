# shellcheck shell=bash
# Requests at a steady rate while a test does something: to BASE, by a user who is logged in (TOKEN).

# Begins to ask.
load_begins() { # [requests-a-second]
  rm -f stop load.json
  python3 "$ROOT/tests/deploy/load.py" "${BASE#http://}" /users/me "$TOKEN" "${1:-100}" stop load.json 3>&- &
  LOAD=$!
}

# Ends asking; prints what came of it.
load_ends() {
  touch stop
  wait "$LOAD" || true
  cat load.json
}
