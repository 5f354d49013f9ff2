# deploy/quadlet on a machine with systemd and Podman, from nothing to healthy, and what must not be possible there. Root, and a network
# namespace of its own: unshare --net bats tests/deploy/quadlet_host.bats

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT COSIGN_PASSWORD=only-for-tests STAGE=$BATS_FILE_TMPDIR
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load_house
  source "$BATS_TEST_DIRNAME/images.bash"
  host_alone
  "$ROOT/scripts/setup" jq curl cosign registry referrers oras rust musl stage podman
  cd "$STAGE"
  start_registries "$STAGE"
  export TRUST=$STAGE/trust TRUST_PIN=$STAGE/pin
  for name in root release; do "$ROOT/scripts/trust" key "$name"; done
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add release.pub --id release --purpose release --repository "$PLAIN/mini/*"
  "$ROOT/scripts/trust" sign root.key
  image_of_service "$STAGE/images/service"
  image_relabelled "$STAGE/images/service" "$STAGE/images/next" next
  image_of_postgres "$STAGE/images/postgres" 18
  export MINI_API_IMAGE NEXT_IMAGE POSTGRES_IMAGE UNSIGNED_IMAGE
  MINI_API_IMAGE=$(publish service mini-api)
  NEXT_IMAGE=$(publish next mini-api)
  POSTGRES_IMAGE=$(publish postgres postgres)
  UNSIGNED_IMAGE=$(push_image "$PLAIN/mini/mini-api" unsigned)
  mkdir "$STAGE/sites"
  host_boot "$STAGE/host" "$STAGE"
  # As docs/quadlet.md says: the registry's authority, and who one is there.
  on_host sh -c "mkdir -p /etc/containers/certs.d/$PLAIN ~/.config/containers"
  on_host cp "$REGISTRY_CA" "/etc/containers/certs.d/$PLAIN/ca.crt"
  on_host sh -c "cp $DOCKER_CONFIG/config.json ~/.config/containers/auth.json"
}

teardown_file() {
  load_house
  host_end
  stop_registries "$STAGE"
}

load_house() {
  source "$BATS_TEST_DIRNAME/../release/registries.bash"
  source "$BATS_TEST_DIRNAME/site.bash"
  source "$BATS_TEST_DIRNAME/host.bash"
  local part
  for part in document trust reference registry sign; do source "$ROOT/scripts/lib/$part.sh"; done
}

# Puts an image into the registry, signs it, and prints its reference.
publish() { # layout service
  local digest
  digest=$(jq -r '.manifests[0].digest' "$STAGE/images/$1/index.json")
  oras cp --from-oci-layout "$STAGE/images/$1@$digest" "$PLAIN/mini/$2@$digest" >&2
  image_sign "$PLAIN/mini/$2@$digest" "$STAGE/release.key" release
  echo "$PLAIN/mini/$2@$digest"
}

# A site in the folder that the machine shares.
setup() {
  load_house
  BATS_TEST_TMPDIR=$STAGE/sites/$BATS_TEST_NUMBER new_site API_BIND=0.0.0.0
}

# A clean machine again; images stay.
teardown() {
  on_host bash -c 'systemctl stop "mini-api*"; rm -rf /etc/containers/systemd/mini-api /etc/containers/mini-api.before; systemctl daemon-reload
    podman rm --all --force; podman network rm --all --force; podman volume rm --all --force; podman secret rm --all' >/dev/null 2>&1 || true
}

# What is typed on the machine, in the site's folder.
there() {
  on_host env TRUST="$TRUST" TRUST_PIN="$TRUST_PIN" REGISTRY_CA="$REGISTRY_CA" DOCKER_CONFIG="$DOCKER_CONFIG" \
    REFERENCE_REGISTRIES="$REFERENCE_REGISTRIES" bash -euo pipefail -c 'cd "$1" && shift && exec "$@"' there "$SITE" "$@"
}

# The five lines of docs/quadlet.md.
begin() {
  there deploy/quadlet/install
  on_host systemctl daemon-reload
  on_host systemctl start mini-api || {
    on_host journalctl --no-pager --lines 40 --output cat >&2
    return 1
  }
}

