# compose.swarm.yaml on a real Swarm of one node.

bats_require_minimum_version 1.5.0

setup_file() {
  docker swarm init --advertise-addr 127.0.0.1 --default-addr-pool 10.212.0.0/16 >&2
}

teardown_file() {
  docker swarm leave --force >&2 || true
}

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/site.bash"
  source "$BATS_TEST_DIRNAME/load.bash"
  STACK=mini$BATS_TEST_NUMBER
}

teardown() {
  [[ ! ${LOAD:-} ]] || kill "$LOAD" 2>/dev/null || true
  [[ ! ${CLIENT:-} ]] || kill "$CLIENT" 2>/dev/null || true
  docker stack rm "$STACK" >/dev/null 2>&1 || true
  # The next stack would find the addresses taken.
  wait_until 60 nothing_left || docker ps --all >&2
  docker secret ls --quiet | xargs --no-run-if-empty docker secret rm >/dev/null 2>&1 || true
}

nothing_left() {
  [[ ! $(docker ps --all --quiet --filter "label=com.docker.stack.namespace=$STACK") && ! $(docker network ls --quiet --filter "label=com.docker.stack.namespace=$STACK") ]]
}

# Deploys as docs/deploy.md says; words are settings.
deploy() { # NAME=VALUE…
  (
    set -a
    # shellcheck source=/dev/null
    . ./images.env
    env "API_PORT=$API_PORT" DB_PLACEMENT=node.role==manager "$@" docker stack deploy --with-registry-auth --detach=true --compose-file compose.swarm.yaml "$STACK" >&2
  )
}

# A stack whose three replicas answer, and a user who is logged in (TOKEN).
stack() { # NAME=VALUE…
  local name
  new_site
  policy/admit --write-env images.env "HAPROXY_IMAGE=$HAPROXY_IMAGE"
  for name in db_password jwt_secret jwt_previous_secrets; do docker secret create "$name" "secrets/$name" >/dev/null; done
  sed -i "s/name: mini_\(.*\)_1/name: ${STACK}_\1_1/" compose.swarm.yaml
  deploy "$@"
  wait_until 120 replicas 3
  wait_until 60 ask /readyz
  wait_until 20 register ada@example.org
  TOKEN=$(login ada@example.org)
}

# What the containers of the stack said. Not `docker service logs`: it waits for ever for tasks that are gone.
stack_logs() {
  local id
  for id in $(docker ps --all --quiet --filter "label=com.docker.stack.namespace=$STACK"); do docker logs "$id"; done
}

# True when so many replicas of the service run and are healthy.
replicas() { # number
  [[ $(docker service ls --filter "name=${STACK}_api" --format '{{.Replicas}}') == "$1/$1" ]]
}

# The state of the service's last update.
update() { docker service inspect --format '{{with .UpdateStatus}}{{.State}}{{end}}' "${STACK}_api"; }

updated() { [[ $(update) == "$1" ]]; } # state

# The image that the service is to run.
wanted() { docker service inspect --format '{{.Spec.TaskTemplate.ContainerSpec.Image}}' "${STACK}_api"; }

@test "three replicas are updated under load without one failed request, and a broken image is rolled back by itself" {
  local id
  stack
  # Locked down and limited, as far as Swarm knows how, and not as root.
  for id in $(docker ps --quiet --filter "label=com.docker.stack.namespace=$STACK"); do
    docker inspect "$id" | jq -e '.[0] | .HostConfig.ReadonlyRootfs and .HostConfig.CapDrop == ["ALL"] and .HostConfig.Memory > 0
      and .HostConfig.NanoCpus > 0 and .HostConfig.PidsLimit > 0 and (.Config.User | test("^[1-9]"))'
  done
  load_begins 60
  policy/admit --write-env images.env "MINI_API_IMAGE=$NEXT_IMAGE"
  deploy
  wait_until 180 updated completed
  replicas 3
  [[ $(wanted) == "$NEXT_IMAGE" ]]
  policy/admit --write-env images.env "MINI_API_IMAGE=$BROKEN_IMAGE"
  deploy
  wait_until 180 updated rollback_completed
  [[ $(wanted) == "$NEXT_IMAGE" ]]
  wait_until 60 replicas 3
  load_ends
  jq -e '.requests > 500 and .failed == 0' load.json
}

