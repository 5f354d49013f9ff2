# shellcheck shell=bash
# shellcheck disable=SC2034  # BESIDE is for the caller's trap
# Restoring: into a new database beside the one in use, which is looked at and migrated there, and then takes its place in one
# transaction of two renames. Until then nothing of the old one is touched, and afterwards it is kept.

# The major version of the server, once backup_fits has asked.
SERVER_MAJOR=0

# What is there when a restore is stopped midway, and what it keeps: NAME with a word and the time behind it.
backup_beside() { printf '%.28s_%s_%s\n' "$DATABASE_NAME" "$1" "$(date -u +%Y%m%d%H%M%S%3N)"; } # word

# Prints the databases that are called so, oldest first.
backup_named() { # word
  database_admin_sql "prefix=$(printf '%.28s_%s_' "$DATABASE_NAME" "$1")" <<'SQL'
SELECT datname FROM pg_database WHERE starts_with(datname, :'prefix') AND substr(datname, length(:'prefix') + 1) ~ '^[0-9]{17}$' ORDER BY 1;
SQL
}

# Prints how many users a database has; nothing when there is no such database or table.
backup_users() { # database
  local there
  there=$(database_admin_sql "name=$1" <<<"SELECT count(*) FROM pg_database WHERE datname = :'name';") || return
  [[ $there == 1 ]] || return 0
  # The table is looked for first: a statement about one that is not there would fail.
  database_sql "$1" <<'SQL'
SELECT CASE WHEN to_regclass('public.users') IS NULL THEN '' ELSE 'SELECT count(*) FROM public.users' END \gexec
SQL
}

# Fails unless the server can take this backup.
backup_fits() { # file
  local server=0 maker free need why=$TEMPORARY/log
  server=$(database_admin_sql 2>"$why" <<<"SELECT current_setting('server_version_num')::int / 10000;") ||
    fail 69 "$DATABASE_WHERE does not answer: $(database_why "$why"); scripts/doctor tells more"
  maker=$(jq -r '.server | split(".")[0]' "$1.json")
  SERVER_MAJOR=$server
  ((server >= maker)) || fail 65 "the backup is of PostgreSQL $maker, and $DATABASE_WHERE runs $server: restore it into $maker or newer"
  [[ $DATABASE_CONTAINER ]] || return 0
  # shellcheck disable=SC2016  # the container's own variable
  free=$(docker exec "$DATABASE_CONTAINER" /bin/sh -c 'df -Pk "$PGDATA"' | awk 'NR == 2 { print $4 }')
  need=$(jq '(.database_bytes // 0) * 1.2 / 1024 | floor' "$1.json")
  ((free >= need)) ||
    fail 73 "the disk of $DATABASE_WHERE has $((free / 1024)) MiB left, and $((need / 1024)) are wanted: docs/runbooks/disk.md"
}

# True when pg_restore went to the end, and complained of nothing but a setting that it makes since 17, and older servers do not know.
backup_grumbled() { # log
  local complaints strange
  complaints=$(sed -nE 's/^pg_restore: warning: errors ignored on restore: ([0-9]+)$/\1/p' "$1")
  strange=$(grep '^pg_restore: error:' "$1" | grep -cv 'unrecognized configuration parameter "transaction_timeout"' || true)
  [[ $complaints == 1 && $strange == 0 ]]
}

