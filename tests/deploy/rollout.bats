# scripts/rollout on a real Docker Engine, with HAProxy, under load.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/site.bash"
  source "$BATS_TEST_DIRNAME/load.bash"
  # These machines are busy with other things: only the test of a slow release minds a moment's pause.
  export ROLLOUT_ENOUGH=10 ROLLOUT_LEAST_MS=2000
}

teardown() {
  [[ ! ${LOAD:-} ]] || kill "$LOAD" 2>/dev/null || true
  end_site
}

# A site with two colours, of which blue is live, and a user who is logged in (TOKEN).
two_colours() {
  new_site COMPOSE_FILE=compose.yaml:compose.rollout.yaml "PROXY_ADMIN_PORT=$(free_port)" LOGIN_LIMIT_ACCOUNT_NETWORK=off
  policy/admit --write-env images.env "BLUE_IMAGE=$MINI_API_IMAGE" "HAPROXY_IMAGE=$HAPROXY_IMAGE"
  scripts/compose up
  wait_until 20 register ada@example.org
  TOKEN=$(login ada@example.org)
}

# How many of a thousand requests failed.
failed_per_mille() { jq '1000 * .failed / .requests' load.json; }

# The image that a colour runs.
runs() { docker inspect --format '{{.Config.Image}}' "$(container "$1")"; } # colour

live() { scripts/rollout status --json | jq -r .live; }

@test "from one colour to the other and back under load not one request fails" {
  two_colours
  load_begins
  scripts/rollout start "$NEXT_IMAGE" --canary 10 --watch 4
  [[ $(live) == green && $(runs green) == "$NEXT_IMAGE" && $(runs blue) == "$MINI_API_IMAGE" ]]
  scripts/rollout status | grep "traffic   blue 0, green 100"
  scripts/rollout rollback
  [[ $(live) == blue ]]
  scripts/rollout rollback
  [[ $(live) == green ]]
  scripts/rollout finish
  [[ ! $(container blue) ]]
  load_ends
  jq -e '.requests > 1000 and .failed == 0' load.json
  grep -qxF "MINI_API_IMAGE=$NEXT_IMAGE" images.env
  # What is live stays so when everything is taken down and started again.
  scripts/compose down
  scripts/compose up
  [[ $(runs green) == "$NEXT_IMAGE" && ! $(container blue) ]]
  wait_until 20 me "$TOKEN"
  refused 66 "no colour is kept" scripts/rollout rollback
}

@test "a release that fails some requests is taken back within half a minute, before one in a hundred failed" {
  local took
  two_colours
  load_begins
  refused 65 "it fails" scripts/rollout start "$ERRORS_IMAGE" --canary 10 --watch 60
  took=$(sed -n 's/.* has all traffic again, after \([0-9]*\) seconds.*/\1/p' <<<"$stderr")
  [[ $took ]] && ((took <= 30))
  load_ends
  (($(failed_per_mille | cut -d . -f 1) <= 10))
  jq -e '.requests > 300' load.json
  [[ $(live) == blue && ! $(container green) ]]
  run grep -F "$ERRORS_IMAGE" images.env
  [[ $status == 1 ]]
  me "$TOKEN"
  scripts/rollout status | grep "traffic   blue 100, green 0"
}

@test "a release that is slow is taken back, and nothing failed" {
  two_colours
  load_begins
  ROLLOUT_LEAST_MS=100 refused 65 "its p99 is" scripts/rollout start "$SLOW_IMAGE" --canary 10 --watch 60
  load_ends
  jq -e '.failed == 0' load.json
  [[ $(live) == blue && ! $(container green) ]]
}

@test "what may not run, or cannot be compared, is refused before anything begins" {
  two_colours
  cp images.env before
  refused 65 "it is not signed" scripts/rollout start "$UNSIGNED_IMAGE"
  refused 65 "is refused" scripts/rollout start "${NEXT_IMAGE%@*}:1.0.0"
  refused 64 "One reference" scripts/rollout start
  refused 64 "from 1 to 50" scripts/rollout start "$NEXT_IMAGE" --canary 99
  refused 66 "no rollout is under way" scripts/rollout resume
  refused 66 "no rollout is under way" scripts/rollout abort
  refused 73 "MiB left" env LEAST_FREE_MIB=99999999 scripts/rollout start "$NEXT_IMAGE"
  scripts/compose stop db
  refused 69 "db does not run" scripts/rollout start "$NEXT_IMAGE"
  scripts/compose start db
  wait_until 30 me "$TOKEN"
  run --separate-stderr scripts/rollout start "$NEXT_IMAGE" --dry-run
  [[ $status == 0 && $stderr == *"start $NEXT_IMAGE as green"* ]]
  diff before images.env
  [[ ! $(container green) ]]
  set_env COMPOSE_FILE=compose.yaml
  refused 78 "has no second colour" scripts/rollout start "$NEXT_IMAGE"
  set_env COMPOSE_FILE=compose.yaml:compose.rollout.yaml
}

@test "without traffic nothing is judged: the share stays, and a person decides" {
  two_colours
  refused 75 "are wanted to judge by" scripts/rollout start "$NEXT_IMAGE" --watch 3
  scripts/rollout status | grep "traffic   blue 90, green 10"
  refused 75 "a rollout is under way" scripts/rollout start "$NEXT_IMAGE"
  scripts/rollout resume --accept
  [[ $(live) == green ]]
}

# Kills a rollout, with all it started, once it stands at a step.
killed_at() { # step words…
  local step=$1 pid code=0
  shift
  setsid scripts/rollout "$@" >killed.log 2>&1 3>&- &
  pid=$!
  wait_until 60 at_step "$step" "$pid" || { cat killed.log >&2 && return 1; }
  kill -KILL -- "-$pid"
  wait "$pid" || code=$?
  ((code == 137)) || { cat killed.log >&2 && return 1; }
}

