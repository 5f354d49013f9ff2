# scripts/backup on a real deployment: under load, elsewhere, damaged, killed in the middle, and across major versions.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/site.bash"
  source "$BATS_TEST_DIRNAME/page.bash"
  sites=() writers=()
}

teardown() {
  local pid
  for pid in "${writers[@]}"; do process_end "$pid" 5; done
  for SITE in "${sites[@]}"; do end_site; done
}

# Makes a site beside others, starts it, and goes there.
start_site() { # name
  BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR/$1 new_site REGISTER_LIMIT_NETWORK=off
  sites+=("$SITE")
  scripts/compose up
}

# Goes back to a site that was started before, as variables of start_site said of it.
at_site() { cd "$1" && SITE=$1 PROJECT=$2 BASE=$3; } # folder project base

# Fails unless a user's password is right; login alone prints what it got.
logs_in() { me "$(login "$1")" >/dev/null; } # email

# Asks the database.
sql() { scripts/compose exec -T db psql --no-psqlrc --no-align --tuples-only --set ON_ERROR_STOP=1 "${2:-app_db}" <<<"$1"; } # sql [database]

# Registers users in the background, one after the other, and writes down each that was acknowledged.
start_writer() { # name
  # shellcheck disable=SC2016
  setsid bash -c '
    for ((n = 0; ; n++)); do
      if curl --silent --fail --max-time 10 "$0/auth/register" --json "{\"email\":\"$1-$n@example.org\",\"password\":\"correct horse battery\"}" >/dev/null
      then echo "$1-$n@example.org" >>"$2"
      else echo "$1-$n@example.org" >>"$2.failed"; fi
    done' "$BASE" "$1" "$BATS_TEST_TMPDIR/acknowledged" >/dev/null 2>&1 3>&- &
  writers+=("$!")
}

acknowledged() { (($(wc -l <"$BATS_TEST_TMPDIR/acknowledged") >= $1)); } # number

