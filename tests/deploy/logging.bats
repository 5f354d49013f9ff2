# compose.logging.yaml on a real Docker Engine. Fluent Bit itself cannot be had here: forward.py stands in for it, in an image like its
# own, started by the overlay as Fluent Bit would be, with the configuration that Fluent Bit would read.

bats_require_minimum_version 1.5.0

# One site for all tests: each looks at lines of its own.
setup_file() {
  export ROOT SITE BASE API_PORT PROJECT LOG_PORT FLUENT_BIT_IMAGE
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR BATS_SUITE_TEST_NUMBER=logging
  load_house
  python -c 'import yaml' || "$ROOT/scripts/setup" forward
  FLUENT_BIT_IMAGE=$(publish_forward "$BATS_FILE_TMPDIR/fluent-bit")
  LOG_PORT=$(free_port)
  new_site COMPOSE_FILE=compose.yaml:compose.logging.yaml "FLUENT_BIT_PORT=$LOG_PORT"
  policy/admit --write-env images.env "FLUENT_BIT_IMAGE=$FLUENT_BIT_IMAGE"
  scripts/compose up
}

teardown_file() {
  load_house
  end_site
}

setup() {
  load_house
  cd "$SITE"
}

# A test that failed must not leave Fluent Bit frozen or dead for the next.
teardown() {
  kill -CONT "$(pid_of fluent-bit)" 2>/dev/null || true
  docker start "$(made fluent-bit)" >/dev/null 2>&1 || true
}

load_house() {
  local part
  source "$BATS_TEST_DIRNAME/site.bash"
  for part in document trust reference registry sign; do source "$ROOT/scripts/lib/$part.sh"; done
  source "$BATS_TEST_DIRNAME/../release/registries.bash"
  source "$BATS_TEST_DIRNAME/images.bash"
  source "$BATS_TEST_DIRNAME/forward.bash"
  source "$BATS_TEST_DIRNAME/streams.bash"
}

@test "an overlay without an image of Fluent Bit is refused with the command that mends it" {
  cp images.env "$BATS_TEST_TMPDIR/images.env"
  sed -i '/^FLUENT_BIT_IMAGE=/d' images.env
  run --separate-stderr scripts/compose check
  cp "$BATS_TEST_TMPDIR/images.env" images.env
  [[ $status == 78 && $stderr == *"policy/admit --write-env images.env FLUENT_BIT_IMAGE="* ]] || { echo "$status $stderr" && return 1; }
}

@test "beside compose.rollout.yaml both colours and the proxy log there as well, and the colours' events are read" {
  local merged name pattern
  merged=$(BLUE_IMAGE=$MINI_API_IMAGE COMPOSE_FILE=compose.yaml:compose.rollout.yaml:compose.logging.yaml:compose.logging.rollout.yaml \
    docker compose --env-file .env --env-file images.env --profile '*' config --format json)
  [[ $(jq -r '.services | to_entries[] | select(.value.logging.driver != "fluentd") | .key' <<<"$merged") == $'fluent-bit\nlog-files' ]]
  jq -e '.services | has("blue") and has("green") and has("proxy")' <<<"$merged" >/dev/null
  # Each filter that reads events, and each service that runs the service's image.
  while read -r pattern; do
    while read -r name; do
      [[ service.$name =~ $pattern ]] || { echo "$pattern passes $name over" && return 1; }
    done < <(jq -r --arg image "$MINI_API_IMAGE" '.services | to_entries[] | select(.value.image == $image) | .key' <<<"$merged")
    [[ ! service.db =~ $pattern ]]
  done < <(sed -n 's/.*match_regex: //p' deploy/fluent-bit/fluent-bit.yaml)
}

@test "Fluent Bit can be asked whether it takes its configuration, before it runs" {
  [[ $(scripts/compose run --rm --no-deps fluent-bit --config /fluent-bit/etc/mini-api.yaml --dry-run) == *'test is successful'* ]]
}

