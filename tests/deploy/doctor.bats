# scripts/doctor: a healthy site, and what is planted in it, each found with its remedy.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT SITE PROJECT BASE
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR BATS_SUITE_TEST_NUMBER=doctor
  source "$BATS_TEST_DIRNAME/site.bash"
  new_site
  scripts/compose up
  register ada@example.org
  scripts/backup create
  cp -a .env images.env secrets "$BATS_FILE_TMPDIR/"
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/site.bash"
  end_site
}

setup() {
  source "$BATS_TEST_DIRNAME/site.bash"
  cd "$SITE" || return
}

# Whatever was planted is taken out.
teardown() {
  local pid
  touch compose.yaml
  for pid in "${planted[@]}"; do process_end "$pid" 5; done
  docker rm --force "$PROJECT-talker" >/dev/null 2>&1 || true
  ! mountpoint --quiet backups || umount backups
  rm -rf secrets .git
  cp -a "$BATS_FILE_TMPDIR"/{.env,images.env,secrets} .
}

planted=()

# Runs the doctor, who must end with this code and say, in a row of this check, this state and these words, and what to type.
says() { # code check state words next [NAME=VALUE…]
  local code=$1 check=$2 state=$3 words=$4 next=$5
  shift 5
  run --separate-stderr env "$@" scripts/doctor --json
  [[ $status == "$code" ]] && jq -e --arg check "$check" --arg state "$state" --arg words "$words" --arg next "$next" \
    'any(.[]; .check == $check and .state == $state and (.found | contains($words)) and (.next // "" | contains($next)))
     and all(.[]; (.state | IN("bad", "unknown") | not) or (.next // "") != "")' <<<"$output" >/dev/null || {
    echo "doctor ended with $status: $stderr"
    jq -c '.[] | select(.state != "ok")' <<<"$output"
    return 1
  } >&2
}

# Starts a server of this test in the background, and waits for its port.
plant() { # port program…
  local port=$1
  shift
  setsid "$@" >"$BATS_TEST_TMPDIR/planted.log" 2>&1 3>&- &
  planted+=("$!")
  wait_until 20 port_answers "$port"
}

@test "a healthy site has no row that is bad or unknown, and every check has one" {
  local check
  run --separate-stderr scripts/doctor --json
  [[ $status == 0 ]]
  jq -e 'all(.[]; .state | IN("ok", "warning"))' <<<"$output"
  # Nothing is warned of but what this stage cannot have: an authority that lives long, and a clock that is kept.
  jq -e '[.[] | select(.state == "warning").check] - ["ca", "clock-kept"] == []' <<<"$output"
  for check in settings secrets secrets-rights engine compose clock clock-kept disk-engine disk-backups disk-secrets disk-temporary ca registry \
    clock-registry trust trust-keys images ports database connections clock-database schema disk-database service backup logs; do
    jq -e --arg check "$check" 'any(.[]; .check == $check)' <<<"$output"
  done
  run --separate-stderr scripts/doctor
  [[ $status == 0 && ${lines[0]} =~ ^CHECK\ +STATE\ +FOUND\ +NEXT$ && ${#lines[@]} -ge 25 && ! $stderr ]]
  run scripts/doctor --quickly
  [[ $status == 64 ]]
}

@test "looking changes no file" {
  touch "$BATS_TEST_TMPDIR/before"
  wait_until 5 touched_after "$BATS_TEST_TMPDIR/before"
  scripts/doctor >/dev/null
  run find . "$TRUST" "$TRUST_PIN" -type f -newer "$BATS_TEST_TMPDIR/before" -not -name after
  [[ ! $output ]]
  # Nor does it take a newer trust file for believed, as a decision would.
  printf '1 %s\n' "$(sha256sum <"$TRUST/history/1.json" | cut -d ' ' -f 1)" >pin
  cp pin kept
  says 0 trust ok "version 2 for mini is believed" "" TRUST_PIN="$PWD/pin"
  cmp pin kept
}

# True once a new file is younger than another.
touched_after() { touch after && [[ after -nt $1 ]]; } # file

@test "an engine that is not there, and one that never answers, within 15 seconds" {
  says 69 engine bad "no engine answers at unix:///nowhere" "systemctl start docker" DOCKER_HOST=unix:///nowhere
  local port
  port=$(free_port)
  plant "$port" python3 -c '
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = []
while True: kept.append(server.accept())' "$port"
  SECONDS=0
  says 69 engine bad "no engine answers" "systemctl start docker" DOCKER_HOST="tcp://127.0.0.1:$port"
  ((SECONDS <= 15))
}

@test "a registry that never answers, within 15 seconds" {
  local port
  port=$(free_port)
  plant "$port" python3 -c '
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = []
while True: kept.append(server.accept())' "$port"
  sed "s#=$PLAIN/#=localhost:$port/#" "$BATS_FILE_TMPDIR/images.env" >images.env
  cp "$REFERENCE_REGISTRIES" registries.txt && echo "localhost:$port" >>registries.txt
  SECONDS=0
  says 69 registry bad "localhost:$port does not answer" "start the registry" REFERENCE_REGISTRIES="$PWD/registries.txt"
  ((SECONDS <= 15))
}

@test "a port that another program holds" {
  local port
  port=$(free_port)
  plant "$port" python3 -m http.server --bind 127.0.0.1 "$port"
  set_env "API_PORT=$port"
  says 75 ports bad "port $port, wanted for api, is held by python3, process" "ss -ltnp 'sport = :$port', and stop it, or choose another API_PORT"
}

@test "an authority that has expired, is about to, is none, or is not there" {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout key.pem -out request.pem -subj /CN=old 2>/dev/null
  openssl x509 -req -in request.pem -signkey key.pem -days -1 -out "$BATS_TEST_TMPDIR/old.pem" 2>/dev/null
  says 78 ca bad "expired 24 hours ago" "cat NEW.pem >>" REGISTRY_CA="$BATS_TEST_TMPDIR/old.pem"
  openssl x509 -req -in request.pem -signkey key.pem -days 29 -out "$BATS_TEST_TMPDIR/soon.pem" 2>/dev/null
  cat "$REGISTRY_CA" >>"$BATS_TEST_TMPDIR/soon.pem"
  says 0 ca warning "expires in" "cat NEW.pem >>" REGISTRY_CA="$BATS_TEST_TMPDIR/soon.pem"
  cat "$REGISTRY_CA" "$BATS_TEST_TMPDIR/old.pem" >"$BATS_TEST_TMPDIR/both.pem"
  says 0 ca warning "beside 1 that did not" "cat NEW.pem >>" REGISTRY_CA="$BATS_TEST_TMPDIR/both.pem"
  echo nonsense >"$BATS_TEST_TMPDIR/none.pem"
  says 78 ca bad "is no certificate" "" REGISTRY_CA="$BATS_TEST_TMPDIR/none.pem"
  says 78 ca bad "which cannot be read" "export REGISTRY_CA=FILE" REGISTRY_CA=/nowhere.pem
  # Somebody else's authority does not make the registry believed.
  openssl x509 -req -in request.pem -signkey key.pem -days 300 -out "$BATS_TEST_TMPDIR/other.pem" 2>/dev/null
  says 69 registry bad "shows no certificate that is believed" "export REGISTRY_CA=FILE" REGISTRY_CA="$BATS_TEST_TMPDIR/other.pem"
}

@test "secrets that are missing, short, guessable, open to others, closed to containers, or in version control" {
  rm secrets/jwt_secret
  says 78 secrets bad "secrets/jwt_secret is missing" "scripts/secrets init"
  echo change-me-in-production-0123456789abcdef | tee secrets/jwt_secret
  says 65 secrets bad "holds a placeholder" "scripts/secrets init"
  head -c 999 /dev/zero | tr '\0' x | fold -w 3 | head -n 1 | tee secrets/db_password
  says 65 secrets bad "db_password holds a placeholder" "scripts/secrets init"
  echo 'a8Jq2L' | tee secrets/db_password
  says 78 secrets bad "has 6 characters, and 16 are wanted" "scripts/secrets init"
  rm -rf secrets && cp -a "$BATS_FILE_TMPDIR/secrets" .
  chmod 0755 secrets
  says 78 secrets-rights bad "is open to others (mode 755)" "chmod 0700 $SITE/secrets"
  chmod 0700 secrets && chmod 0400 secrets/db_password
  says 78 secrets-rights bad "containers cannot read" "chmod 0444 $SITE/secrets/db_password"
  chmod 0444 secrets/db_password
  git init --quiet .
  says 0 secrets-git warning "git does not ignore" "echo '/secrets/' >>.gitignore" GIT_CONFIG_GLOBAL=/dev/null
  git add --force secrets/db_password
  says 65 secrets-git bad "git tracks $SITE/secrets/db_password" "git rm --cached" GIT_CONFIG_GLOBAL=/dev/null
}

@test "images that are not chosen, not pinned, not signed, or that a registry would have to vouch for which is down" {
  rm images.env
  says 78 images bad "no image is chosen" "policy/admit --write-env images.env"
  sed 's/^\(MINI_API_IMAGE=.*\)@sha256:.*/\1:1.0.0/' "$BATS_FILE_TMPDIR/images.env" >images.env
  says 65 images bad "it is not pinned" "policy/admit --write-env images.env MINI_API_IMAGE="
  sed "s#^MINI_API_IMAGE=.*#MINI_API_IMAGE=$UNSIGNED_IMAGE#" "$BATS_FILE_TMPDIR/images.env" >images.env
  says 65 images bad "MINI_API_IMAGE may not run: it is not signed" "policy/admit --write-env"
  grep -v '^POSTGRES_IMAGE=' "$BATS_FILE_TMPDIR/images.env" >images.env
  says 78 images bad "images.env has no POSTGRES_IMAGE" "policy/admit --write-env images.env POSTGRES_IMAGE=REFERENCE"
  sed "s#=$PLAIN/#=localhost:1/#" "$BATS_FILE_TMPDIR/images.env" >images.env
  cp "$REFERENCE_REGISTRIES" registries.txt && echo localhost:1 >>registries.txt
  says 69 registry bad "localhost:1 does not answer" "start the registry" REFERENCE_REGISTRIES="$PWD/registries.txt"
  says 69 images unknown "the registry does not answer" "once the registry answers" REFERENCE_REGISTRIES="$PWD/registries.txt"
}

@test "credentials that the registry refuses" {
  cp -R "$DOCKER_CONFIG" docker
  jq '.auths[].auth = ("publisher:wrong" | @base64)' "$DOCKER_CONFIG/config.json" >docker/config.json
  says 69 registry bad "$PLAIN refuses our credentials" "docker login $PLAIN" DOCKER_CONFIG="$PWD/docker"
}

@test "nobody who is believed, a trust file that was altered, a key that is revoked, and one that ends soon" {
  says 78 trust bad "no trust file was ever confirmed on this machine" "scripts/trust verify --sha256" TRUST_PIN="$PWD/none"
  cp -R "$TRUST" trust && cp "$TRUST_PIN" pin
  jq '.audience = "others"' "$TRUST/trust.json" >trust/trust.json
  says 65 trust bad "somebody altered it" "scripts/trust verify" TRUST="$PWD/trust" TRUST_PIN="$PWD/pin"
  cp "$TRUST/trust.json" trust/
  export TRUST=$PWD/trust TRUST_PIN=$PWD/pin
  scripts/trust revoke release --reason "the laptop was stolen" && scripts/trust sign "$STAGE/root.key"
  says 65 images bad "key release is revoked since" "scripts/release sign-again"
  scripts/trust key soon && scripts/trust add soon.pub --id soon --purpose release --repository "$PLAIN/mini/*" \
    --until "$(date -u -d '+20 days' +%Y-%m-%dT%H:%M:%SZ)" && scripts/trust sign "$STAGE/root.key"
  says 65 trust-keys warning "key soon, the last for release, ends in 19 days" "scripts/trust rotate soon"
}

@test "a clock that was set back, and one that differs from the registry's" {
  # What this machine wrote in its future was written before somebody set the clock back.
  touch -d '+3 hours 30 minutes' compose.yaml
  says 78 clock bad "compose.yaml is 3 hours younger" "chronyc makestep, or date --utc --set=TIME"
  touch compose.yaml
  local port
  port=$(free_port)
  plant "$port" python3 "$BATS_TEST_DIRNAME/late.py" "$port" "$STAGE/tls/cert.pem" "$STAGE/tls/key.pem" -5400
  sed "s#=$PLAIN/#=localhost:$port/#" "$BATS_FILE_TMPDIR/images.env" >images.env
  cp "$REFERENCE_REGISTRIES" registries.txt && echo "localhost:$port" >>registries.txt
  says 78 clock-registry bad "the registry localhost:$port is 90 minutes behind this machine" "chronyc makestep" REFERENCE_REGISTRIES="$PWD/registries.txt"
}

@test "a disk that is full" {
  mkdir -p "$BATS_TEST_TMPDIR/kept"
  mount -t tmpfs -o size=40m tmpfs backups
  head -c 30M /dev/zero >backups/filler
  says 73 disk-backups bad "MiB left, and 32 MiB are wanted" "docker image prune --force"
  rm backups/filler
  says 0 disk-backups ok "" ""
  says 73 disk-engine bad "(the engine's data) has" "docker image prune --force" LEAST_FREE_MIB=99999999
  umount backups
  # Room, but nothing to name a file by.
  mount -t tmpfs -o size=64m,nr_inodes=10 tmpfs backups
  touch backups/{1..9}
  says 73 disk-backups bad "has no inodes left" "df -i"
}

@test "no .env, and one that Compose does not take" {
  rm .env
  says 78 settings bad "there is no .env" "scripts/compose init"
  cp "$BATS_FILE_TMPDIR/.env" .
  set_env API_PORT=nonsense
  says 78 settings bad "compose does not take its files" "scripts/compose config"
}

@test "a database that is down, a schema that is behind, and connections that are all taken" {
  scripts/compose stop db
  says 69 database bad "is exited" "scripts/compose logs --tail 20 db, then scripts/compose up"
  scripts/compose up
  scripts/compose exec -T db psql --quiet --command 'UPDATE refinery_schema_history SET version = -1' app_db
  says 78 schema bad "the schema is at version -1, and this release wants" "scripts/compose run --rm migrate"
  scripts/compose exec -T db psql --quiet --command 'UPDATE refinery_schema_history SET version = 99' app_db
  says 0 schema warning "the schema is at version 99, and this release knows" "scripts/compose run --rm migrate"
  scripts/compose exec -T db psql --quiet --command 'UPDATE refinery_schema_history SET version = 1' app_db
  # The superuser still gets in, and sees it.
  scripts/compose exec -T db psql --quiet --command "ALTER SYSTEM SET max_connections = 15" postgres
  scripts/compose restart db
  wait_until 60 database_is_up
  plant_connections 12
  says 69 connections bad "connections are taken" "scripts/compose restart api"
  scripts/compose exec -T db psql --quiet --command "ALTER SYSTEM RESET max_connections" postgres
  for pid in "${planted[@]}"; do process_end "$pid" 5; done
  scripts/compose restart db
  wait_until 60 database_is_up
  scripts/compose up
}

database_is_up() { scripts/compose exec -T db psql --quiet --command 'SELECT 1' postgres; }

# Holds so many connections, and waits until all are there.
plant_connections() { # number
  local n
  for ((n = 0; n < $1; n++)); do
    setsid docker exec "$(container db)" psql --quiet --command 'SELECT pg_sleep(120)' postgres >/dev/null 2>&1 3>&- &
    planted+=("$!")
  done
  wait_until 30 sleeping "$1"
}

sleeping() { (($(scripts/compose exec -T db psql --no-align --tuples-only --command "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'" postgres) >= $1)); } # number

@test "a service that fails, backups that are old or damaged or absent, and logs without an end" {
  local file
  file=$(scripts/backup list --json | jq -r '.[-1].file')
  cp -a backups backups.kept
  jq --arg began "$(date -u -d '-9 days' +%Y-%m-%dT%H:%M:%SZ)" '.began = $began' "backups.kept/${file##*/}.json" >"$file.json"
  says 78 backup bad "the newest backup is 9 days old" "scripts/backup create"
  jq --arg began "$(date -u -d '-2 days' +%Y-%m-%dT%H:%M:%SZ)" '.began = $began' "backups.kept/${file##*/}.json" >"$file.json"
  says 0 backup warning "the newest backup is 2 days old" "scripts/backup create"
  truncate --size=-1 "$file"
  says 0 backup warning "$file is damaged" "scripts/backup verify $file"
  says 0 backup warning "there is no backup in" "scripts/backup create"
  rm -rf backups && mv backups.kept backups
  docker run --detach --name "$PROJECT-talker" --label "com.docker.compose.project=$PROJECT" --log-driver json-file --entrypoint sleep "$POSTGRES_IMAGE" 60
  says 78 logs bad "$PROJECT-talker grow without end" "scripts/compose up"
  docker rm --force "$PROJECT-talker"
  scripts/compose stop api
  says 69 service bad "api-1 is exited" "scripts/compose logs --tail 20 api"
  scripts/compose up
}