# Prints something of a running container.
of() { on_host podman inspect "$1" | jq -r ".[0] | $2"; } # container jq-expression

# The process number 1 of a container, as the tests see it.
first_of() { # container
  local pid
  pid=$(of "$1" .State.Pid)
  for pid in $(grep -lsE "^NSpid:[[:space:]]+[0-9]+[[:space:]]+$pid[[:space:]]" /proc/[0-9]*/status); do
    [[ $(readlink "${pid%/status}/ns/pid") == "$(readlink "/proc/$(host_first)/ns/pid")" ]] || echo "${pid//[!0-9]/}"
  done
}

# True when the API answers.
answers() { ask /health; }

# The running image of a container, by its digest.
runs() { [[ $(of "$1" .ImageName) == "$2" && $(of "$1" .ImageDigest) == "${2##*@}" ]]; } # container reference

@test "from nothing to healthy, and users register, log in and are known" {
  local begin=$SECONDS
  begin
  # Started means healthy: nobody waits here.
  answers
  ((SECONDS - begin < 60))
  register ada@example.org
  me "$(login ada@example.org)" | jq -e '.email == "ada@example.org"'
  runs mini-api "$MINI_API_IMAGE"
  runs mini-api-db "$POSTGRES_IMAGE"
  [[ $(of mini-api .State.Health.Status) == healthy && $(of mini-api-db .State.Health.Status) == healthy ]]
  # What it says is in the journal, each line once.
  on_host journalctl --unit mini-api --identifier mini-api --output cat >said
  [[ $(grep -c '"event":"service.ready"' said) == 1 ]]
  [[ $(on_host journalctl --unit mini-api-migrate --output cat | grep -c 'applied V1__users') == 1 ]]
}

@test "the database is reached from its own network alone, and clients by their own addresses" {
  local address neighbour
  begin
  address=$(of mini-api-db '.NetworkSettings.Networks["mini-api-backend"].IPAddress')
  asks() { on_host podman run --rm --network "$1" --entrypoint pg_isready "$POSTGRES_IMAGE" --quiet --timeout 3 --host "$2"; }
  asks mini-api-backend "$address"
  asks mini-api-backend db
  run asks mini-api-frontend "$address"
  [[ $status == 2 ]]
  run asks podman "$address"
  [[ $status == 2 ]]
  run asks mini-api-frontend db
  [[ $status == 2 ]]
  [[ ! $(on_host podman port mini-api-db) ]]
  # Nor do containers of other networks reach the metrics; psql is told by an answer that is none of PostgreSQL's.
  reaches() { on_host podman run --rm --network "$1" --entrypoint psql "$POSTGRES_IMAGE" "host=$2 port=9000 connect_timeout=3" 2>&1 | grep "received H"; }
  reaches mini-api-backend "$(of mini-api '.NetworkSettings.Networks["mini-api-backend"].IPAddress')"
  run reaches podman "$(of mini-api '.NetworkSettings.Networks["mini-api-frontend"].IPAddress')"
  [[ $status == 1 ]]
  # A neighbour who sends everything this way, as one on the same wire can.
  unshare --net sleep 60 3>&- &
  neighbour=$!
  wait_until 10 test "/proc/$neighbour/ns/net" -ef "/proc/$neighbour/ns/net"
  wait_until 10 bash -c "[[ \$(readlink /proc/$neighbour/ns/net) != \$(readlink /proc/self/ns/net) ]]"
  ip link add here type veth peer name there netns "$neighbour"
  ip address add 192.0.2.1/24 dev here
  ip link set here up
  nsenter --target "$neighbour" --net bash -euo pipefail -c 'ip link set there up; ip address add 192.0.2.2/24 dev there; ip route add default via 192.0.2.1'
  wait_until 10 nsenter --target "$neighbour" --net curl --silent --fail "http://192.0.2.1:$API_PORT/health"
  run nsenter --target "$neighbour" --net timeout 3 bash -c "exec 3<>/dev/tcp/$address/5432"
  [[ $status != 0 ]]
  kill "$neighbour"
  # The throttle counts by client, so it must see who asks.
  on_host journalctl --unit mini-api --identifier mini-api --output cat | grep '"route":"/health"' | grep -F '"client":"192.0.2.2"'
}