# True when the rollout stands at the step.
at_step() { [[ $(scripts/rollout status --json | jq -r .rollout.step) == "$1" ]]; } # step

@test "a rollout that is killed at any step goes on to its end, or is taken back, and no request fails" {
  local step words
  two_colours
  load_begins 60
  words=(start "$NEXT_IMAGE" --watch 3)
  for step in choose start migrate canary half full; do
    killed_at "$step" "${words[@]}"
    words=(resume)
  done
  scripts/rollout resume
  [[ $(live) == green ]]
  scripts/rollout finish
  # And back the other way, aborted at each (without --full: at two of them).
  for step in $(printf '%s\n' choose start migrate canary half full | if [[ ${FULL:-} ]]; then cat; else shuf -n 2; fi); do
    killed_at "$step" start "$MINI_API_IMAGE" --watch 3
    scripts/rollout abort
    [[ $(live) == green && ! $(container blue) && $(scripts/rollout status --json | jq .rollout) == null ]]
    scripts/rollout status | grep "traffic   blue 0, green 100"
  done
  load_ends
  jq -e '.failed == 0' load.json
}

@test "the colour before goes on working while the schema of the new one is in place" {
  two_colours
  # An expanding migration, as a release of tomorrow would bring it: the table has a column more, and the history a line.
  scripts/compose exec -T db psql --quiet --set ON_ERROR_STOP=1 app_db <<'SQL'
ALTER TABLE users ADD COLUMN locale text DEFAULT 'en';
INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
  SELECT max(version) + 1, 'tomorrow', now()::text, '1' FROM refinery_schema_history;
SQL
  register eve@example.org
  scripts/compose restart blue
  wait_until 30 login eve@example.org
  me "$(login eve@example.org)"
}

@test "the key of tokens is changed under load, in two rollouts, and whoever logs in meanwhile stays so" {
  local n=0 token
  two_colours
  load_begins 60
  IMAGE_THAT_RUNS=$MINI_API_IMAGE page_runs runbooks/secrets.md 2 3>&- &
  while kill -0 "$!" 2>/dev/null; do
    token=$(login ada@example.org)
    for _ in 1 2 3 4 5 6; do me "$token" >/dev/null; done
    n=$((n + 1))
  done
  wait "$!"
  ((n > 5))
  me "$TOKEN"
  load_ends
  jq -e '.failed == 0' load.json
}

@test "a deployment without colours gets them, and keeps its users" {
  new_site "PROXY_ADMIN_PORT=$(free_port)"
  scripts/compose up
  register ada@example.org
  refused 78 "has no second colour" scripts/rollout start "$NEXT_IMAGE"
  set_env COMPOSE_FILE=compose.yaml:compose.rollout.yaml
  policy/admit --write-env images.env "BLUE_IMAGE=$MINI_API_IMAGE" "HAPROXY_IMAGE=$HAPROXY_IMAGE"
  scripts/compose up
  [[ ! $(docker ps --quiet --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=api) ]]
  login ada@example.org
}

@test "going back that was cut short is not forgotten, and nothing is stopped that serves" {
  two_colours
  ROLLOUT_ENOUGH=0 scripts/rollout start "$NEXT_IMAGE" --watch 1
  refused 75 "is kept to go back to" scripts/rollout start "$MINI_API_IMAGE"
  # Stopped after the traffic was moved, and before that was noted.
  jq '.back = "blue"' .local/rollout/state.json >state.new && mv state.new .local/rollout/state.json
  sed -i 's/weight 100/weight 1/; s/weight 0/weight 100/; s/weight 1$/weight 0/' .local/rollout/proxy/haproxy.cfg
  refused 75 "going back was cut short" scripts/rollout finish
  refused 75 "going back was cut short" scripts/rollout start "$NEXT_IMAGE"
  scripts/rollout resume
  [[ $(live) == blue ]]
  scripts/rollout status | grep "traffic   blue 100, green 0"
  me "$TOKEN"
  # What says which colour is live is lost: nobody guesses.
  mv .local/rollout/state.json lost
  refused 65 "state.json is gone" scripts/rollout status
  mv lost .local/rollout/state.json
  scripts/rollout finish
  me "$TOKEN"
}

@test "throttles know their clients behind the proxy, whatever a client says of itself" {
  local code n
  two_colours
  set_env LOGIN_LIMIT_NETWORK=3/3600
  scripts/compose up
  wait_until 20 me "$TOKEN"
  for n in 1 2 3 4; do
    code=$(curl --silent --output /dev/null --write-out '%{http_code}' --header "X-Forwarded-For: 192.0.2.$n" \
      --json '{"email":"nobody@example.org","password":"wrong horse battery"}' "$BASE/auth/login")
  done
  [[ $code == 429 ]]
  # Another client is another network: asked from a container of the frontend.
  docker run --rm --network "${PROJECT}_frontend" --entrypoint wget "$POSTGRES_IMAGE" -q -O - --header 'content-type: application/json' \
    --post-data '{"email":"ada@example.org","password":"correct horse battery"}' http://proxy:8000/auth/login | jq -e .access_token
}

@test "the pages are true: a release from beginning to end" {
  local n
  new_site "PROXY_ADMIN_PORT=$(free_port)"
  page_runs deploy.md 2
  register ada@example.org
  page_runs runbooks/release.md 1
  for n in resume abort; do refused 66 "no rollout is under way" scripts/rollout "$n"; done
  page_runs runbooks/release.md 3
  page_runs runbooks/release.md 4
  login ada@example.org
}
