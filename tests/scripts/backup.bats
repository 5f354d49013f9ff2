#!/usr/bin/env bats
# scripts/backup with DATABASE_URL: any PostgreSQL, by the programs of this machine, as a role that is no superuser.

bats_require_minimum_version 1.5.0

# A password of everything that a URL, a file of passwords or a shell could stumble over.
password='p%41:@s\s/w or"d$(x)'
encoded='p%2541%3A%40s%5Cs%2Fw%20or%22d%24(x)'

setup_file() {
  export CLUSTER COPY PORT
  source "$BATS_TEST_DIRNAME/support.bash"
  make_copy
  for part in project process postgres; do source "$ROOT/scripts/lib/$part.sh"; done
  PG_BIN=$(postgres_find)
  PATH=$PG_BIN:$PATH
  CLUSTER=$COPY/cluster
  postgres_create "$CLUSTER"
  postgres_create_database "$CLUSTER" owner "${password//\'/\'\'}"
  postgres_start "$CLUSTER" fast
  PORT=$(<"$CLUSTER/port")
  export PATH PG_BIN LOCAL=$COPY/.local
  psql --quiet "$(postgres_superuser_url "$CLUSTER")" --command 'ALTER ROLE owner CREATEDB'
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/support.bash"
  for part in log project process network postgres; do source "$ROOT/scripts/lib/$part.sh"; done
  postgres_step_down "$CLUSTER"
  postgres_stop "$CLUSTER" immediate
  remove_copy
}

setup() {
  source "$BATS_TEST_DIRNAME/../refused.bash"
  source "$ROOT/scripts/lib/log.sh"
  source "$ROOT/scripts/lib/network.sh"
  source "$ROOT/scripts/lib/process.sh"
  cd "$BATS_TEST_TMPDIR" || return
  export MINI_API=$BINARY BACKUPS=$PWD/backups
  printf 'postgresql+psycopg2://owner:%s@127.0.0.1:%s/owner\n' "$encoded" "$PORT" >url
  export DATABASE_URL_FILE=$PWD/url
  sql 'SET client_min_messages TO warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public'
  "$BINARY" migrate
  sql "INSERT INTO users (email, password_hash, full_name) SELECT 'u' || n || '@example.org', 'COPY public.users (id) FROM stdin;', E'a\nCOPY x (y) FROM stdin;\n\\\\.\nb' FROM generate_series(1, 50) AS n"
}

backup() { "$COPY/scripts/backup" "$@"; }

# Asks as the role itself.
sql() { PGPASSWORD=$password psql --quiet --no-psqlrc --no-align --tuples-only --set ON_ERROR_STOP=1 --host 127.0.0.1 --port "$PORT" --username owner "${2:-owner}" <<<"$1"; } # sql [database]

@test "what was backed up comes back, row by row, and the manifest tells what is in it" {
  local file
  file=$(backup create)
  jq -e --arg file "${file##*/}" '.file == $file and .rows["public.users"] == 50 and .schema == 1 and (.server | test("^1[4-9]\\.")) and .began <= .ended' "$file.json"
  sql 'SELECT * FROM users ORDER BY id' >before
  sql 'DELETE FROM users WHERE id > 10; UPDATE users SET full_name = $$another$$'
  refused 73 "has 10 users: add --replace" backup restore "$file"
  run --separate-stderr backup restore "$file" --replace
  [[ $status == 0 && $output =~ ^owner_before_[0-9]{17}$ ]]
  sql 'SELECT * FROM users ORDER BY id' >after
  cmp before after
  # The other is kept, and whole.
  [[ $(backup kept) == "$output" && $(sql 'SELECT count(*) FROM users' "$output") == 10 ]]
  backup kept --back "$output"
  [[ $(sql 'SELECT count(*) FROM users') == 10 ]]
  backup kept --drop "$(backup kept)"
  [[ ! $(backup kept) ]]
  refused 66 "no database is kept as 'owner'" backup kept --drop owner
}

@test "rights and settings that stand beside the old database's name are the new one's" {
  local file
  psql --quiet "$(postgres_url)" --command 'DROP ROLE IF EXISTS reader' --command 'CREATE ROLE reader'
  file=$(backup create)
  sql 'REVOKE ALL ON DATABASE owner FROM PUBLIC; GRANT CONNECT ON DATABASE owner TO reader; ALTER DATABASE owner SET search_path TO public, pg_temp'
  sql "ALTER ROLE owner IN DATABASE owner SET statement_timeout TO '77s'"
  sql "SELECT datacl FROM pg_database WHERE datname = 'owner'" >before
  backup restore "$file" --replace
  sql "SELECT datacl FROM pg_database WHERE datname = 'owner'" >after
  cmp before after
  [[ $(sql 'SHOW search_path') == "public, pg_temp" && $(sql 'SHOW statement_timeout') == 77s ]]
  backup kept --drop "$(backup kept)"
  sql 'ALTER DATABASE owner RESET ALL; ALTER ROLE owner IN DATABASE owner RESET ALL; GRANT ALL ON DATABASE owner TO PUBLIC; REVOKE ALL ON DATABASE owner FROM reader'
}

postgres_url() { printf 'postgresql://postgres:%s@127.0.0.1:%s/postgres\n' "$(<"$CLUSTER/password")" "$PORT"; }

