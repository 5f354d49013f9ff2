# shellcheck shell=bash
# shellcheck disable=SC2034  # what it finds is read by callers
# The service's database as an operator reaches it: in its container, over the socket, as the superuser; or, where DATABASE_URL
# or DATABASE_URL_FILE is set, anywhere, by the PostgreSQL programs of this machine. A password is never an argument.
# Needs compose.sh, and TEMPORARY: a folder for what is only ours.

# Where it is, for people; its name; the role that owns what is in it (empty: whoever connects). The deployment and its container, or
# the URL without its password: before the database's name, and after it.
DATABASE_WHERE='' DATABASE_NAME='' DATABASE_OWNER='' DATABASE_PROJECT='' DATABASE_CONTAINER='' DATABASE_URL_BEFORE='' DATABASE_URL_AFTER=''
# PostgreSQL's own databases, from which others are made and renamed.
database_maintenance=postgres
# Our sessions are called so: what is left of them can be found and ended.
DATABASE_SESSION=mini-api-$$

# Finds the database: of this deployment, of another one on this engine (PROJECT/DATABASE), or another one of the same server.
database_open() { # [[PROJECT/]DATABASE]
  local url
  url=$(database_url)
  case ${1:-} in
    */*) database_in_container "${1%%/*}" "${1#*/}" ;;
    *)
      if [[ $url ]]; then
        database_at "$url" "${1:-}"
      else
        database_in_container "$(compose_setting COMPOSE_PROJECT_NAME mini-api)" "${1:-}"
      fi
      ;;
  esac
  # What PostgreSQL's programs would take for a way to connect, or could not name with a word behind it.
  [[ $DATABASE_NAME =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$ ]] ||
    fail 64 "'$DATABASE_NAME' is no name of a database: letters, digits, '_', '-' and '.'"
}

# Prints the URL that was set, if one was.
database_url() {
  [[ ! ${DATABASE_URL:-} || ! ${DATABASE_URL_FILE:-} ]] || fail 78 "DATABASE_URL and DATABASE_URL_FILE are both set: keep one"
  if [[ ${DATABASE_URL_FILE:-} ]]; then
    [[ -r $DATABASE_URL_FILE ]] || fail 66 "the file $DATABASE_URL_FILE of DATABASE_URL_FILE cannot be read"
    tr -d '\r\n' <"$DATABASE_URL_FILE"
  else
    printf '%s' "${DATABASE_URL:-}"
  fi
}

# Prints the ids of a deployment's containers that run; more filters, or --all, may follow.
database_neighbours() { # project words…
  local project=$1
  shift
  timeout 8 docker ps --quiet --filter "label=com.docker.compose.project=$project" "$@"
}

