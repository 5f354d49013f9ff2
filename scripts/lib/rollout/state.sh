# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/rollout
# Where a rollout stands, on disk: which colour is live, and the rollout under way, if there is one.

# ROLLOUT/state.json: {live, kept, back: null or the colour that is gone back to, rollout: null or {image, from, to, step, …}}.
ROLLOUT=

# Opens the state; makes the first one, with blue live, unless it must have been lost.
state_open() {
  ROLLOUT=$(realpath -m "$(compose_setting ROLLOUT ./.local/rollout)")
  mkdir -p "$ROLLOUT/proxy" || fail 73 "$ROLLOUT cannot be made"
  if [[ ! -e $ROLLOUT/state.json ]]; then
    [[ ! $(colour_containers green) ]] ||
      fail 65 "$ROLLOUT/state.json is gone, and there is a green container: write the colour that is live back, as {\"live\": \"green\"}"
    state_write '{"live": "blue"}'
  fi
  jq -e '.live | IN("blue", "green")' "$ROLLOUT/state.json" >/dev/null 2>&1 || fail 65 "$ROLLOUT/state.json cannot be read: look at it, and remove it if blue is live"
}

# Keeps everybody else from rolling out until this process ends.
state_lock() {
  exec 7>"$ROLLOUT/lock"
  flock --nonblock 7 || fail 75 "another scripts/rollout is at work here: scripts/rollout status"
}

# Writes the state, whole or not at all.
state_write() { # json
  jq -e . <<<"$1" >"$ROLLOUT/state.new" || fail 73 "$ROLLOUT/state.json cannot be written"
  sync "$ROLLOUT/state.new"
  mv "$ROLLOUT/state.new" "$ROLLOUT/state.json" || fail 73 "$ROLLOUT/state.json cannot be written"
}

# Alters the state by a jq filter; words are jq's.
state_alter() { # filter words…
  local filter=$1
  shift
  filter=$(jq "$@" "$filter" "$ROLLOUT/state.json") || fail 65 "$ROLLOUT/state.json cannot be read"
  state_write "$filter"
}

# Prints a value of the state; nothing for null.
state() { jq -r "$1 // empty" "$ROLLOUT/state.json"; } # filter

# Prints the containers of a colour, running or not, whatever the files of Compose say now.
colour_containers() { # colour
  compose_containers --all --filter "label=com.docker.compose.service=$1" 2>/dev/null || true
}

# The colour that is not the given one.
other() { if [[ $1 == blue ]]; then echo green; else echo blue; fi; } # colour
