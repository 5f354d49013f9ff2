# shellcheck shell=bash
# One database takes the place of another: two renames in one transaction, so that there is always exactly one by that name.

# Gives a new database what rights and settings stand beside the old one's name, not in it.
backup_inherit() { # old new
  database_admin_sql "old=$1" "new=$2" >/dev/null <<'SQL'
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'new') FROM pg_database WHERE datname = :'old' AND datacl IS NOT NULL \gexec
SELECT format('GRANT %s ON DATABASE %I TO %s', privilege_type, :'new', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
  || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
FROM pg_database, aclexplode(datacl) WHERE datname = :'old' AND grantee <> datdba \gexec
-- Taken over as they are now: a list of words must not be quoted as one.
SELECT format('SELECT set_config(%L, %L, false)', split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)),
  CASE setrole WHEN 0 THEN format('ALTER DATABASE %I', :'new') ELSE format('ALTER ROLE %s IN DATABASE %I', setrole::regrole, :'new') END
  || format(' SET %s FROM CURRENT', split_part(setting, '=', 1))
FROM pg_db_role_setting JOIN pg_database AS d ON d.oid = setdatabase, unnest(setconfig) AS setting WHERE datname = :'old' \gexec
SQL
}

# Puts NEW into the place of the database; the old one is called KEPT from then on. Where there is none, NEW gets its name.
backup_swap() { # new kept
  local log=$TEMPORARY/log pid there code=0
  there=$(database_admin_sql "name=$DATABASE_NAME" <<<"SELECT count(*) FROM pg_database WHERE datname = :'name';")
  if [[ $there == 0 ]]; then
    database_admin_sql "new=$1" "name=$DATABASE_NAME" >/dev/null <<<'ALTER DATABASE :"new" RENAME TO :"name";'
    return
  fi
  backup_inherit "$DATABASE_NAME" "$1" 2>"$log" ||
    fail 77 "the rights of $DATABASE_NAME cannot be given to what was restored: $(database_why "$log"); nothing was changed"
  # A rename locks the name and then waits five seconds for those who are connected. Meanwhile they are sent away, again and
  # again; whoever comes anew waits for the lock, and finds the new database behind the name.
  database_admin_sql "name=$DATABASE_NAME" "new=$1" >/dev/null 2>&1 <<'SQL' &
SELECT set_config('backup.old', oid::text, false), set_config('backup.new', :'new', false) FROM pg_database WHERE datname = :'name';
DO $$
BEGIN
  FOR i IN 1 .. 300 LOOP
    PERFORM pg_stat_clear_snapshot();
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datid = current_setting('backup.old')::oid;
    EXIT WHEN NOT EXISTS (SELECT FROM pg_database WHERE datname = current_setting('backup.new'));
    PERFORM pg_sleep(0.02);
  END LOOP;
END
$$;
SQL
  pid=$!
  database_admin_sql "name=$DATABASE_NAME" "new=$1" "kept=$2" >/dev/null 2>"$log" <<'SQL' || code=$?
BEGIN;
ALTER DATABASE :"name" RENAME TO :"kept";
ALTER DATABASE :"new" RENAME TO :"name";
COMMIT;
SQL
  wait "$pid" || true
  ((code == 0)) ||
    fail 69 "$DATABASE_NAME could not be renamed: $(database_why "$log"); nothing was changed; stop whoever is connected, and try again"
}

# Tells of the database that was in the place before; one without users is worth nothing.
backup_former() { # kept users
  if [[ $2 == 0 ]]; then
    backup_drop "$1"
  else
    say "the one before is kept as $1: scripts/backup kept --back $1 undoes this, scripts/backup kept --drop $1 ends it"
    printf '%s\n' "$1"
  fi
}

# Restarts those who use the database: what they remember of it is another one's.
backup_restart() {
  local containers
  if [[ ! $DATABASE_CONTAINER ]]; then
    say "restart the service: it remembers a key of the database that was there before"
    return
  fi
  mapfile -t containers < <(database_neighbours "$DATABASE_PROJECT" | xargs --no-run-if-empty docker inspect |
    jq -r '.[] | select(any(.Config.Env[]?; startswith("DB_HOST="))) | .Name | ltrimstr("/")')
  ((${#containers[@]})) || return 0
  docker restart "${containers[@]}" >/dev/null ||
    fail 69 "the database is in its place, but ${containers[*]} did not restart: docker restart ${containers[*]}"
  say "restarted ${containers[*]}"
}

# Puts a kept database back; the one in use is kept in its turn.
backup_back() { # kept
  local kept users
  grep -qxF -- "$1" < <(backup_named before) || fail 66 "no database is kept as '$1': scripts/backup kept shows those that are"
  users=$(backup_users "$DATABASE_NAME")
  kept=$(backup_beside before)
  backup_swap "$1" "$kept"
  say "$DATABASE_NAME of $DATABASE_WHERE is again what $1 was"
  backup_former "$kept" "${users:-0}"
  backup_restart
}

# Ends a kept database for good.
backup_forget() { # kept
  grep -qxF -- "$1" < <(backup_named before) || fail 66 "no database is kept as '$1': scripts/backup kept shows those that are"
  backup_drop "$1"
  ! grep -qxF -- "$1" < <(backup_named before) || fail 77 "$1 could not be dropped: the role may not"
}