@test "a failed login is in the stream of security alone, its request in that of requests, with one id" {
  register eve@example.org
  [[ $(fail_to_log_in eve@example.org 'not hers at all' failed-login-1) == *'"request_id":"failed-login-1"'* ]]
  wait_until 10 arrived security failed-login-1
  wait_until 10 arrived requests failed-login-1
  [[ $(stream security | jq -r 'select(.request_id == "failed-login-1") | .event') == auth.login.failed ]]
  [[ $(stream requests | jq -r 'select(.request_id == "failed-login-1") | "\(.event) \(.status)"') == 'http.request 401' ]]
  [[ $(stream service) != *failed-login-1* ]]
  # And so it is with everything that has come until now.
  [[ $(stream security | jq -r .event | grep -vcE '^(auth|user)\.' || true) == 0 ]]
  [[ $(stream requests | jq -r .event | sort -u) == http.request ]]
  [[ $(stream service | jq -r '.event // ""' | grep -cE '^(auth|user|http\.request)' || true) == 0 ]]
  stream service | jq -es 'any(.event == "service.ready") and any(.log // "" | test("database system is ready"))' >/dev/null
}

@test "what docker logs shows of the service has arrived, line for line, once, with its time" {
  # The line of the start was said before Fluent Bit was there.
  same() {
    docker logs "$(container api)" | grep -v '"/livez"' | jq -cS . | sort >"$BATS_TEST_TMPDIR/said"
    for name in security requests service; do stream "$name"; done |
      jq -cS 'select(.container_name | endswith("api-1")) | select(.route != "/livez") | del(.container_name, .source)' |
      sort >"$BATS_TEST_TMPDIR/arrived"
    cmp "$BATS_TEST_TMPDIR/said" "$BATS_TEST_TMPDIR/arrived"
  }
  wait_until 15 same || { diff "$BATS_TEST_TMPDIR/said" "$BATS_TEST_TMPDIR/arrived" || return 1; }
  grep -q service.start "$BATS_TEST_TMPDIR/arrived"
  # It complains of a time it cannot read.
  [[ ! $(docker logs "$(container fluent-bit)" 2>&1) ]]
}

@test "no password, token, secret or address of a person arrives" {
  local token word name
  register planted@example.org
  token=$(login planted@example.org)
  me "$token"
  fail_to_log_in planted@example.org planted-wrong-password planted-last
  run curl --silent --output /dev/null --header "Authorization: Bearer ${token}x" "$BASE/users/me?planted-query=1"
  register planted@example.org || true
  wait_until 10 arrived security planted-last
  wait_until 10 arrived requests planted-last
  for name in security requests service; do stream "$name"; done >"$BATS_TEST_TMPDIR/all"
  grep -q auth.token.refused "$BATS_TEST_TMPDIR/all"
  for word in planted@ planted%40 'correct horse' planted-wrong "${token#*.}" planted-query "$(<secrets/db_password)" \
    "$(<secrets/jwt_secret)"; do
    run grep -cF -- "$word" "$BATS_TEST_TMPDIR/all"
    [[ $output == 0 ]] || { echo "$word has arrived" && return 1; }
  done
}

@test "what an operator does by compose run is a security event" {
  register operated@example.org
  scripts/compose run --rm api user disable operated@example.org
  wait_until 10 arrived security user.disabled
}

@test "a line of the database that looks like an event of the service is none" {
  talk db "echo '{\"event\":\"auth.login.succeeded\",\"request_id\":\"forged-1\"}'; sleep 2" --rm
  wait_until 10 arrived service forged-1
  [[ $(stream service | jq -r 'select(.log // "" | contains("forged-1")) | .event') == null ]]
  [[ $(stream security) != *forged-1* ]]
  # The same from the service is one.
  talk api "echo '{\"ts\":\"2026-01-01T00:00:00.000000Z\",\"event\":\"auth.login.succeeded\",\"request_id\":\"forged-2\"}'; sleep 2" --rm
  wait_until 10 arrived security forged-2
}

