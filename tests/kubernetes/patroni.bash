# shellcheck shell=bash
# Three hosts outside of the cluster, each with PostgreSQL, the Patroni that minds it, and a PgBouncer in transaction mode in front. A
# host is an address; its processes are one session, so that all of them can go at once.

patroni_address() { echo "10.250.0.2$1"; } # number

# Starts one host.
patroni_host_start() { # number
  local folder=$CLUSTER/patroni/$1 address
  address=$(patroni_address "$1")
  # shellcheck disable=SC2016  # for the shell that is started
  setsid bash -c 'cd /; "$@" "$0/patroni.yaml" >>"$0/patroni.log" 2>&1 & wait' "$folder" "${PG_AS[@]}" "$TOOLS/venv/bin/patroni" 3>&- </dev/null &
  echo "$!" >"$folder/pid"
}

# Writes what a host's programs are told.
patroni_host_make() { # number
  local folder=$CLUSTER/patroni/$1 address
  address=$(patroni_address "$1")
  ip addr add "$address/32" dev cable 2>/dev/null || true
  mkdir -p "$folder"
  cat >"$folder/patroni.yaml" <<YAML
scope: mini
name: host$1
restapi: {listen: "$address:8008", connect_address: "$address:8008"}
etcd3: {host: "127.0.0.1:2379"}
bootstrap:
  dcs:
    # As quick as Patroni lets one be; an acknowledged write is on two hosts.
    ttl: 20
    loop_wait: 1
    retry_timeout: 3
    synchronous_mode: true
    postgresql:
      use_pg_rewind: false
      parameters: {max_connections: 100, fsync: "off", wal_level: replica}
  initdb: [{encoding: UTF8}, {locale: C.UTF-8}]
postgresql:
  listen: "$address:5432"
  connect_address: "$address:5432"
  data_dir: $folder/data
  bin_dir: $PG_BIN
  pgpass: $folder/pgpass
  parameters: {unix_socket_directories: "$folder"}
  pg_hba: ["local all all trust", "host all all 10.0.0.0/8 scram-sha-256", "host replication all 10.0.0.0/8 scram-sha-256"]
  authentication:
    superuser: {username: postgres, password: only-for-tests}
    replication: {username: replicator, password: only-for-tests}
YAML
  cat >"$folder/pgbouncer.ini" <<INI
[databases]
* = host=$address port=5432
[pgbouncer]
listen_addr = $address
listen_port = 6432
unix_socket_dir =
auth_type = plain
auth_file = $folder/users
pool_mode = transaction
default_pool_size = 20
server_login_retry = 1
INI
  echo '"app" "only-for-tests"' >"$folder/users"
  chown -R "$PG_USER" "$folder"
  chmod 0700 "$folder"
}

# Starts all three, waits until one leads and the others follow, and makes the database.
patroni_start() {
  local number
  PG_BIN=$TOOLS/stage/postgres-18/bin
  mkdir -p "$CLUSTER/patroni"
  postgres_step_down "$CLUSTER/patroni"
  # The project's Python may lie below a folder that is closed to others.
  PG_AS+=("--inh-caps=-all,+dac_read_search" "--ambient-caps=-all,+dac_read_search")
  for number in 1 2 3; do
    patroni_host_make "$number"
    patroni_host_start "$number"
    pooler_start "$number"
  done
  wait_until 90 patroni_whole || {
    tail -n 20 "$CLUSTER"/patroni/*/patroni.log >&2
    return 1
  }
  patroni_sql "$(patroni_leader)" "CREATE ROLE app LOGIN PASSWORD 'only-for-tests'"
  patroni_sql "$(patroni_leader)" "CREATE DATABASE app_db OWNER app"
}

# Starts the pooler of a host.
pooler_start() { # number
  local folder=$CLUSTER/patroni/$1
  (cd / && exec setsid "${PG_AS[@]}" "$(command -v pgbouncer || echo /usr/sbin/pgbouncer)" "$folder/pgbouncer.ini") >"$folder/pgbouncer.log" 2>&1 3>&- </dev/null &
  echo "$!" >"$folder/pooler.pid"
}

# Pulls a host's plug: nothing of it ends well.
patroni_unplug() { # number
  local folder=$CLUSTER/patroni/$1 server
  server=$(head -n 1 "$folder/data/postmaster.pid")
  kill -KILL -- "-$(<"$folder/pid")" "-$(<"$folder/pooler.pid")" "-$server" 2>/dev/null || true
  # The server's own processes notice that it is gone, and go.
  kill -KILL "$server" 2>/dev/null || true
}

# Asks a host's server as its superuser.
patroni_sql() { # number statement [database]
  PGCONNECT_TIMEOUT=2 PGPASSWORD=only-for-tests "$TOOLS/stage/postgres-18/bin/psql" --no-psqlrc --quiet --tuples-only --no-align \
    --host "$(patroni_address "$1")" --username postgres --dbname "${3:-postgres}" --command "$2"
}

# Prints the number of the host that takes writes.
patroni_leader() {
  local number
  for number in 1 2 3; do
    [[ $(patroni_sql "$number" 'SELECT pg_is_in_recovery()' 2>/dev/null) != f ]] || {
      echo "$number"
      return
    }
  done
  return 1
}

# True when one host leads, two follow, and one of them at once.
patroni_whole() {
  [[ $(curl --silent --max-time 2 "http://$(patroni_address 1):8008/cluster" | jq -r '[.members[] | "\(.role) \(.state)"] | sort | join(",")') == \
    "leader running,replica streaming,sync_standby streaming" ]]
}

patroni_end() {
  local number
  for number in 1 2 3; do patroni_unplug "$number"; done
  rm -rf "$CLUSTER/patroni"
}