@test "secrets are changed under load, and nobody is logged out" {
  local before n=0
  stack LOGIN_LIMIT_ACCOUNT_NETWORK=off LOGIN_LIMIT_NETWORK=off
  before=$(<secrets/jwt_secret)
  load_begins 60
  # As docs/runbooks/secrets.md has it: the next key verifies everywhere before one replica signs with it.
  scripts/secrets rotate jwt --prepare
  docker secret create previous_2 secrets/jwt_previous_secrets
  deploy JWT_PREVIOUS_SECRETS_SECRET=previous_2
  wait_until 180 updated completed
  scripts/secrets rotate jwt
  docker secret create jwt_3 secrets/jwt_secret
  docker secret create previous_3 secrets/jwt_previous_secrets
  deploy JWT_SECRET_SECRET=jwt_3 JWT_PREVIOUS_SECRETS_SECRET=previous_3
  # Tokens made while some replicas have the new key and some have not are known to all.
  while ! updated completed; do
    ((++n < 200))
    TOKEN_NOW=$(login ada@example.org)
    for _ in 1 2 3 4 5 6; do me "$TOKEN_NOW" >/dev/null; done
  done
  ((n > 3))
  me "$TOKEN"
  me "$(login ada@example.org)"
  load_ends
  jq -e '.requests > 200 and .failed == 0' load.json
  # The old key signs no more.
  [[ $before != "$(<secrets/jwt_secret)" ]]
  # And no secret is in what the engine tells of its services, tasks and logs.
  {
    docker service inspect "${STACK}_api" "${STACK}_db"
    docker ps --quiet --filter "label=com.docker.stack.namespace=$STACK" | xargs docker inspect
    stack_logs
  } >said 2>&1
  run grep --count --fixed-strings --file secrets/jwt_secret --file secrets/db_password said
  [[ $output == 0 ]]
}

@test "the throttle knows each client by its own address" {
  local n code
  stack LOGIN_LIMIT_NETWORK=3/3600
  # Another machine, on a cable of its own.
  unshare --net sleep 600 3>&- &
  CLIENT=$!
  wait_until 10 test -e "/proc/$CLIENT/ns/net"
  wait_until 10 in_another_network
  ip link add cable type veth peer name eth0 netns "$CLIENT"
  ip address add 192.0.2.1/24 dev cable
  ip link set cable up
  nsenter --target "$CLIENT" --net ip address add 192.0.2.2/24 dev eth0
  nsenter --target "$CLIENT" --net ip link set eth0 up
  wait_until 10 from_there 192.0.2.1
  for n in 1 2 3 4; do
    code=$(from_there 192.0.2.1 --header "X-Forwarded-For: 198.51.100.$n" --output /dev/null --write-out '%{http_code}' \
      --json '{"email":"nobody@example.org","password":"wrong horse battery"}')
  done
  [[ $code == 429 ]]
  login ada@example.org
  stack_logs 2>&1 | jq -Rse '[split("\n")[] | fromjson? | select(.event == "auth.login.throttled") | .client] | unique == ["192.0.2.2"]'
}

# True when the other machine has a network of its own by now.
in_another_network() { [[ $(readlink "/proc/$CLIENT/ns/net") != "$(readlink /proc/self/ns/net)" ]]; }

# Logs in from the other machine.
from_there() { # address curl-words…
  local address=$1
  shift
  nsenter --target "$CLIENT" --net curl --silent --max-time 10 "http://$address:$API_PORT/auth/login" "$@"
}

@test "the pages are true: a stack, and its key changed" {
  STACK=mini
  new_site
  export API_PORT DB_PLACEMENT=node.role==manager
  page_runs deploy.md 3
  wait_until 120 replicas 3
  wait_until 60 register ada@example.org
  TOKEN=$(login ada@example.org)
  # The shell that deployed has the images; the next block is typed there.
  set -a
  # shellcheck source=/dev/null
  . ./images.env
  set +a
  page_runs runbooks/secrets.md 5
  wait_until 180 updated completed
  me "$TOKEN"
}