@test "every container is locked down, within limits, and cannot write into its image" {
  local container pid
  begin
  for container in mini-api mini-api-db; do
    pid=$(first_of "$container")
    awk '/^(CapEff|CapPrm|CapBnd|CapInh|CapAmb):/ { if ($2 !~ /^0+$/) exit 1 } /^NoNewPrivs:/ { if ($2 != 1) exit 1 } /^Uid:/ { if ($2 == 0) exit 1 }
      /^Seccomp:/ { if ($2 != 2) exit 1 }' "/proc/$pid/status"
    [[ $(awk '$2 == "/" { print substr($4, 1, 3) }' "/proc/$pid/mounts") == ro, ]]
    echo written >"$SITE/written"
    run there podman cp written "$container:/written"
    [[ $status != 0 && $output == *read-only* ]]
    of "$container" .HostConfig | jq -e '.Memory > 0 and .NanoCpus > 0 and .PidsLimit > 0 and .ReadonlyRootfs and (.Privileged | not)'
  done
  run on_host podman exec mini-api-db sh -c 'echo written >/written'
  [[ $status != 0 && $output == *"Read-only file system"* ]]
  # As the kernel counts: 256 MiB and 200 processes, 512 MiB and 300.
  [[ $(on_host podman exec mini-api-db sh -c 'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes') == $((512 << 20)) ]]
  [[ $(on_host podman exec mini-api-db sh -c 'cat /sys/fs/cgroup/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids/pids.max') == 300 ]]
  # The service has nothing writable at all but what the kernel makes.
  run grep -E '^(tmpfs|overlay|/dev/)' "/proc/$(first_of mini-api)/mounts"
  [[ $status == 0 ]]
  while read -r line; do [[ $line =~ \ ro, ]] || { echo "$line" && return 1; }; done <<<"$output"
}

