# shellcheck shell=bash
# The database: it answers, has connections and room left, and the schema of this release.

# Prints "STATE HEALTH NAME" of the database's container; nothing when there is none.
database_container() {
  database_neighbours "$(compose_setting COMPOSE_PROJECT_NAME mini-api)" --all --filter label=com.docker.compose.service=db |
    xargs --no-run-if-empty docker inspect |
    jq -r 'sort_by(.State.Status != "running")[0] // empty | "\(.State.Status) \(.State.Health.Status // "-") \(.Name | ltrimstr("/"))"'
}

doctor_database() {
  local state health name
  if [[ ! ${DATABASE_URL:-}${DATABASE_URL_FILE:-} ]]; then
    read -r state health name < <(database_container) || true
    if [[ ! ${state:-} ]]; then
      # Nothing runs yet, or everything but this.
      database_neighbours "$(compose_setting COMPOSE_PROJECT_NAME mini-api)" >"$TEMPORARY/ids" 2>/dev/null || fail 69 "no engine answers"
      if [[ -s $TEMPORARY/ids ]]; then
        row database bad "other containers run, and the database has none" "scripts/compose up" 69
      else
        row database warning "nothing runs here yet" "scripts/compose up"
      fi
      return
    fi
    if [[ $state != running || $health != healthy ]]; then
      row database bad "$name is $state${health/#/, }" "scripts/compose logs --tail 20 db, then scripts/compose up" 69
      return
    fi
  fi
  database_look
}

# Asks it what it is and has.
database_look() {
  local version left limit there epoch before=$EPOCHSECONDS
  (database_open) 2>"$TEMPORARY/why" || {
    row database bad "$(sed 's/^[^:]*: //' "$TEMPORARY/why" | tail -n 1)" "scripts/compose ps" 69
    return
  }
  database_open
  if ! database_sql "$DATABASE_NAME" >"$TEMPORARY/answer" 2>"$TEMPORARY/why" <<'SQL'
SELECT current_setting('server_version'), current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
  - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
  current_setting('max_connections'), to_regclass('public.refinery_schema_history') IS NOT NULL,
  floor(extract(epoch FROM clock_timestamp()));
SQL
  then
    row database bad "$DATABASE_NAME of $DATABASE_WHERE does not answer: $(database_why "$TEMPORARY/why")" \
      "scripts/compose logs --tail 20 db" 69
    return
  fi
  IFS=$'\t' read -r version left limit there epoch <"$TEMPORARY/answer"
  row database ok "PostgreSQL $version at $DATABASE_WHERE answers"
  if ((left <= 0)); then
    row connections bad "all $limit connections are taken" "scripts/compose restart api, and docs/postgresql.md on how many" 69
  elif ((left < limit / 10)); then
    row connections warning "$left of $limit connections are left" "less docs/postgresql.md"
  else
    row connections ok "$left of $limit connections are left"
  fi
  if ((epoch >= before - 1 && epoch <= EPOCHSECONDS + 1)); then epoch=$EPOCHSECONDS; fi
  row_clock clock-database "the database" $((epoch - EPOCHSECONDS))
  database_schema "$there"
  [[ ! $DATABASE_CONTAINER ]] || database_disk
}

# Compares the schema with the migrations that lie here.
database_schema() { # t|f
  local has=0 wanted
  [[ $1 == f ]] || has=$(database_sql "$DATABASE_NAME" <<<'SELECT coalesce(max(version), 0) FROM public.refinery_schema_history;')
  wanted=$(find "$ROOT/migrations" -name 'V*__*.sql' 2>/dev/null | sed -E 's|.*/V([0-9]+)__.*|\1|' | sort -n | tail -n 1)
  if ((has < ${wanted:-1})); then
    row schema bad "the schema is at version $has, and this release wants ${wanted:-one}" "scripts/compose run --rm migrate" 78
  elif ((has > ${wanted:-has})); then
    row schema warning "the schema is at version $has, and this release knows ${wanted}" \
      "scripts/compose run --rm migrate says whether both fit"
  else
    row schema ok "the schema is at version $has"
  fi
}

# Looks at the room where the database lies, as the database sees it.
database_disk() {
  local free percent
  # shellcheck disable=SC2016  # the container's own variable
  read -r free percent < <(docker exec "$DATABASE_CONTAINER" /bin/sh -c 'df -Pk "$PGDATA"' |
    awk 'NR == 2 { print $4, ($3 + $4 ? int($4 * 100 / ($3 + $4)) : 0) }')
  if ((free < 131072)); then
    row disk-database bad "the database's volume has $(size "$free") left" "less docs/runbooks/disk.md" 73
  elif ((percent < 10 && free < 10485760)); then
    row disk-database warning "the database's volume has $(size "$free") left, $percent %" "less docs/runbooks/disk.md"
  else
    row disk-database ok "the database's volume has $(size "$free") left, $percent %"
  fi
}
