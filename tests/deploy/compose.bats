# compose.yaml on a real Docker Engine: from nothing to healthy, and what must not be possible there.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/site.bash"
}

teardown() { end_site; }

# True when a service's container is healthy.
healthy() { [[ $(docker inspect --format '{{.State.Health.Status}}' "$(container "$1")") == healthy ]]; } # service

# The address of a service's container on a network.
address() { docker inspect "$(container "$1")" | jq -r --arg network "${PROJECT}_$2" '.[0].NetworkSettings.Networks[$network].IPAddress'; } # service network

# Asks from a network whether a database answers at an address.
database_answers() { # network address
  docker run --rm --network "$1" --entrypoint pg_isready "$POSTGRES_IMAGE" --timeout 3 --host "$2" --quiet
}

@test "from nothing to healthy with two commands, and users register, log in and are known" {
  new_site
  scripts/compose up
  register ada@example.org
  me "$(login ada@example.org)" | jq -e '.email == "ada@example.org"'
  # Again, and nothing is taken for somebody else's.
  scripts/compose up
  # The network's own way to the database, as a check that what follows can succeed at all; then those that must not work.
  database_answers "${PROJECT}_backend" "$(address db backend)"
  database_answers "${PROJECT}_backend" db
  run database_answers "${PROJECT}_frontend" "$(address db backend)"
  [[ $status == 2 ]]
  run database_answers "${PROJECT}_frontend" db
  [[ $status == 2 ]]
  run docker port "$(container db)"
  [[ ! $output ]]
  run timeout 3 bash -c "exec 3<>/dev/tcp/$(address db backend)/5432"
  [[ $status != 0 ]]
  # Of the API one port is published, and not that of the metrics.
  [[ $(docker port "$(container api)") == "8000/tcp -> 127.0.0.1:$API_PORT" ]]
}

@test "every container is locked down, within limits, and cannot write into its image" {
  local service id
  new_site
  scripts/compose up
  for service in db api migrate; do
    id=$(scripts/compose ps --all --quiet "$service")
    docker inspect "$id" | jq -e '.[0].HostConfig | .ReadonlyRootfs and .CapDrop == ["ALL"] and (.CapAdd | length) == 0 and (.Privileged | not)
      and (.SecurityOpt | index("no-new-privileges:true")) and .Memory > 0 and .NanoCpus > 0 and .PidsLimit > 0
      and .LogConfig.Config["max-size"] == "10m" and .LogConfig.Config["max-file"] == "5"'
    [[ $(docker inspect --format '{{.Config.User}}' "$id") =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]]
    echo written >written
    run docker cp written "$id:/written"
    [[ $status != 0 && $output == *read-only* ]]
  done
  run scripts/compose exec -T db sh -c 'echo written >/written'
  [[ $status != 0 && $output == *"Read-only file system"* ]]
  # And as the kernel sees it: no capability, no way to gain one, no root.
  for service in db api; do
    awk '/^(CapEff|CapBnd):/ { if ($2 !~ /^0+$/) exit 1 } /^NoNewPrivs:/ { if ($2 != 1) exit 1 } /^Uid:/ { if ($2 == 0) exit 1 }' \
      "/proc/$(docker inspect --format '{{.State.Pid}}' "$(container "$service")")/status"
  done
}

@test "a secret is in no inspection, history, log, list of processes or merged configuration" {
  local secret image pid
  new_site
  scripts/compose up
  register ada@example.org
  me "$(login ada@example.org)"
  {
    docker ps --all --quiet | xargs docker inspect
    for image in "$MINI_API_IMAGE" "$POSTGRES_IMAGE"; do docker history --no-trunc "$image" && docker image inspect "$image"; done
    scripts/compose logs
    scripts/compose config
    ps axww -o args
    for pid in $(docker ps --quiet | xargs docker inspect --format '{{.State.Pid}}'); do tr '\0' '\n' <"/proc/$pid/environ"; done
  } >said 2>&1
  # The search finds what is there.
  grep -q DB_PASSWORD_FILE said
  for secret in db_password jwt_secret jwt_previous_secrets; do
    [[ $(wc -c <"secrets/$secret") -ge 32 ]]
    run grep --count --fixed-strings --file "secrets/$secret" said
    [[ $output == 0 ]]
  done
  [[ $(stat -c %a secrets) == 700 ]]
}