@test "a secret is in no unit, inspection, journal, list of processes or environment" {
  local secret name
  begin
  register ada@example.org
  me "$(login ada@example.org)"
  {
    on_host podman inspect mini-api mini-api-db
    on_host podman secret inspect mini-api-db-password mini-api-jwt-secret mini-api-jwt-previous-secrets
    on_host podman image inspect "$MINI_API_IMAGE" "$POSTGRES_IMAGE"
    on_host journalctl --output export
    on_host systemctl show 'mini-api*'
    on_host grep -r '' /etc/containers/systemd/mini-api
    ps axww -o args
    for name in mini-api mini-api-db; do tr '\0' '\n' <"/proc/$(first_of "$name")/environ"; done
  } >said 2>&1
  grep -q DB_PASSWORD_FILE said
  for name in db_password jwt_secret jwt_previous_secrets; do
    secret=$(<"secrets/$name")
    [[ ${#secret} -ge 32 ]]
    run grep -acF -e "$secret" said
    [[ $output == 0 ]] || { echo "$name is there" && return 1; }
  done
}

@test "the main process of each container is killed, and it heals" {
  local container before
  begin
  register ada@example.org
  for container in mini-api mini-api-db; do
    before=$(first_of "$container")
    kill -KILL "$before"
    wait_until 20 bash -c "! kill -0 $before"
    wait_until 30 eval "[[ \$(of $container .State.Health.Status) == healthy ]]"
    wait_until 20 answers
    [[ $(first_of "$container") != "$before" ]]
  done
  me "$(login ada@example.org)"
}

@test "after the machine was switched off and on everything is there again, without a registry" {
  local token
  begin
  register ada@example.org
  token=$(login ada@example.org)
  host_off
  run answers
  [[ $status != 0 ]]
  stop_plain "$STAGE"
  host_boot "$STAGE/host" "$STAGE"
  wait_until 60 answers
  me "$token"
  start_plain "$STAGE"
}

@test "the next image comes by its digest, the one before goes back in its place, and one that may not run changes nothing" {
  begin
  register ada@example.org
  there policy/admit --write-env images.env "MINI_API_IMAGE=$NEXT_IMAGE"
  run --separate-stderr there deploy/quadlet/install
  [[ $status == 0 ]]
  # It says what to type, and no more than is needed: the database stays as it is.
  grep -E '^  systemctl ' <<<"$stderr" >next
  diff next <(printf '  %s\n' 'systemctl daemon-reload' 'systemctl restart mini-api-migrate' 'systemctl restart mini-api')
  before=$(first_of mini-api-db)
  on_host bash -euc "$(<next)"
  runs mini-api "$NEXT_IMAGE"
  me "$(login ada@example.org)"
  # An image without a signature: what is installed stays.
  sed -i "s|^MINI_API_IMAGE=.*|MINI_API_IMAGE=$UNSIGNED_IMAGE|" images.env
  on_host cp -a /etc/containers/systemd/mini-api "$SITE/installed"
  refused 65 "may not run here" there deploy/quadlet/install
  on_host diff -r /etc/containers/systemd/mini-api "$SITE/installed"
  refused 65 "may not run here" there deploy/quadlet/install --dry-run
  # Back to the first one.
  there deploy/quadlet/install --back 2>said
  grep '^  systemctl ' said >next
  on_host bash -euc "$(<next)"
  runs mini-api "$MINI_API_IMAGE"
  me "$(login ada@example.org)"
  [[ $(first_of mini-api-db) == "$before" ]]
  there deploy/quadlet/install --back
  on_host grep -xF "Image=$NEXT_IMAGE" /etc/containers/systemd/mini-api/mini-api.container
  [[ $(on_host find /etc/containers -maxdepth 1 -name 'mini-api*') == /etc/containers/mini-api.before ]]
}

@test "what cannot be put in its place leaves what was there" {
  begin
  set_env JWT_EXPIRE_MIN=5
  on_host cp -a /etc/containers/systemd/mini-api "$SITE/installed"
  mkdir bin
  # Moves everything but what is new.
  printf '#!/bin/bash\n[[ $1 != *.new.* ]] || { echo "no room" >&2; exit 1; }\nexec /usr/bin/mv "$@"\n' >bin/mv
  chmod +x bin/mv
  refused 73 "cannot be written" there env PATH="$SITE/bin:/usr/sbin:/usr/bin:/sbin:/bin" deploy/quadlet/install
  on_host diff -r /etc/containers/systemd/mini-api "$SITE/installed"
  [[ ! $(on_host find /etc/containers -maxdepth 1 -name 'mini-api*') ]]
}

@test "keys of tokens are rotated and nobody is logged out, until the old key goes" {
  local token
  begin
  register ada@example.org
  token=$(login ada@example.org)
  there scripts/secrets rotate jwt
  run --separate-stderr there deploy/quadlet/install
  [[ $status == 0 && $stderr == *"systemctl restart mini-api"* ]]
  on_host systemctl restart mini-api
  me "$token"
  # The old key alone would verify the old token too: without it the token is nobody's.
  printf '%064d' 7 >secrets/jwt_previous_secrets
  chmod 0444 secrets/jwt_previous_secrets
  there deploy/quadlet/install
  on_host systemctl restart mini-api
  run me "$token"
  [[ $status != 0 ]]
  me "$(login ada@example.org)"
}

# Runs the n-th block of commands of the page on the machine, where everybody is root.
page() { # n
  local block
  block=$(awk -v wanted="$1" '/^```bash$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside && n == wanted' "$ROOT/docs/quadlet.md")
  [[ $block ]] || return 1
  there env MINI_API_IMAGE="$MINI_API_IMAGE" POSTGRES_IMAGE="$POSTGRES_IMAGE" NEXT_IMAGE="$NEXT_IMAGE" \
    bash -euo pipefail -c "$(sed -E 's/(^|  )sudo (-E )?/\1/' <<<"$block")" >page.log 2>&1 || {
    printf '%s\n' "$block" >&2
    cat page.log >&2
    return 1
  }
}

@test "the page is true: from the first command to the last, block by block" {
  local token old
  # Nothing is there but what was checked out.
  cp .env there
  rm -rf .env secrets images.env
  page 1
  runs mini-api "$MINI_API_IMAGE"
  BASE=http://127.0.0.1:8000
  register ada@example.org
  token=$(login ada@example.org)
  page 2
  runs mini-api "$NEXT_IMAGE"
  page 3
  runs mini-api "$MINI_API_IMAGE"
  run ask /users/me --header 'Authorization: Bearer forged'
  page 4
  # The log's lines that are no information: the forged token.
  grep -q '"event":"auth.token.refused"' page.log
  grep -q 'database system is ready to accept connections' page.log
  page 5
  me "$token"
  old=$(<secrets/db_password)
  page 6
  [[ $(<secrets/db_password) != "$old" ]]
  # A new connection with the new password, which is the only one.
  me "$(login ada@example.org)"
  on_host podman run --rm --network mini-api-backend --env PGPASSWORD="$(<secrets/db_password)" --entrypoint psql "$POSTGRES_IMAGE" \
    'host=db user=app dbname=app_db' --command 'SELECT 1'
  run on_host podman run --rm --network mini-api-backend --env PGPASSWORD="$old" --entrypoint psql "$POSTGRES_IMAGE" 'host=db user=app dbname=app_db' --command 'SELECT 1'
  [[ $status != 0 && $output == *"password authentication failed"* ]]
  page 7
  run answers
  [[ $status != 0 ]]
  on_host podman volume exists mini-api-data-pg18
  [[ ! $(on_host systemctl list-unit-files --no-legend 'mini-api*') ]]
  # That was all of it.
  [[ $(grep -c '^```bash$' "$ROOT/docs/quadlet.md") == 7 ]]
}

@test "PostgreSQL has the shared memory that parallel queries need, and settings reach it with all their signs" {
  set_env 'POSTGRES_SETTINGS=log_line_prefix=%m"$HOME"%% max_connections=55'
  begin
  [[ $(on_host podman exec mini-api-db psql --no-psqlrc --tuples-only --no-align --command 'SHOW log_line_prefix' postgres) == '%m"$HOME"%%' ]]
  [[ $(on_host podman exec mini-api-db psql --no-psqlrc --tuples-only --no-align --command 'SHOW max_connections' postgres) == 55 ]]
  # A query that another process takes part in, over shared memory of its own.
  on_host podman exec mini-api-db psql --no-psqlrc --set ON_ERROR_STOP=1 postgres --command 'SET debug_parallel_query = on' \
    --command 'EXPLAIN (ANALYZE) SELECT count(*) FROM pg_class' | grep -F 'Workers Launched: 1'
}

@test "a volume of another major version of PostgreSQL is refused in a sentence that names the page" {
  there deploy/quadlet/install
  on_host systemctl daemon-reload
  on_host systemctl start mini-api-data-pg18-volume
  on_host bash -euc 'cd "$(podman volume inspect --format "{{.Mountpoint}}" mini-api-data-pg18)"; mkdir -p 17/docker; echo 17 >17/docker/PG_VERSION; chown -R 999:999 .'
  run on_host systemctl start mini-api-db
  [[ $status != 0 ]]
  on_host journalctl --unit mini-api-db --output cat | grep -F 'docs/runbooks/postgresql-upgrade.md'
}

@test "a port that another program has is told in the journal" {
  set_env "API_PORT=${PLAIN#*:}"
  there deploy/quadlet/install
  on_host systemctl daemon-reload
  run on_host systemctl start mini-api
  [[ $status != 0 ]]
  on_host journalctl --unit mini-api --output cat | grep -F 'address already in use'
}

@test "secrets that are missing are told before anything is installed, and the store's own are kept" {
  mv secrets/jwt_secret there
  refused 66 "there is no secret" there deploy/quadlet/install
  [[ ! $(on_host podman secret ls --quiet) ]]
  run on_host test -e /etc/containers/systemd/mini-api
  [[ $status == 1 ]]
  echo short >secrets/jwt_secret
  refused 78 "shorter than 32 characters" there deploy/quadlet/install
  mv -f there secrets/jwt_secret
  begin
  answers
  # Whoever keeps no file: what is in the store is used.
  rm -rf secrets
  there deploy/quadlet/install
  on_host systemctl restart mini-api
  answers
}