@test "the password is in no argument and no environment of the programs that are called" {
  local name
  mkdir spies
  for name in psql pg_dump pg_restore; do
    printf '#!/bin/bash\n{ printf "%%s\\n" "$0" "$@"; env; } >>"%s"\nexec "%s" "$@"\n' "$PWD/seen" "$(command -v "$name")" >"spies/$name"
    chmod +x "spies/$name"
  done
  unset DATABASE_URL_FILE
  DATABASE_URL=$(<url) PATH=$PWD/spies:$PATH backup create
  DATABASE_URL=$(<url) PATH=$PWD/spies:$PATH backup rehearse
  grep -q pg_dump seen
  run grep -cF -e "$password" -e "$encoded" seen
  [[ $output == 0 ]]
  # A way of its own for migrations is not the way to what is rehearsed.
  DATABASE_URL=$(<url) MIGRATE_DATABASE_URL=postgresql://127.0.0.1:1/elsewhere backup rehearse
  # Beside a URL without a password, as the service takes it.
  printf '%s\n' "$password" >password
  DATABASE_URL=postgresql://owner@127.0.0.1:$PORT/owner DB_PASSWORD_FILE=$PWD/password backup create --out others
  DATABASE_URL="postgresql://127.0.0.1:$PORT/owner?user=owner&password=$encoded" backup create --out third
  refused 69 "password authentication failed" env DATABASE_URL="postgresql://owner:wrong@127.0.0.1:$PORT/owner" "$COPY/scripts/backup" create
}

@test "a backup that is encrypted has nothing in clear, and comes back with the key alone" {
  local file
  age-keygen --output key 2>/dev/null
  age-keygen -y key >recipients
  file=$(backup create --encrypt-to recipients)
  [[ $file == *.dump.age ]]
  run grep -c PGDMP "$file"
  [[ $output == 0 ]]
  jq -e '.encrypted and .rows["public.users"] == 50' "$file.json"
  refused 64 "is encrypted: --identity" backup rehearse
  backup rehearse --identity key
  age-keygen --output other 2>/dev/null
  refused 65 "no identity matched" backup rehearse --identity other
  sql 'DELETE FROM users'
  backup restore "$file" --identity key
  [[ $(sql 'SELECT count(*) FROM users') == 50 ]]
  refused 66 "the recipients' file" backup create --encrypt-to nowhere
}

@test "only the newest whole ones stay, and what is damaged is neither counted nor removed" {
  local file files=()
  for _ in 1 2 3 4; do
    file=$(backup create)
    files+=("$file")
  done
  truncate --size=10 "${files[3]}"
  run --separate-stderr backup prune --keep 2 --dry-run
  [[ $status == 0 && $output == "${files[0]}" && $stderr == *"${files[3]} is damaged"* && -e ${files[0]} ]]
  run --separate-stderr backup prune --keep 2
  [[ $output == "${files[0]}" ]]
  [[ $(backup list --json | jq -c 'map(.state)') == '["whole","whole","damaged"]' ]]
  [[ $(find backups -name "${files[0]##*/}*" | wc -l) == 0 ]]
  # The rehearsal takes the newest that is whole.
  run --separate-stderr backup rehearse
  [[ $status == 0 && $stderr == *"of $(jq -r .began "${files[2]}.json")"* ]]
  refused 64 "how many stay" backup prune --keep 0
}

@test "what cannot be is said in one sentence" {
  local file other
  file=$(backup create)
  psql --quiet "$(postgres_url)" --command 'ALTER ROLE owner NOCREATEDB'
  refused 77 "the role needs CREATEDB" backup rehearse
  psql --quiet "$(postgres_url)" --command 'ALTER ROLE owner CREATEDB'
  # Somebody whom the role may not send away is connected.
  psql "$(postgres_url | sed 's|/postgres$|/owner|')" --command 'SELECT pg_sleep(60)' >/dev/null 2>&1 3>&- &
  other=$!
  wait_until 20 somebody_sleeps
  refused 69 "nothing was changed; stop whoever is connected" backup restore "$file" --replace
  kill "$other"
  [[ $(sql "SELECT count(*) FROM pg_database WHERE datname LIKE 'owner%'") == 1 && $(sql 'SELECT count(*) FROM users') == 50 ]]
  MINI_API=/bin/false refused 65 "does not take the restored schema" backup restore "$file" --replace
  sql 'DROP TABLE users'
  refused 65 "has no table users" backup create --out none
  [[ ! $(find none -name '*.dump*') ]]
  refused 69 "does not answer" env DATABASE_URL=postgresql://owner@127.0.0.1:1/owner DATABASE_URL_FILE= "$COPY/scripts/backup" create
  refused 78 "is no URL" env DATABASE_URL=mysql://a@b/c DATABASE_URL_FILE= "$COPY/scripts/backup" create
  refused 78 "both set" env DATABASE_URL=postgresql://a@b/c "$COPY/scripts/backup" create
  refused 66 "cannot be read" env DATABASE_URL_FILE=/nowhere "$COPY/scripts/backup" create
  refused 64 "is no name of a database" backup restore "$file" --into 'a b'
  refused 64 "unknown option '--replace'" backup create --replace
  refused 64 "unknown verb" backup crate
  refused 64 "which verb" backup
  refused 64 "wants a value" backup create --out
  refused 66 "there is no backup in" backup rehearse --out nowhere
}

somebody_sleeps() { [[ $(psql --tuples-only "$(postgres_url)" --command "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == *1 ]]; }

@test "the commands of the page for another PostgreSQL work as they stand there" {
  local commands
  commands=$(awk '/^```bash$/ { inside = 1; text = ""; next } /^```$/ { if (inside && text ~ /DATABASE_URL_FILE/) printf "%s", text; inside = 0 } inside { text = text $0 "\n" }' "$ROOT/docs/runbooks/backup.md")
  [[ $commands == *rehearse* ]]
  cd "$COPY" || return
  run bash -euo pipefail -c "${commands//\/run\/secrets\/owner_url/$DATABASE_URL_FILE}"
  [[ $status == 0 && $output == *"the backup can be restored"* ]]
}
