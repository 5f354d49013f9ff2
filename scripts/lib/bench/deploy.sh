# shellcheck shell=bash
# scripts/bench deploy: how long an empty machine takes to be healthy with its images at hand, and what a rollout costs those who
# are served meanwhile. Runs on the stage of tests/deploy.

# Measures all of it; begins again on the stage.
bench_deploy() {
  if [[ ! ${STAGE:-} ]]; then
    exec "$ROOT/tests/deploy/stage" "$ROOT/scripts/bench" deploy
  fi
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/mini-api-bench.XXXXXX")
  trap 'end_site; rm -rf "$WORK"' EXIT
  BATS_TEST_TMPDIR=$WORK BATS_SUITE_TEST_NUMBER=bench
  # shellcheck source=tests/deploy/site.bash
  source "$ROOT/tests/deploy/site.bash"
  new_site "PROXY_ADMIN_PORT=$(free_port)" 2>/dev/null
  policy/admit --write-env images.env "BLUE_IMAGE=$MINI_API_IMAGE" "HAPROXY_IMAGE=$HAPROXY_IMAGE" >/dev/null 2>&1
  # Once, so that the images are there.
  scripts/compose up >/dev/null 2>&1
  printf '| what | goal | measured | least–most | verdict |\n|---|---|---|---|---|\n'
  say "measuring: empty to healthy"
  for _ in 1 2 3 4 5; do
    scripts/compose down --volumes >/dev/null 2>&1
    deploy_clock scripts/compose up
  done >"$WORK/times"
  deploy_line "empty to healthy, images at hand" 5 s "$WORK/times"
  scripts/compose down --volumes >/dev/null 2>&1
  set_env COMPOSE_FILE=compose.yaml:compose.rollout.yaml
  scripts/compose up >/dev/null 2>&1
  register ada@example.org >/dev/null
  TOKEN=$(login ada@example.org)
  say "measuring: p99 at rest and during a rollout, in turns"
  for _ in 1 2 3; do
    deploy_load rest sleep 15
    deploy_load rollout env ROLLOUT_ENOUGH=0 scripts/rollout start "$NEXT_IMAGE" --watch 4
    scripts/rollout rollback >/dev/null 2>&1
    scripts/rollout finish >/dev/null 2>&1
    # shellcheck disable=SC2016  # jq expands them
    jq -n --slurpfile rest rest.json --slurpfile rollout rollout.json '$rollout[0].p99_ms / $rest[0].p99_ms'
    say "   $(jq -c . rest.json) at rest, $(jq -c . rollout.json) during the rollout"
  done >"$WORK/ratios"
  deploy_line "p99 during a rollout, of that at rest (100 requests a second)" 2 × "$WORK/ratios"
}

# Prints how many seconds a command took.
deploy_clock() { # command…
  local begin=$EPOCHREALTIME
  "$@" >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2 && die "failed: $*"; }
  awk -v begin="$begin" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", end - begin }'
}

# Asks at a steady rate while a command runs; NAME.json tells what came of it.
deploy_load() { # name command…
  local name=$1 load
  shift
  rm -f stop
  python3 "$ROOT/tests/deploy/load.py" "${BASE#http://}" /users/me "$TOKEN" 100 stop "$name.json" &
  load=$!
  "$@" >"$WORK/log" 2>&1 || { cat "$WORK/log" >&2 && die "failed: $*"; }
  touch stop
  wait "$load"
}

# Prints one line of the table out of numbers, one a line.
deploy_line() { # what goal unit file
  sort -n "$4" | awk -v what="$1" -v goal="$2" -v unit="$3" '{ all[NR] = $1 } END { is = all[int((NR + 1) / 2)]
    printf "| %s | ≤ %s %s | **%.2f %s** | %.2f–%.2f | %s |\n", what, goal, unit, is, unit, all[1], all[NR], (is <= goal ? "met" : "missed") }'
}
