# shellcheck shell=bash
# shellcheck disable=SC2154  # here and results stand in scripts/test
# Tiers at once. Most of their time goes by waiting, so two lanes keep two cores busy: each takes the next tier of the queue. What
# compiles for minutes has a third, at the lowest priority. What became of a tier stands in RESULTS/TIER (its tally) and TIER.end.

lane_pids=()

# Runs tiers to their ends; those after -- one after another with what the others leave of the machine.
lanes_run() { # tier… -- tier…
  local lane
  : >"$results/queue"
  while [[ $1 != -- ]]; do
    echo "$1" >>"$results/queue"
    shift
  done
  shift
  if (($#)); then
    say "   beside what follows, at the lowest priority: $*"
    lane_low "$@" &
    lane_pids+=("$!")
  fi
  for lane in 1 2; do
    lane "$lane" &
    lane_pids+=("$!")
  done
  for lane in "${lane_pids[@]}"; do wait "$lane" || true; done
  lanes_end
}

# Ends the lanes and what still runs in them, and lets none begin anew.
lanes_end() {
  local file
  : >"$results/stop"
  wait_until 60 lanes_gone || kill -KILL "${lane_pids[@]}" 2>/dev/null || true
  # What is left of their sessions.
  for file in "$results"/lane-*.told; do
    [[ ! -s $file ]] || kill -KILL -- "-$(<"$file")" 2>/dev/null || true
  done
  lane_pids=()
}

# Asks what runs to end; true when nothing does.
lanes_gone() {
  local file pid gone=0
  for file in "$results"/lane-*.pid; do
    if [[ ! -s $file ]] || ! pid=$(<"$file") || ! process_alive "$pid"; then continue; fi
    [[ -e ${file%.pid}.told ]] || kill -TERM -- "-$pid" 2>/dev/null || true
    echo "$pid" >"${file%.pid}.told"
    gone=1
  done
  for pid in "${lane_pids[@]}"; do
    if process_alive "$pid"; then gone=1; fi
  done
  return "$gone"
}

# Takes tiers from the queue until there are none.
lane() { # number
  local tier
  trap - EXIT INT TERM HUP
  while [[ ! -e $results/stop ]] && tier=$(lane_next) && [[ $tier ]]; do lane_tier "$1" "$tier" bash "$here/lib/tiers/$tier.sh"; done
}

# Takes the first line out of the queue.
lane_next() {
  {
    flock 7
    head -n 1 "$results/queue"
    sed -i 1d "$results/queue"
  } 7>"$results/queue.lock"
}

# Runs tiers one after another, out of the others' way; of the tiers kubernetes and policy only what is built for them.
lane_low() { # tier…
  local tier command
  trap - EXIT INT TERM HUP
  for tier in "$@"; do
    [[ ! -e $results/stop ]] || return 0
    command=(bash "$here/lib/tiers/$tier.sh")
    [[ $tier != kubernetes ]] || command=("$here/setup" kubernetes)
    [[ $tier != policy ]] || command=("$here/setup" conftest gator)
    # A session is weighed against others as a whole where the kernel groups by session; there nice counts only inside of one.
    # shellcheck disable=SC2016
    lane_tier low "$tier" bash -c '{ echo 19 >/proc/self/autogroup; } 2>/dev/null; exec nice -n 19 "$@"' beside "${command[@]}"
  done
}

# Runs one tier in a session of its own, and shows what it says with its name before each line.
lane_tier() { # lane tier command…
  local lane=$1 tier=$2 begin=$SECONDS code=0 pid told=$results/$1-$2.out follow
  shift 2
  say ">> $tier"
  : >"$told"
  TALLY=$results/$tier setsid "$@" >"$told" 2>&1 &
  pid=$!
  echo "$pid" >"$results/lane-$lane.pid"
  # Ends with the tier, whatever else may have the file open.
  tail --pid="$pid" --lines=+1 --follow "$told" 2>/dev/null | sed -u "s/^/$(printf '%-10s' "$tier")/" >&2 &
  follow=$!
  wait "$pid" || code=$?
  : >"$results/lane-$lane.pid"
  wait "$follow" || true
  # Of what was only built for a tier its own lane will tell.
  if [[ $lane == low && $tier =~ ^(kubernetes|policy)$ ]]; then return; fi
  echo "$code $((SECONDS - begin))" >"$results/$tier.end"
  say "<< $tier: $(sum passed "$results/$tier") passed, $(sum failed "$results/$tier") failed, $((SECONDS - begin)) s"
}
