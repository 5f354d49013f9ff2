# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/rollout
# The steps of a rollout. Each is noted before it begins and may be done twice, so whoever was stopped begins it again.

# When the new colour got its share.
shared=
steps=(choose start migrate canary half full)

# Does the steps from the noted one on.
steps_go() {
  local from to step begun=''
  from=$(state .rollout.from) to=$(state .rollout.to)
  for step in "${steps[@]}"; do
    [[ $step == "$(state .rollout.step)" ]] && begun=1
    [[ $begun ]] || continue
    # shellcheck disable=SC2016
    state_alter '.rollout.step = $step' --arg step "$step"
    "step_$step" "$from" "$to"
  done
  # shellcheck disable=SC2016
  state_alter '.live = $to | .kept = $from | .rollout = null' --arg to "$to" --arg from "$from"
  steps_name_live "$to"
  say "$to is live. $from is kept beside it: scripts/rollout rollback goes back at once, scripts/rollout finish stops it"
}

# Makes the live colour's image the deployment's, whose migration runs when all is started anew.
steps_name_live() { # colour
  "$ROOT/policy/admit" --write-env images.env "MINI_API_IMAGE=$(steps_image "$1")" >/dev/null 2>&1 ||
    say "   MINI_API_IMAGE in images.env is still the one before: the registry does not answer. When it does: policy/admit --write-env images.env MINI_API_IMAGE=$(steps_image "$1")"
}

# Prints the image that images.env names for a colour.
steps_image() { compose_images | name=${1^^}_IMAGE awk '$1 == ENVIRON["name"] { print $2 }'; } # colour

# Writes the image down as the other colour's.
step_choose() { # from to
  say "-- choose: the image becomes $2's"
  "$ROOT/policy/admit" --write-env images.env "${2^^}_IMAGE=$(state .rollout.image)" >/dev/null || fail $? "the image may not run here any more, or that cannot be known now: scripts/rollout resume tries again, abort ends it"
  steps_profiles "$1" "$2"
}

# Says which colours belong to the deployment, for `scripts/compose up` as well.
steps_profiles() { # colour…
  (IFS=, && printf 'COMPOSE_PROFILES=%s\n' "$*") >"$ROLLOUT/env.new" || fail 73 "$ROLLOUT/env cannot be written"
  mv "$ROLLOUT/env.new" "$ROLLOUT/env" || fail 73 "$ROLLOUT/env cannot be written"
}

# Starts the new colour, without traffic.
step_start() { # from to
  say "-- start: $2 beside $1"
  proxy_share "$1" 100
  # Anew even if its image is the same: secrets may be others.
  compose up --detach --quiet-pull --no-deps --force-recreate "$2" >&2 || steps_back "it could not be started"
}

# Brings the schema up to date; the colour before goes on working, as docs/runbooks/release.md says migrations must let it.
step_migrate() { # from to
  say "-- migrate: the schema, by $2's image"
  compose run --rm --no-deps -T "$2" migrate >&2 || steps_back "the schema could not be brought up to date"
  wait_until 60 proxy_ready "$2" || steps_back "it was not ready within a minute"
  proxy_ready "$1" || steps_back "$1 did not live through the migration"
}

step_canary() { steps_share "$1" "$2" "$(state .rollout.canary)"; }

step_half() { steps_share "$1" "$2" 50; }

step_full() { steps_share "$1" "$2" 100; }

# Gives the new colour a share, and watches it.
steps_share() { # from to share
  local code=0
  say "-- $2 gets $3 of a hundred requests"
  shared=$SECONDS
  proxy_share "$2" "$3"
  watch_for "$1" "$2" "$(state .rollout.watch)" "$(jq -c .rollout.known "$ROLLOUT/state.json")" || code=$?
  # shellcheck disable=SC2016
  state_alter '.rollout.known = $known' --argjson known "$WATCH_KNOWN"
  case $code in
    0) ;;
    75)
      [[ $accept ]] || fail 75 "$2 keeps its share, and nothing goes on: $WATCH_WHY. 'scripts/rollout resume' watches again, 'resume --accept' goes on, 'abort' takes it back"
      say "      accepted: $WATCH_WHY"
      ;;
    *) steps_back "$WATCH_WHY" ;;
  esac
}