@test "the main process of a container that is killed from outside is replaced, and nothing is lost" {
  local service before
  new_site
  scripts/compose up
  register ada@example.org
  for service in api db; do
    before=$(docker inspect --format '{{.State.Pid}}' "$(container "$service")")
    kill -KILL "$before"
    wait_until 60 replaced "$service" "$before"
    wait_until 60 healthy "$service"
  done
  wait_until 30 login ada@example.org
  me "$(login ada@example.org)"
}

# True when another process runs in a service's container.
replaced() { # service pid
  local now
  now=$(docker inspect --format '{{.State.Pid}}' "$(container "$1")")
  [[ $now != 0 && $now != "$2" ]]
}

@test "what was started comes back after the engine was stopped, without its registry" {
  new_site
  scripts/compose up
  register ada@example.org
  scripts/compose down
  # Nothing answers where the registry was: everything is here, and was admitted.
  sed -i "s#${PLAIN//./\\.}#localhost:1#" "$DOCKER_CONFIG/config.json"
  REGISTRY_CA=$BATS_TEST_TMPDIR/nobody.pem run --separate-stderr scripts/compose up
  sed -i "s#localhost:1\"#$PLAIN\"#" "$DOCKER_CONFIG/config.json"
  [[ $status == 0 && $stderr == *"all images were admitted before"* ]]
  login ada@example.org
}

@test "the key of tokens and the password of the database are changed, and nobody is logged out" {
  local old new token
  new_site
  scripts/compose up
  register ada@example.org
  token=$(login ada@example.org)
  cp -R secrets before
  scripts/secrets rotate jwt
  me "$token"
  scripts/secrets rotate db
  for name in db_password jwt_secret jwt_previous_secrets; do
    run cmp -s "secrets/$name" "before/$name"
    [[ $status == 1 ]]
  done
  me "$token"
  new=$(login ada@example.org)
  me "$new"
  # The old password is no way in any more: asked over the network, where passwords count.
  old="postgresql://app@db/app_db?connect_timeout=3"
  run docker run --rm --network "${PROJECT}_backend" --env PGPASSWORD="$(<before/db_password)" --entrypoint psql "$POSTGRES_IMAGE" "$old" -c 'SELECT 1'
  [[ $status != 0 && $output == *"password authentication failed"* ]]
  docker run --rm --network "${PROJECT}_backend" --env PGPASSWORD="$(<secrets/db_password)" --entrypoint psql "$POSTGRES_IMAGE" "$old" -c 'SELECT 1'
  # A key that was stolen ends at once, with every token it made.
  scripts/secrets rotate jwt --prepare
  scripts/secrets rotate jwt --stolen
  scripts/compose restart api
  wait_until 30 healthy api
  for name in before/jwt_secret secrets/jwt_next; do [[ ! -e $name ]] || ! grep -qxFf "$name" secrets/jwt_previous_secrets; done
  run me "$new"
  [[ $status != 0 && $output == *401* ]]
  run me "$token"
  [[ $status != 0 && $output == *401* ]]
}

@test "a database of another major version is refused, with the page that helps, and stays as it is" {
  local volume
  new_site
  policy/admit --write-env images.env "POSTGRES_IMAGE=$POSTGRES_OLD_IMAGE"
  refused 69 "the image has PostgreSQL 15, and this deployment is of 18: docs/runbooks/postgresql-upgrade.md" scripts/compose up
  policy/admit --write-env images.env "POSTGRES_IMAGE=$POSTGRES_IMAGE"
  # A volume that holds a database of before.
  volume=${PROJECT}_data_pg18
  docker run --rm --volume "$volume:/var/lib/postgresql" --entrypoint sh "$POSTGRES_IMAGE" -c 'mkdir -p /var/lib/postgresql/15/docker && echo 15 >/var/lib/postgresql/15/docker/PG_VERSION'
  refused 69 "the volume holds a database of PostgreSQL 15" scripts/compose up
  [[ $(docker run --rm --volume "$volume:/var/lib/postgresql" --entrypoint ls "$POSTGRES_IMAGE" /var/lib/postgresql) == 15 ]]
}

