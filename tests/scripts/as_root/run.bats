#!/usr/bin/env bats
# What scripts/run promises root, whom PostgreSQL refuses.

setup() {
  load ../support
  make_copy
}

teardown() { remove_copy; }

@test "below a folder closed to all but root, PostgreSQL still runs as somebody else" {
  chmod 0700 "$COPY"
  start_run
  local server owner
  server=$(head -n 1 "$COPY/.local/postgres/data/postmaster.pid")
  owner=$(stat -c %U "/proc/$server")
  [ "$owner" != root ]
  [ "$(post /auth/register '{"email":"ada@example.org","password":"correct horse battery"}')" = 201 ]
  end_run INT
  [ "$(processes_of_copy)" = "" ]
}

@test "in an open folder that somebody else has no rights beside his own" {
  start_run
  local server
  server=$(head -n 1 "$COPY/.local/postgres/data/postmaster.pid")
  grep -qE '^CapEff:\s+0+$' "/proc/$server/status"
  end_run INT
}