@test "a backup made while users register has every one acknowledged before it began; restored elsewhere they log in" {
  local here first file email
  start_site first
  first=("$SITE" "$PROJECT" "$BASE")
  touch "$BATS_TEST_TMPDIR/acknowledged"
  start_writer one
  start_writer two
  wait_until 60 acknowledged 40
  cp "$BATS_TEST_TMPDIR/acknowledged" "$BATS_TEST_TMPDIR/before"
  file=$(scripts/backup create)
  here=$(wc -l <"$BATS_TEST_TMPDIR/acknowledged")
  # The service went on while it was made, and goes on.
  wait_until 60 acknowledged $((here + 10))
  for pid in "${writers[@]}"; do process_end "$pid" 5; done
  [[ ! -e $BATS_TEST_TMPDIR/acknowledged.failed ]]
  [[ $(stat -c %a "$file" backups) == $'600\n700' ]]
  scripts/backup verify "$file"
  (cd backups && sha256sum --check ./*.sha256)
  start_site second
  second=("$SITE" "$PROJECT" "$BASE")
  at_site "${first[@]}"
  scripts/backup restore "$file" --into "${second[1]}/app_db"
  at_site "${second[@]}"
  wait_until 30 ask /readyz
  sql 'SELECT email FROM users' | LC_ALL=C sort >there
  LC_ALL=C sort "$BATS_TEST_TMPDIR/before" | LC_ALL=C comm -23 - there >lost
  [[ ! -s lost && $(wc -l <there) == $(jq '.rows["public.users"]' "$file.json") ]]
  # Written in the middle of the load: not everything is in it.
  (($(wc -l <there) < $(wc -l <"$BATS_TEST_TMPDIR/acknowledged")))
  for email in "$(head -n 1 "$BATS_TEST_TMPDIR/before")" "$(tail -n 1 "$BATS_TEST_TMPDIR/before")"; do
    me "$(login "$email")" | jq -e --arg email "$email" '.email == $email'
  done
  # And life goes on: the next user gets an id of his own.
  register late@example.org
  # Where the backup came from nothing changed.
  at_site "${first[@]}"
  sql 'SELECT email FROM users' | LC_ALL=C sort >all
  LC_ALL=C sort "$BATS_TEST_TMPDIR/acknowledged" | LC_ALL=C comm -23 - all >lost
  [[ ! -s lost ]]
}

@test "a backup that was cut short, altered, or whose manifest is another's is refused before anything is touched" {
  local file started databases
  start_site only
  register ada@example.org
  file=$(scripts/backup create)
  register bob@example.org
  started=$(docker inspect --format '{{.State.StartedAt}}' "$(container api)")
  databases=$(sql 'SELECT datname FROM pg_database ORDER BY 1' | tr '\n' ' ')
  cp -a backups good
  truncate --size=-1 "$file"
  refused 65 "is damaged: it has" scripts/backup restore "$file" --replace
  cp "good/${file##*/}" "$file"
  printf 'X' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc status=none
  refused 65 "its SHA-256 is not that of its manifest" scripts/backup restore "$file" --replace
  refused 65 "its SHA-256 is not that of its manifest" scripts/backup verify "$file"
  refused 65 "its SHA-256 is not that of its manifest" scripts/backup rehearse
  # Whoever altered the manifest as well forgot the other file.
  jq --arg sha256 "$(sha256sum <"$file" | cut -d ' ' -f 1)" '.sha256 = $sha256' "good/${file##*/}.json" >"$file.json"
  refused 65 "disagree" scripts/backup restore "$file" --replace
  rm "$file.json"
  refused 66 "which belongs to the backup" scripts/backup restore "$file" --replace
  echo '{}' >"$file.json"
  refused 65 "is no manifest" scripts/backup restore "$file" --replace
  refused 66 "there is no backup" scripts/backup restore nowhere.dump --replace
  # All three agree, and say more than is in it.
  cp good/* backups/
  jq '.rows["public.users"] = 7' "good/${file##*/}.json" >"$file.json"
  refused 65 "other numbers of rows" scripts/backup restore "$file" --replace
  # Sound, but made by a newer PostgreSQL, or of the schema of a newer release.
  jq '.server = "99.1"' "good/${file##*/}.json" >"$file.json"
  refused 65 "restore it into 99 or newer" scripts/backup restore "$file" --replace
  cp good/* backups/
  # One that has users is not replaced by mistake.
  refused 73 "has 2 users: add --replace" scripts/backup restore "$file"
  [[ $(sql 'SELECT datname FROM pg_database ORDER BY 1' | tr '\n' ' ') == "$databases" ]]
  [[ $(docker inspect --format '{{.State.StartedAt}}' "$(container api)") == "$started" ]]
  logs_in bob@example.org
}

@test "the schema of a newer release is refused by this one's binary before it takes the place" {
  local file
  start_site only
  register ada@example.org
  sql "INSERT INTO schema_compatibility VALUES (99, '99.0.0')"
  file=$(scripts/backup create)
  sql "DELETE FROM schema_compatibility WHERE migration = 99"
  refused 65 "it needs mini-api 99.0.0 or later" scripts/backup restore "$file" --replace
  # Nor is it passed over when the files that would say how to ask are gone.
  mv compose.yaml away
  refused 69 "Compose does not take the files" scripts/backup rehearse
  mv away compose.yaml
  [[ $(sql 'SELECT count(*) FROM pg_database') == 4 ]]
  logs_in ada@example.org
}

@test "a restore that is killed in the middle leaves the old database serving, and the next one sweeps up" {
  local file pid n
  start_site only
  register ada@example.org
  # Large enough that filling takes a while.
  sql "INSERT INTO users (email, password_hash, full_name) SELECT 'many-' || n || '@example.org', repeat('x', 200), repeat('y', 200) FROM generate_series(1, 200000) AS n"
  file=$(scripts/backup create)
  register bob@example.org
  for n in 1 2; do
    setsid scripts/backup restore "$file" --replace >/dev/null 2>&1 3>&- &
    pid=$!
    wait_until 60 filling
    # All of it, as when the machine's power is cut for whoever typed this, but not for the engine.
    kill -KILL -- "-$pid"
    logs_in bob@example.org
    [[ $(sql 'SELECT count(*) FROM users') == 200002 ]]
  done
  # What the container was still doing for whoever is gone ends by itself.
  wait_until 30 nobody_fills
  # A moment later in the same second there would be no other name for it.
  scripts/backup restore "$file" --replace
  wait_until 30 ask /readyz
  [[ $(sql 'SELECT count(*) FROM users') == 200001 ]]
  [[ ! $(sql "SELECT datname FROM pg_database WHERE datname LIKE '%restoring%'") ]]
  run logs_in bob@example.org
  [[ $status != 0 ]]
  scripts/backup kept --back "$(scripts/backup kept)"
  wait_until 30 ask /readyz
  logs_in bob@example.org
}

# True while rows are copied into a database that is being restored.
filling() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'app_db_restoring_%' AND query LIKE 'COPY %'" postgres) == [1-9]* ]]; }

nobody_fills() { [[ $(sql "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'app_db_restoring_%'" postgres) == 0 ]]; }

@test "killed at any moment, a restore leaves exactly one database by the name, and it serves" {
  local file pid n names
  start_site only
  register ada@example.org
  file=$(scripts/backup create)
  for n in {1..10}; do
    setsid scripts/backup restore "$file" --replace >/dev/null 2>&1 3>&- &
    pid=$!
    # Anywhere between its beginning and its end, on a machine of any speed.
    sleep "$((RANDOM % 4)).$((RANDOM % 10))"
    kill -KILL -- "-$pid" 2>/dev/null || true
    wait_until 20 logs_in ada@example.org
  done
  wait_until 60 nobody_fills
  scripts/backup restore "$file" --replace
  wait_until 20 logs_in ada@example.org
  names=$(sql 'SELECT datname FROM pg_database')
  [[ $(grep -c '^app_db$' <<<"$names") == 1 && $(grep -c restoring <<<"$names") == 0 ]]
  [[ $(sql 'SELECT count(*) FROM users') == 1 ]]
}

@test "when the second rename cannot be the first is undone, and the old database serves on" {
  local file
  start_site only
  register ada@example.org
  file=$(scripts/backup create)
  register bob@example.org
  # Somebody enters the new database before it has its name, and stays.
  # shellcheck disable=SC2016
  setsid docker exec "$(container db)" sh -c 'until name=$(psql --no-align --tuples-only --command "SELECT datname FROM pg_database
    WHERE datname ~ \$\$_restoring_\$\$" postgres) && [ "$name" ] && psql --quiet --command "SELECT pg_sleep(60)" "$name"; do :; done' >/dev/null 2>&1 3>&- &
  writers+=("$!")
  refused 69 "app_db could not be renamed" scripts/backup restore "$file" --replace
  [[ $(sql "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname LIKE 'app_db%'" postgres) == app_db ]]
  logs_in bob@example.org
}

@test "a restore that is interrupted takes away what it had begun" {
  local file pid code=0
  start_site only
  register ada@example.org
  sql "INSERT INTO users (email, password_hash, full_name) SELECT 'many-' || n || '@example.org', repeat('x', 200), repeat('y', 200) FROM generate_series(1, 200000) AS n"
  file=$(scripts/backup create)
  setsid scripts/backup restore "$file" --replace >/dev/null 2>said 3>&- &
  pid=$!
  wait_until 60 filling
  kill -TERM -- "-$pid"
  wait "$pid" || code=$?
  [[ $code == 143 ]]
  [[ $(sql 'SELECT count(*) FROM pg_database') == 4 ]]
  nobody_fills
  logs_in ada@example.org
}

@test "while a database takes another's place requests are answered, and those that are not are told to come again" {
  local file token n started
  start_site only
  register ada@example.org
  file=$(scripts/backup create)
  token=$(login ada@example.org)
  # shellcheck disable=SC2016
  setsid bash -c 'while true; do curl --silent --max-time 10 --output /dev/null --write-out "%{http_code}\n" "$0/users/me" --header "Authorization: Bearer $1"; sleep 0.02; done >>"$2"' \
    "$BASE" "$token" "$PWD/codes" 2>/dev/null 3>&- &
  writers+=("$!")
  wait_until 20 test -s codes
  started=$(docker inspect --format '{{.State.StartedAt}}' "$(container api)")
  scripts/backup restore "$file" --replace
  # It remembers a key of the database that was there before.
  [[ $(docker inspect --format '{{.State.StartedAt}}' "$(container api)") != "$started" ]]
  n=$(wc -l <codes)
  wait_until 30 more_codes $((n + 10))
  # 000: refused while the service was restarted. Nobody gets a wrong answer.
  run grep -cvE '^(200|503|000)$' codes
  [[ $output == 0 ]]
  [[ $(tail -n 3 codes | sort -u) == 200 ]]
}

more_codes() { (($(wc -l <codes) >= $1)); } # number

@test "a disk that is full, a database that is away and a second backup at once are said, and nothing half made is left" {
  start_site only
  register ada@example.org
  mkdir small && mount -t tmpfs -o size=16k tmpfs small
  refused 73 "cannot be written" scripts/backup create --out small
  run find small -name '*.dump*'
  umount small
  [[ ! $output ]]
  exec 8>small/.lock
  flock 8
  refused 75 "another backup is being made" scripts/backup create --out small
  exec 8>&-
  scripts/backup create --out small
  [[ $(find small -type f | wc -l) == 4 ]]
  scripts/compose stop db
  refused 69 "no database of the deployment" scripts/backup create
  refused 69 "no Docker Engine answers" env DOCKER_HOST=unix:///nowhere scripts/backup create
  refused 69 "no database of the deployment 'another'" scripts/backup restore small/*.dump --into another/app_db
  [[ ! -e backups ]]
}

@test "the commands of the page on backups work as they stand there" {
  local n
  export OTHER_DEPLOYMENT file
  start_site other
  OTHER_DEPLOYMENT=$PROJECT
  start_site only
  register ada@example.org
  [[ $(page_blocks backup.md) == 6 ]]
  run_block backup.md 1
  run_block backup.md 2
  run_block backup.md 3
  run_block backup.md 4
  file=$(scripts/backup list --json | jq -r '.[-1].file')
  run_block backup.md 5
  [[ $(sql 'SELECT count(*) FROM users' looked_at) == 1 ]]
  # The last is for another PostgreSQL: tests/scripts/backup.bats.
  [[ $(page_block backup.md 6) == *DATABASE_URL_FILE=* ]]
}

@test "PostgreSQL goes from 15 to 18 by the commands of the page, and users, passwords, tokens and revocations stay" {
  local token revoked
  export NEW_POSTGRES_IMAGE=$POSTGRES_IMAGE DEPLOYMENT OLD_MAJOR=15
  new_site
  sites+=("$SITE")
  DEPLOYMENT=$PROJECT
  # The release before: of another major version, in a volume of its own.
  cp compose.yaml new-compose.yaml
  sed -i -e 's/POSTGRES_MAJOR: "18"/POSTGRES_MAJOR: "15"/' -e 's#/var/lib/postgresql/18/#/var/lib/postgresql/15/#' -e 's/data_pg18/data_pg15/' compose.yaml
  policy/admit --write-env images.env "POSTGRES_IMAGE=$POSTGRES_OLD_IMAGE"
  scripts/compose up
  [[ $(sql 'SHOW server_version') == 15.* ]]
  register ada@example.org
  register bob@example.org
  token=$(login ada@example.org)
  revoked=$(login bob@example.org)
  scripts/compose run --rm --no-TTY api user revoke bob@example.org
  [[ $(page_blocks postgresql-upgrade.md) == 4 ]]
  run_block postgresql-upgrade.md 1
  run_block postgresql-upgrade.md 2
  cp new-compose.yaml compose.yaml
  run_block postgresql-upgrade.md 3
  [[ $(sql 'SHOW server_version') == 18.* ]]
  me "$token" | jq -e '.email == "ada@example.org"'
  run me "$revoked"
  [[ $output == *401* ]]
  logs_in bob@example.org
  register carol@example.org
  # The old volume is as it was, until somebody ends it.
  docker volume inspect "${PROJECT}_data_pg15"
  run_block postgresql-upgrade.md 4
  run docker volume inspect "${PROJECT}_data_pg15"
  [[ $status != 0 ]]
  logs_in carol@example.org
}