# Fails if anything of this site runs, or was made.
nothing_began() {
  [[ ! $(docker ps --all --quiet --filter "label=com.docker.compose.project=$PROJECT") ]]
  [[ ! $(docker network ls --quiet --filter "label=com.docker.compose.project=$PROJECT") ]]
}

@test "what is not as it should be is said in one sentence before anything starts" {
  local port
  new_site
  mv .env away && refused 66 "there is no .env" scripts/compose up && mv away .env
  mv images.env away && refused 66 "no image is chosen" scripts/compose up && mv away images.env
  mv secrets/jwt_secret away && refused 66 "there is no secret $SITE/secrets/jwt_secret: scripts/secrets init" scripts/compose up && mv away secrets/jwt_secret
  cp images.env good
  sed -i 's/^\(MINI_API_IMAGE=.*\)@sha256:.*/\1:1.0.0/' images.env
  refused 65 "is refused: " scripts/compose up
  sed "s#^MINI_API_IMAGE=.*#MINI_API_IMAGE=$UNSIGNED_IMAGE#" good >images.env
  refused 65 "it is not signed" scripts/compose up
  cp good images.env
  refused 78 "nobody is believed here yet" env TRUST_PIN="$PWD/none" scripts/compose up
  set_env API_PORT=nonsense
  refused 78 "compose does not take its files" scripts/compose up
  set_env "API_PORT=$API_PORT"
  # The port is somebody else's.
  port=$(free_port)
  python3 -m http.server --bind 127.0.0.1 "$port" 3>&- >/dev/null 2>&1 &
  wait_until 20 port_answers "$port"
  set_env "API_PORT=$port"
  refused 75 "port $port is taken by another program" scripts/compose up
  kill "$!"
  set_env "API_PORT=$API_PORT"
  refused 69 "no Docker Engine answers" env DOCKER_HOST="unix://$PWD/none" scripts/compose up
  refused 73 "MiB left, and 99999999 are wanted" env LEAST_FREE_MIB=99999999 scripts/compose up
  # A file of Compose that names an image past images.env.
  printf 'services:\n  api:\n    image: %s\n' "$NEXT_IMAGE" >compose.more.yaml
  set_env COMPOSE_FILE=compose.yaml:compose.more.yaml
  refused 65 "which images.env does not name" scripts/compose up
  # One that takes away what the image is locked down by.
  printf 'services:\n  api:\n    user: root\n    privileged: true\n    volumes: [/etc:/etc]\n' >compose.more.yaml
  refused 65 "this may not run here" scripts/compose up
  for rule in non-root privileged host-access; do [[ $stderr == *"Service/api, container api ("*"): $rule: "* ]]; done
  set_env COMPOSE_FILE=compose.yaml
  nothing_began
  # What the shell has from elsewhere takes no image's place.
  MINI_API_IMAGE=$UNSIGNED_IMAGE scripts/compose up
  [[ $(docker inspect --format '{{.Config.Image}}' "$(container api)") == "$(sed -n 's/^MINI_API_IMAGE=//p' images.env)" ]]
}

@test "images.env is written only with images that may run, whole or not at all" {
  new_site
  cp images.env before
  refused 65 "" policy/admit --write-env images.env "MINI_API_IMAGE=$NEXT_IMAGE" "POSTGRES_IMAGE=$UNSIGNED_IMAGE"
  diff before images.env
  refused 64 "wants words like" policy/admit --write-env images.env "$NEXT_IMAGE"
  refused 64 "is named twice" policy/admit --write-env images.env "MINI_API_IMAGE=$NEXT_IMAGE" "MINI_API_IMAGE=$MINI_API_IMAGE"
  policy/admit --write-env images.env "MINI_API_IMAGE=$NEXT_IMAGE"
  grep -qxF "MINI_API_IMAGE=$NEXT_IMAGE" images.env
  grep -qxF "POSTGRES_IMAGE=$POSTGRES_IMAGE" images.env
}

