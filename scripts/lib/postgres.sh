# shellcheck shell=bash
# A private PostgreSQL cluster: made, started and stopped without touching any other on the machine.
# Callers set PG_BIN (postgres_find) and then speak of a cluster by its folder:
#   FOLDER/data      the cluster        FOLDER/log       what the server said
#   FOLDER/password  of the superuser   FOLDER/port      where it listens on 127.0.0.1 while it runs

# Where PostgreSQL programs may lie.
POSTGRES_FOLDERS=("$TOOLS"/postgres/bin /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/bin /usr/bin)

# Prints the folder of the newest PostgreSQL programs that this machine or .tools has; for a cluster that is there already,
# of those of its own major version where they are.
# shellcheck disable=SC2120
postgres_find() { # [folder]
  local folder best='' version newest=0 own=''
  if [[ ${1:-} && -s $1/data/PG_VERSION ]]; then own=$(<"$1/data/PG_VERSION"); fi
  for folder in "${POSTGRES_FOLDERS[@]}"; do
    [[ -x $folder/postgres && -x $folder/initdb && -x $folder/pg_ctl ]] || continue
    version=$(postgres_major "$folder") || continue
    if [[ $version == "$own" ]]; then
      echo "$folder"
      return
    fi
    ((version > newest)) && newest=$version best=$folder
  done
  [[ $best ]] && echo "$best"
}

# Prints the major version of the programs in a folder.
postgres_major() { # folder
  "$1/postgres" --version | sed -nE 's/^postgres \(PostgreSQL\) ([0-9]+).*/\1/p'
}

# Chooses who runs the server: PostgreSQL refuses root, so root steps down to a user that owns nothing else.
# Fills PG_AS, the words put before each of its programs.
postgres_step_down() { # folder
  PG_AS=() PG_USER=$(id -un)
  ((EUID == 0)) || return 0
  need setpriv "install util-linux"
  local user
  for user in postgres nobody; do
    id -u "$user" >/dev/null 2>&1 && break
  done
  PG_USER=$user PG_AS=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
  postgres_reaches "$1" && return 0
  # Below a closed folder such as root's home: that user keeps the right to walk through it, which is also one to read files.
  PG_AS+=("--inh-caps=-all,+dac_read_search" "--ambient-caps=-all,+dac_read_search")
  postgres_reaches "$1" && return 0
  die "PostgreSQL must not run as root, and the user '$user' may not enter $1: move the project below a folder open to all, or set DATABASE_URL"
}

# True when the stepped-down user can run the programs and enter the cluster's folder.
postgres_reaches() { # folder
  # Not `test -x`: access(2) leaves capabilities out of account.
  (cd / && "${PG_AS[@]}" "$PG_BIN/postgres" --version && "${PG_AS[@]}" stat "$1/.") >/dev/null 2>&1
}

# Runs one of PostgreSQL's programs as the cluster's user, deaf to the locks and folders of the caller.
postgres_program() { # program arguments…
  local program=$1
  shift
  (cd / && exec "${PG_AS[@]}" "$PG_BIN/$program" "$@" 8>&- 9>&-)
}

# Makes a cluster with a superuser `postgres` and a random password; whole or absent.
postgres_create() { # folder
  local folder=$1 locale=C.UTF-8
  mkdir -p "$folder"
  postgres_step_down "$folder"
  [[ -s $folder/data/PG_VERSION ]] && return 0
  locale -a 2>/dev/null | grep -qix 'c\.utf-\?8' || locale=C
  rm -rf "$folder/data" "$folder/data.new"
  install -d -m 0700 -o "$PG_USER" "$folder/data.new"
  [[ -s $folder/password ]] || (umask 077 && random_hex 24 >"$folder/password")
  install -m 0600 -o "$PG_USER" "$folder/password" "$folder/password.new"
  if ! postgres_program initdb -D "$folder/data.new" -U postgres --auth=scram-sha-256 --pwfile="$folder/password.new" \
    --encoding=UTF8 --locale="$locale" >"$folder/log" 2>&1; then
    cat "$folder/log" >&2
    die "PostgreSQL's initdb failed"
  fi
  rm -f "$folder/password.new"
  mv "$folder/data.new" "$folder/data"
}

# Starts a cluster on a free port of 127.0.0.1. MODE is `safe` (a crash loses nothing) or `fast` (for tests that throw it away).
# PG_OPTIONS may hold more `-c name=value`.
postgres_start() { # folder mode
  local folder=$1 mode=$2 port options major
  major=$(<"$folder/data/PG_VERSION")
  [[ $major == "$(postgres_major "$PG_BIN")" ]] ||
    die "$folder was made by PostgreSQL $major, here is $(postgres_major "$PG_BIN"): install PostgreSQL $major, or remove $folder and lose its data"
  postgres_step_down "$folder"
  postgres_running "$folder" && postgres_stop "$folder"
  for _ in 1 2 3 4 5; do
    port=$(free_port)
    options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=300"
    options+=${PG_OPTIONS:+ $PG_OPTIONS}
    [[ $mode == fast ]] && options+=" -c fsync=off -c full_page_writes=off"
    if postgres_program pg_ctl start -s -w -t 60 -D "$folder/data" -o "$options" >"$folder/log" 2>&1; then
      echo "$port" >"$folder/port"
      return 0
    fi
    grep -q 'Address already in use' "$folder/log" || break
  done
  cat "$folder/log" >&2
  die "PostgreSQL did not start; its log is $folder/log"
}

# True when a server holds the cluster.
postgres_running() { # folder
  [[ -e $1/data/postmaster.pid ]] && postgres_program pg_ctl status -s -D "$1/data" >/dev/null 2>&1
}

# Stops a cluster, and does not return before its processes are gone.
postgres_stop() { # folder [fast|immediate]
  [[ -d $1/data ]] || return 0
  if postgres_running "$1"; then
    postgres_program pg_ctl stop -s -w -t 60 -m "${2:-fast}" -D "$1/data" >/dev/null
  fi
  rm -f "$1/port"
}

# Creates a role that may log in and a database of the same name that it owns; the cluster must not be running.
postgres_create_database() { # folder name password
  printf "CREATE ROLE %s LOGIN PASSWORD '%s';\nCREATE DATABASE %s OWNER %s;\n" "$2" "$3" "$2" "$2" |
    postgres_program postgres --single -D "$1/data" postgres >/dev/null 2>>"$1/log"
}

# Prints the URL of a running cluster for its superuser.
postgres_superuser_url() { # folder
  printf 'postgresql://postgres:%s@127.0.0.1:%s/postgres\n' "$(<"$1/password")" "$(<"$1/port")"
}

# Prints N random bytes as hexadecimal digits.
random_hex() { # bytes
  od -An -vtx1 -N "$1" /dev/urandom | tr -d ' \n'
}
