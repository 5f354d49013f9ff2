# shellcheck shell=bash
# A database that is not the chart's: one PostgreSQL outside of the cluster, known to all namespaces by the name of a Service, over TLS.

DATABASE_HOST=db.databases.svc.cluster.local

# Starts it; one for a file of tests. PostgreSQL 15 of those at hand: the other one was built without TLS.
database_start() {
  local folder=$CLUSTER/database address
  address=$(jq -r '.clusters[0].cluster.server | ltrimstr("https://") | split(":")[0]' "$CLUSTER/admin.kubeconfig")
  PG_BIN=$TOOLS/stage/postgres-15/bin
  postgres_create "$folder"
  make_authority "$folder/tls" "$DATABASE_HOST"
  chown -R "$PG_USER" "$folder/tls"
  chmod 0600 "$folder/tls/key.pem"
  echo "hostssl all all 10.0.0.0/8 scram-sha-256" >>"$folder/data/pg_hba.conf"
  PG_OPTIONS="-p 5432 -c listen_addresses=127.0.0.1,$address -c ssl=on -c ssl_cert_file=$folder/tls/cert.pem -c ssl_key_file=$folder/tls/key.pem"
  postgres_start "$folder" fast
  kubectl apply --filename - >&2 <<YAML
apiVersion: v1
kind: Namespace
metadata: {name: databases}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: databases}
spec: {clusterIP: None, ports: [{port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db, namespace: databases, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{port: 5432}]
endpoints: [{addresses: ["$address"]}]
YAML
}

database_stop() {
  PG_BIN=$TOOLS/stage/postgres-15/bin
  postgres_step_down "$CLUSTER/database"
  postgres_stop "$CLUSTER/database" "${1:-fast}"
}

# Stops it for good.
database_end() {
  database_stop immediate
  rm -rf "$CLUSTER/database"
}

# Starts it again where it was.
database_again() {
  PG_BIN=$TOOLS/stage/postgres-15/bin
  postgres_step_down "$CLUSTER/database"
  # As it was started before, at the same place.
  postgres_program pg_ctl restart -s -w -t 60 -D "$CLUSTER/database/data" >>"$CLUSTER/database/log" 2>&1
}

# Asks the database as its superuser.
sql() { # statement [database]
  PGPASSWORD=$(<"$CLUSTER/database/password") "$TOOLS/stage/postgres-18/bin/psql" --no-psqlrc --quiet --tuples-only --no-align \
    --host 127.0.0.1 --username postgres --dbname "${2:-postgres}" --command "$1"
}

# Makes a role and a database that are called like the namespace, and what the chart wants to know of them: the words `external`.
new_database() {
  DATABASE=${NAMESPACE//-/_}
  sql "CREATE ROLE $DATABASE LOGIN PASSWORD 'only-for-tests'"
  sql "CREATE DATABASE $DATABASE OWNER $DATABASE"
  kubectl create secret generic database --from-literal=password=only-for-tests >&2
  kubectl create configmap authority --from-file=ca.crt="$CLUSTER/database/tls/ca.pem" >&2
  # shellcheck disable=SC2034  # the tests'
  external=(--set "database.host=$DATABASE_HOST" --set "database.name=$DATABASE" --set "database.user=$DATABASE"
    --set database.existingSecret=database --set database.ca.configMap=authority)
}
