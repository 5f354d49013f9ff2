# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/rollout
# Where a rollout stands, on disk: which colour is live, and the rollout under way, if there is one.

# ROLLOUT/state.json: {live, kept, rollout: null or {image, from, to, step, canary, watch, begun}}.
ROLLOUT=

# Opens the state; makes the first one, with blue live.
state_open() {
  ROLLOUT=$(realpath -m "$(compose_setting ROLLOUT ./.local/rollout)")
  mkdir -p "$ROLLOUT/proxy" || fail 73 "$ROLLOUT cannot be made"
  [[ -s $ROLLOUT/state.json ]] || state_write '{"live": "blue", "kept": null, "rollout": null}'
  jq -e '.live | IN("blue", "green")' "$ROLLOUT/state.json" >/dev/null 2>&1 || fail 65 "$ROLLOUT/state.json cannot be read: look at it, and remove it if blue is live"
}

# Keeps everybody else from rolling out until this process ends.
state_lock() {
  exec 7>"$ROLLOUT/lock"
  flock --nonblock 7 || fail 75 "another scripts/rollout is at work here: scripts/rollout status"
}

# Writes the state, whole or not at all.
state_write() { # json
  jq . <<<"$1" >"$ROLLOUT/state.new" || fail 73 "$ROLLOUT/state.json cannot be written"
  mv "$ROLLOUT/state.new" "$ROLLOUT/state.json" || fail 73 "$ROLLOUT/state.json cannot be written"
}

# Alters the state by a jq filter; words are jq's.
state_alter() { # filter words…
  local filter=$1
  shift
  state_write "$(jq "$@" "$filter" "$ROLLOUT/state.json")"
}

# Prints a value of the state; nothing for null.
state() { jq -r "$1 // empty" "$ROLLOUT/state.json"; } # filter

# The colour that is not the given one.
other() { if [[ $1 == blue ]]; then echo green; else echo blue; fi; } # colour