# Takes the rollout back, and says why.
steps_back() { # why
  say "-- taking back: $1"
  steps_undo
  fail 65 "$(state .live) has all traffic again: $1"
}

# Gives all traffic to the colour before, and stops the new one once nobody is served by it.
steps_undo() {
  local from to
  from=$(state .rollout.from) to=$(state .rollout.to)
  if [[ $(compose_state "$from") != running\ * ]]; then
    compose up --detach --no-deps --wait --wait-timeout 60 "$from" >&2 || fail 69 "$from does not start: scripts/compose logs $from"
  fi
  proxy_share "$from" 100
  say "   $from has all traffic again${shared:+, after $((SECONDS - shared)) seconds}; stopping $to"
  steps_profiles "$from"
  compose stop --timeout 30 "$to" >&2 2>/dev/null || true
  compose rm --force "$to" >&2 2>/dev/null || true
  steps_forget "$from" "$to"
  state_alter '.rollout = null'
}

# Takes the image that was taken back out of images.env.
steps_forget() { # from to
  "$ROOT/policy/admit" --write-env images.env "${2^^}_IMAGE=$(steps_image "$1")" >/dev/null 2>&1 || say "   images.env still names the image for $2, which nothing runs: the registry does not answer"
}

steps_abort() {
  [[ $(state .rollout) ]] || fail 66 "no rollout is under way"
  ready_engine
  steps_undo
  say "$(state .live) has all traffic, as before"
}

# Goes back to the colour that was kept.
steps_rollback() {
  local kept live
  if [[ $(state .rollout) ]]; then
    steps_abort
    return
  fi
  # Noted before anything moves: whoever is stopped here says it again.
  kept=$(state .back) && [[ $kept ]] || kept=$(state .kept)
  [[ $kept ]] || fail 66 "no colour is kept to go back to"
  live=$(other "$kept")
  ready_engine
  # shellcheck disable=SC2016
  state_alter '.back = $kept' --arg kept "$kept"
  steps_profiles "$kept" "$live"
  compose up --detach --no-deps "$kept" >&2 || fail 69 "$kept does not start: scripts/compose logs $kept"
  wait_until 60 proxy_ready "$kept" || fail 69 "$kept is not ready, and $live keeps the traffic: scripts/compose logs $kept"
  proxy_share "$kept" 100
  # shellcheck disable=SC2016
  state_alter '.live = $kept | .kept = $live | .back = null' --arg kept "$kept" --arg live "$live"
  steps_name_live "$kept"
  say "$kept is live again; $live is kept beside it"
}

# Stops the colour before.
steps_finish() {
  local kept live
  [[ ! $(state .rollout) ]] || fail 75 "a rollout is under way: scripts/rollout resume or abort"
  [[ ! $(state .back) ]] || fail 75 "going back was cut short: scripts/rollout rollback"
  kept=$(state .kept) live=$(state .live)
  [[ $kept ]] || fail 66 "no colour is kept: there is nothing to finish"
  ready_engine
  # Nothing is stopped before it is certain that nobody needs it.
  proxy_ready "$live" || fail 69 "$live is not ready, so $kept stays: scripts/compose logs $live"
  proxy_share "$live" 100
  steps_name_live "$live"
  steps_forget "$live" "$kept"
  compose stop --timeout 30 "$kept" >&2 2>/dev/null || true
  compose rm --force "$kept" >&2 2>/dev/null || true
  steps_profiles "$live"
  state_alter '.kept = null'
  say "$live is live, and $kept is gone. What only the release before used may be dropped now: the contracting migration comes with a later release"
}