# Makes the new database and fills it.
backup_fill() { # file identity new
  local log=$TEMPORARY/log code=0 words=()
  [[ ! $DATABASE_OWNER ]] || words=(--role="$DATABASE_OWNER")
  ((SERVER_MAJOR < 17)) || words+=(--single-transaction --exit-on-error)
  database_admin_sql "new=$3" "owner=$DATABASE_OWNER" >/dev/null 2>"$log" <<'SQL' || code=$?
SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING ''UTF8''', :'new')
  || CASE WHEN :'owner' = '' THEN '' ELSE format(' OWNER %I', :'owner') END \gexec
SQL
  ((code == 0)) || fail 77 "no database can be made at $DATABASE_WHERE: $(database_why "$log"); the role needs CREATEDB"
  BESIDE=$3
  backup_open "$1" "$2" 2>"$TEMPORARY/open.log" | database_program "$3" pg_restore --no-owner "${words[@]}" >&2 2>"$log" || code=$?
  # What cannot be read is the cause of what then cannot be restored.
  if ((code != 0)) && [[ -s $TEMPORARY/open.log ]]; then log=$TEMPORARY/open.log; fi
  ((code == 0)) || backup_grumbled "$log" || fail 65 "the backup cannot be restored: $(database_why "$log"); nothing was changed"
  backup_compare "$1" "$3"
}

# Fails unless each table has as many rows as the manifest says.
backup_compare() { # file database
  local counted=$TEMPORARY/counted code=0
  database_sql "$2" "rows=$(jq -c .rows "$1.json")" >"$counted" 2>"$TEMPORARY/log" <<'SQL' || code=$?
SELECT format('SELECT %L, count(*) FROM %s', name, name::regclass) FROM json_object_keys(:'rows'::json) AS name \gexec
SQL
  ((code == 0)) || fail 65 "what was restored cannot be counted: $(database_why "$TEMPORARY/log"); nothing was changed"
  [[ $(jq -Rn '[inputs | split("\t") | {(.[0]): (.[1] | tonumber)}] | add // {}' "$counted" | jq -cS .) == "$(jq -cS .rows "$1.json")" ]] ||
    fail 65 "what was restored has other numbers of rows than the manifest says; nothing was changed"
}

# Runs Compose on the deployment whose database this is, as its containers say it was started.
backup_compose() { # arguments…
  local project folder files environments word words=() unset=()
  IFS=$'\t' read -r project folder files environments < <(docker inspect --format '{{json .Config.Labels}}' "$DATABASE_CONTAINER" |
    jq -r '[.["com.docker.compose.project" + ("", ".working_dir", ".config_files", ".environment_file")] // "-"] | @tsv')
  while IFS= read -r word; do words+=(--file "$word"); done < <(tr ',' '\n' <<<"$files")
  while IFS= read -r word; do words+=(--env-file "$word"); done < <(tr ',' '\n' <<<"$environments" | grep -vx -e -)
  # Images are those of the files, whatever this shell has.
  while IFS= read -r word; do unset+=(-u "$word"); done < <(compgen -e | grep '_IMAGE$' || true)
  env "${unset[@]}" docker compose --project-name "$project" --project-directory "$folder" "${words[@]}" "$@"
}

# Brings the restored schema up to date by the binary that will serve it, which refuses one that is of a newer release.
backup_migrate() { # database
  local log=$TEMPORARY/log binary services code=0
  if [[ $DATABASE_CONTAINER ]]; then
    services=$(backup_compose config --services 2>"$log") ||
      fail 69 "Compose does not take the files that $DATABASE_WHERE was started from: $(database_why "$log"); nothing was changed"
    if ! grep -qx migrate <<<"$services"; then
      say "this deployment has no service migrate: whether the service can live with the schema is not known"
      return
    fi
    backup_compose run --rm --no-deps --no-TTY --quiet-pull --env "DB_NAME=$1" migrate >"$log" 2>&1 </dev/null || code=$?
  else
    binary=${MINI_API:-$(command -v mini-api || echo "$ROOT/dist/mini-api")}
    [[ -x $binary ]] || {
      say "there is no mini-api on this machine (MINI_API names it): run mini-api migrate before the service is started again"
      return
    }
    env DATABASE_URL="$DATABASE_URL_BEFORE$1$DATABASE_URL_AFTER" ${PGPASSFILE:+DB_PASSWORD_FILE="$TEMPORARY/password"} \
      "$binary" migrate >"$log" 2>&1 </dev/null || code=$?
  fi
  ((code == 0)) || fail 65 "mini-api migrate does not take the restored schema: $(database_why "$log"); nothing was changed"
}

# Ends the restore of a database that is not to be kept, or was stopped.
backup_drop() { # database
  database_admin_sql "name=$1" >/dev/null 2>&1 <<<'DROP DATABASE IF EXISTS :"name" WITH (FORCE);' || true
}

# Drops what restores left that were killed.
backup_sweep() {
  local name names
  mapfile -t names < <(backup_named restoring)
  for name in "${names[@]}"; do backup_drop "$name"; done
}

# Restores a file. `rehearse` drops the result instead of putting it into its place.
backup_restore() { # file identity replace rehearse
  local file=$1 new kept users
  backup_check "$file"
  [[ $file != *.age || $2 ]] || fail 64 "$file is encrypted: --identity FILE names the key"
  mkdir -p "$LOCAL/locks" || fail 73 "$LOCAL/locks cannot be made"
  exec 7>"$LOCAL/locks/restore" || fail 73 "$LOCAL/locks cannot be written"
  flock --nonblock 7 || fail 75 "another restore is at work on this machine: wait until it has ended"
  backup_fits "$file"
  users=$(backup_users "$DATABASE_NAME" 2>"$TEMPORARY/log") ||
    fail 69 "$DATABASE_NAME of $DATABASE_WHERE does not answer: $(database_why "$TEMPORARY/log")"
  if [[ ! $4 && ! $3 && ${users:-0} != 0 ]]; then
    fail 73 "$DATABASE_NAME of $DATABASE_WHERE has $users users: add --replace (the old database is kept beside it), or --into another"
  fi
  backup_sweep
  new=$(backup_beside restoring)
  say "restoring $(jq -r '"\(.rows["public.users"]) users of \(.began)"' "$file.json") into $new beside $DATABASE_NAME of $DATABASE_WHERE"
  backup_fill "$file" "$2" "$new"
  backup_migrate "$new"
  if [[ $4 ]]; then
    backup_drop "$new"
    BESIDE=''
    say "the backup can be restored: all rows came back, and the schema is this release's; nothing was changed"
    return
  fi
  kept=$(backup_beside before)
  backup_swap "$new" "$kept"
  BESIDE=''
  say "$DATABASE_NAME of $DATABASE_WHERE is the backup of $(jq -r .began "$file.json")"
  backup_former "$kept" "${users:-0}"
  # Where there were no tables nobody was served.
  [[ ! $users ]] || backup_restart
}
