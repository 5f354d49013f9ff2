# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/rollout
# The pre-flight: what must be true before a new colour is started. Nothing is altered.

# Fails unless a rollout to this image may begin.
ready_rollout() { # reference from
  local running
  ready_engine
  [[ :$(compose_setting COMPOSE_FILE compose.yaml): == *:compose.rollout.yaml:* ]] ||
    fail 78 "this deployment has no second colour: write COMPOSE_FILE=compose.yaml:compose.rollout.yaml into .env, and scripts/compose up"
  reference_parse "$1" pinned || fail 65 "$1 is refused: $REF_WHY"
  "$ROOT/policy/admit" "$1" >&2 || fail $? "this image may not run here, or that cannot be known now: see above"
  ready_colour "$1" "$2"
  say "   ok  the image is by digest, and signed, and what runs it may"
  for running in db proxy "$2"; do
    [[ $(compose_state "$running") == running\ * ]] || fail 69 "$running does not run: scripts/compose up, then scripts/compose ps"
  done
  proxy_gives_all "$2" || fail 65 "$2 is live, and the proxy gives $(proxy_wanted): scripts/rollout render puts that right"
  proxy_is_current || fail 69 "the proxy does not run by the configuration on disk: scripts/compose restart proxy"
  proxy_ready "$2" || fail 69 "$2 is not ready, so nothing can be compared with it: scripts/compose logs $2"
  say "   ok  database, proxy and $2 are well"
  ready_clock
  ready_disk
  say "   ok  there is room on the disk"
}

# Fails unless the files of Compose may run with this image in the place of the colour that is not live.
ready_colour() { # reference from
  local other=blue merged
  [[ $2 != blue ]] || other=green
  { mkdir -p "$ROLLOUT" && printf '%s_IMAGE=%s\n' "${other^^}" "$1" >"$ROLLOUT/asked.env"; } || fail 73 "$ROLLOUT cannot be written"
  COMPOSE_MORE=("$ROLLOUT/asked.env")
  merged=$(compose --profile '*' config --format json 2>"$LOCAL/merged.log") || fail 78 "compose does not take its files: $(tail -n 1 "$LOCAL/merged.log")"
  COMPOSE_MORE=()
  "$ROOT/policy/admit" --file - <<<"$merged" >&2 || fail $? "this may not run here, or that cannot be known now: see above"
}

# Fails when this clock is far from the one of the registry, by which signatures were judged: tokens and certificates would be
# judged by a wrong time.
ready_clock() {
  local header there apart
  header=$(curl --silent --head --max-time 5 ${REGISTRY_CA:+--cacert "$REGISTRY_CA"} "https://$REF_REGISTRY/v2/" | tr -d '\r' | sed -n 's/^[Dd]ate: //p') || header=''
  if [[ ! $header ]]; then
    say "   --  the registry tells no time: the clock was not compared"
    return 0
  fi
  there=$(date -d "$header" +%s) || fail 69 "the registry's time cannot be read: $header"
  apart=$(($(date +%s) - there))
  ((${apart#-} <= 30)) || fail 65 "this clock is ${apart#-} seconds from that of $REF_REGISTRY: set the clock (docs/runbooks/clock.md)"
  say "   ok  the clock is right"
}