# The container of a deployment's service db; the owner and the name it was made with stand in its environment.
database_in_container() { # project [database]
  local setting
  command -v docker >/dev/null ||
    fail 69 "there is no docker command, and no DATABASE_URL: install Docker Engine, or say where the database is"
  DATABASE_CONTAINER=$(database_neighbours "$1" --filter label=com.docker.compose.service=db 2>/dev/null) ||
    fail 69 "no Docker Engine answers at ${DOCKER_HOST:-/run/docker.sock}: systemctl start docker"
  DATABASE_CONTAINER=${DATABASE_CONTAINER%%$'\n'*}
  [[ $DATABASE_CONTAINER ]] || fail 69 "no database of the deployment '$1' is running here: scripts/compose up starts it"
  while IFS= read -r setting; do
    case $setting in
      DB_USER=*) DATABASE_OWNER=${setting#*=} ;;
      DB_NAME=*) DATABASE_NAME=${setting#*=} ;;
    esac
  done < <(docker inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$DATABASE_CONTAINER")
  DATABASE_NAME=${2:-$DATABASE_NAME} DATABASE_PROJECT=$1 DATABASE_WHERE="the deployment $1"
}

# A server by its URL: the password goes to a file that only we can read, the rest is no secret.
database_at() { # url [database]
  local rest=${1#*://} query='' user='' password='' part kept=()
  [[ $1 =~ ^postgres(ql)?(\+[a-z0-9]+)?://. ]] || fail 78 "DATABASE_URL is no URL of PostgreSQL: postgresql://USER:PASSWORD@HOST:PORT/NAME"
  [[ $rest != *\?* ]] || query=${rest#*\?} rest=${rest%%\?*}
  if [[ $rest == *@* ]]; then
    user=${rest%@*} rest=${rest##*@}
    [[ $user != *:* ]] || password=$(database_decoded "${user#*:}") user=${user%%:*}
  fi
  if [[ $rest == */* ]]; then DATABASE_NAME=$(database_decoded "${rest#*/}") rest=${rest%%/*}; fi
  while IFS= read -r -d '&' part; do
    case $part in
      '') ;;
      password=*) password=$(database_decoded "${part#*=}") ;;
      dbname=*) DATABASE_NAME=$(database_decoded "${part#*=}") ;;
      *) kept+=("$part") ;;
    esac
  done <<<"$query&"
  DATABASE_URL_BEFORE="postgresql://${user:+$user@}$rest/" DATABASE_URL_AFTER=$(IFS='&' && echo "${kept[*]:+?${kept[*]}}")
  [[ $password ]] || password=$(database_password)
  if [[ $password ]]; then
    (umask 077 && printf '%s' "$password" >"$TEMPORARY/password" &&
      sed -e 's/[\\:]/\\&/g' -e 's/^/*:*:*:*:/' <<<"$password" >"$TEMPORARY/pgpass") ||
      fail 73 "$TEMPORARY cannot be written"
    export PGPASSFILE=$TEMPORARY/pgpass
  fi
  # Of several servers the one that is written to, as the service chooses.
  [[ $rest != *,* ]] || export PGTARGETSESSIONATTRS=read-write
  # Programs started later shall neither show it in their environment nor go elsewhere.
  unset DATABASE_URL DATABASE_URL_FILE DB_PASSWORD DB_PASSWORD_FILE PGPASSWORD MIGRATE_DATABASE_URL MIGRATE_DATABASE_URL_FILE
  [[ ! ${DB_SSLMODE:-} ]] || export PGSSLMODE=$DB_SSLMODE
  [[ ! ${DB_CA_FILE:-} ]] || export PGSSLROOTCERT=$DB_CA_FILE
  DATABASE_NAME=${2:-${DATABASE_NAME:-$user}} DATABASE_WHERE="the server ${rest:-of this machine}"
}

# Prints the password that stands beside a URL without one.
database_password() {
  if [[ ${DB_PASSWORD_FILE:-} ]]; then
    [[ -r $DB_PASSWORD_FILE ]] || fail 66 "the file $DB_PASSWORD_FILE of DB_PASSWORD_FILE cannot be read"
    tr -d '\r\n' <"$DB_PASSWORD_FILE"
  else
    printf '%s' "${DB_PASSWORD:-${PGPASSWORD:-}}"
  fi
}

# Prints a part of a URL as it is meant; what only looks encoded stays.
database_decoded() { # text
  local rest=$1 out=''
  while [[ $rest == *%* ]]; do
    out+=${rest%%\%*} rest=${rest#*%}
    if [[ $rest =~ ^[0-9A-Fa-f]{2} ]]; then
      out+=$(printf '%b_' "\\x${rest:0:2}") out=${out%_} rest=${rest:2}
    else
      out+=%
    fi
  done
  printf '%s' "$out$rest"
}

# Runs one of PostgreSQL's programs on a database, deaf to the locks of the caller's.
database_program() { # database program arguments…
  local name=$1 program=$2
  shift 2
  if [[ $DATABASE_CONTAINER ]]; then
    database_tool "$program" --dbname="$name" "$@"
  else
    PGAPPNAME=$DATABASE_SESSION PGCONNECT_TIMEOUT=10 database_tool "$program" --dbname="$DATABASE_URL_BEFORE$name$DATABASE_URL_AFTER" "$@"
  fi
}

# Runs one of PostgreSQL's programs where they are, without a database. Images keep them in different places.
database_tool() { # program arguments…
  if [[ $DATABASE_CONTAINER ]]; then
    # shellcheck disable=SC2016  # the container's own variables
    docker exec --interactive --env "PGAPPNAME=$DATABASE_SESSION" --env PGCONNECT_TIMEOUT=10 "$DATABASE_CONTAINER" /bin/sh -c \
      'PATH=/usr/lib/postgresql/$POSTGRES_MAJOR/bin:/usr/local/pgsql/bin:$PATH; exec "$@"' sh "$@"
  else
    command -v "$1" >/dev/null || fail 69 "$1 is missing: install PostgreSQL's client programs, of the server's version or newer"
    "$@"
  fi
}

# Runs SQL from standard input and prints what it answers, fields apart by tabs. Words NAME=VALUE are variables: :'NAME', :"NAME".
database_sql() { # database [NAME=VALUE]…
  local name=$1 word words=()
  shift
  for word in "$@"; do words+=(--set "$word"); done
  database_program "$name" psql --no-psqlrc --quiet --tuples-only --no-align --field-separator=$'\t' --set ON_ERROR_STOP=1 "${words[@]}"
}

# The same on the database from which others are made.
database_admin_sql() { database_sql "$database_maintenance" "$@"; } # [NAME=VALUE]…

# Prints what a failed program said, as the end of a sentence.
database_why() { # file
  local why
  why=$(awk 'NF { last = $0 } /ERROR|FATAL|error|fatal|mismatch|failed/ { exit } END { print last }' "$1")
  printf '%s' "${why:-it gave no reason}"
}

# Ends sessions of ours that outlived their programs, such as in a container whose visitor was interrupted.
database_leave() {
  [[ $DATABASE_WHERE ]] || return 0
  database_admin_sql "session=$DATABASE_SESSION" >/dev/null 2>&1 <<'SQL' || true
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :'session' AND pid <> pg_backend_pid();
SQL
}