@test "what fails to become healthy is taken down again, with what it said last" {
  new_site
  set_env POSTGRES_SETTINGS=shared_buffers=nonsense
  refused 69 'invalid value for parameter "shared_buffers"' scripts/compose up
  [[ $stderr == *"taking down again"* ]]
  nothing_began
}

@test "at the desk a change of the source becomes a new container, and the database is published to this machine" {
  local first port
  new_site
  port=$(free_port)
  set_env "DB_PUBLISHED_PORT=$port"
  # What compiles is shown elsewhere; here it is done by copying, a little different each time.
  mkdir -p src dist
  printf '#!/bin/sh\ncp %q dist/mini-api.new && date +%%N >>dist/mini-api.new && chmod +x dist/mini-api.new && mv dist/mini-api.new dist/mini-api\n' "$STAGE/binary" >scripts/build-static
  git init --quiet . && echo one >src/main.rs
  scripts/compose dev >dev.log 2>&1 3>&- &
  wait_until 90 grep -q "waiting for changes" dev.log || { cat dev.log >&2 && false; }
  port_answers "$port"
  register ada@example.org
  first=$(docker compose ls >/dev/null && docker ps --quiet --filter "label=com.docker.compose.project=$PROJECT-dev" --filter label=com.docker.compose.service=api)
  echo two >>src/main.rs
  wait_until 60 another_api "$first"
  # Ended in the middle of its own `compose up`, which is where most of its time goes.
  wait_until 30 login ada@example.org
  kill -TERM "$!"
  wait || true
  [[ ! $(docker ps --quiet --filter "label=com.docker.compose.project=$PROJECT-dev") ]] || { cat dev.log >&2 && docker ps >&2 && false; }
}

# True when the API runs in another container than before.
another_api() { # id
  local now
  now=$(docker ps --quiet --filter "label=com.docker.compose.project=$PROJECT-dev" --filter label=com.docker.compose.service=api)
  [[ $now && $now != "$1" ]]
}

@test "the pages are true: from the first command to running, and changing secrets" {
  local n
  new_site
  rm -r secrets images.env
  page_runs deploy.md 1
  grep -q healthy page.log
  nothing_began
  scripts/compose up
  register ada@example.org
  for n in 1 3 4; do
    page_runs runbooks/secrets.md "$n"
    wait_until 30 login ada@example.org
  done
}

@test "every setting of the files of Compose is explained in .env.example, and nothing else is" {
  cd "$BATS_TEST_TMPDIR"
  # The stack for Swarm has the service's settings too, but for what its proxy and its secrets are.
  diff <(sed -n '/^x-api/,/^services/p' "$ROOT/compose.yaml" | grep -oE '^    [A-Z_]+:' | sort) \
    <(sed -n '/^  api:/,/^  proxy:/p' "$ROOT/compose.swarm.yaml" | grep -oE '^      [A-Z_]+:' | sed 's/^  //' | grep -v DB_START_TIMEOUT | sort)
  grep -ohE '\$\{[A-Z_]+' "$ROOT"/compose.yaml "$ROOT"/compose.{dev,rollout,logging,logging.rollout,tls}.yaml | cut -c 3- | grep -v '_IMAGE$' | sort -u >used
  { sed -nE 's/^([A-Z_]+)=.*/\1/p' "$ROOT/.env.example" && printf '%s\n' REVISION; } | sort -u >explained
  [[ ! $(comm -23 used explained) ]]
  [[ $(comm -13 used explained | paste -sd ' ') == 'BACKUPS COMPOSE_FILE' ]]
}