@test "Fluent Bit has no right it does not need, and only the engine reaches it" {
  local id name address gateway probe target
  id=$(container fluent-bit)
  for name in fluent-bit log-files; do
    docker inspect "$(container "$name")" | jq -e '.[0].HostConfig | .ReadonlyRootfs and .CapDrop == ["ALL"] and .CapAdd == null and
      .SecurityOpt == ["no-new-privileges:true"] and .Memory > 0 and .PidsLimit > 0 and .LogConfig.Type == "json-file"' >/dev/null
  done
  docker inspect "$id" | jq -e --arg network "${PROJECT}_logs" '.[0] | .Config.User == "65532:65532" and
    ([.HostConfig.PortBindings[][].HostIp] == ["127.0.0.1"]) and (.NetworkSettings.Networks | keys == [$network])' >/dev/null
  [[ $(docker inspect --format '{{.HostConfig.NetworkMode}}' "$(container log-files)") == none ]]
  docker network inspect "${PROJECT}_logs" | jq -e '.[0].Containers | length == 1' >/dev/null
  address=$(docker inspect "$id" | jq -r '.[0].NetworkSettings.Networks[].IPAddress')
  probe='nc -w 2 $0 $1 </dev/null'
  # Its own network reaches it: the probe works.
  docker run --rm --network "${PROJECT}_logs" --entrypoint /bin/sh "$POSTGRES_IMAGE" -c "$probe" "$address" 24224
  gateway=$(docker network inspect "${PROJECT}_frontend" | jq -r '.[0].IPAM.Config[0].Gateway')
  for target in "$address 24224" "$gateway $LOG_PORT"; do
    # shellcheck disable=SC2086  # two words
    run docker run --rm --network "${PROJECT}_frontend" --entrypoint /bin/sh "$POSTGRES_IMAGE" -c "$probe" $target
    [[ $status == 1 ]]
  done
  port_answers "$LOG_PORT"
}

@test "while Fluent Bit is dead requests are answered, logs can be read, containers start, and lines come later" {
  requests alive 5
  wait_until 10 all_arrived alive 5
  docker kill "$(container fluent-bit)"
  requests dead 40
  all_logged dead 40
  healthy
  scripts/compose restart --timeout 10 api
  wait_until 20 healthy
  requests restarted 10
  all_logged restarted 10
  [[ $(stream requests) != *dead-40* ]]
  docker start "$(made fluent-bit)"
  requests back 5
  wait_until 70 all_arrived restarted 10
  wait_until 10 all_arrived back 5
  # The container that was stopped took what was still to be sent with it: docker logs alone has that.
  all_logged dead 40
}

@test "lines of a dead Fluent Bit's time are not lost when its process comes back" {
  docker kill "$(container fluent-bit)"
  requests waiting 60
  docker start "$(made fluent-bit)"
  wait_until 70 all_arrived waiting 60
}

@test "while Fluent Bit stands still requests are answered, logs can be read, and containers stop" {
  local id begin
  requests moving 5
  wait_until 10 all_arrived moving 5
  kill -STOP "$(pid_of fluent-bit)"
  requests still 40
  all_logged still 40
  # More than the engine's buffer takes, and more than sockets take.
  id=$(talk db 'yes a line of which there are too many to be kept | head -n 60000; echo the last; exec sleep 100' --detach)
  wait_until 30 ended_talking "$id"
  begin=$SECONDS
  timeout 20 docker stop --time 1 "$id"
  docker rm "$id"
  timeout 20 scripts/compose restart --timeout 10 api
  ((SECONDS - begin < 15))
  wait_until 20 healthy
  requests thawing 10
  kill -CONT "$(pid_of fluent-bit)"
  wait_until 70 all_arrived thawing 10
}

@test "a Fluent Bit that is killed comes back by itself, and lines flow again" {
  local pid
  pid=$(pid_of fluent-bit)
  kill -KILL "$pid"
  came_back() { [[ $(pid_of fluent-bit) != 0 && $(pid_of fluent-bit) != "$pid" ]]; }
  wait_until 30 came_back
  requests healed 10
  wait_until 70 all_arrived healed 10
}
