# The chart with a database of one's own, over TLS: migrations, failures, many replicas.

bats_require_minimum_version 1.5.0

setup_file() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/database.bash"
  source "$BATS_TEST_DIRNAME/namespace.bash"
  source "$ROOT/tests/release/registries.bash"
  database_start 3>&-
}

teardown_file() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/database.bash"
  source "$BATS_TEST_DIRNAME/namespace.bash"
  database_end
}

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/namespace.bash"
  source "$BATS_TEST_DIRNAME/database.bash"
  source "$ROOT/tests/deploy/load.bash"
  new_namespace
  new_database
}

teardown() { end_namespace; }

# Installs with the database and a user who is logged in: TOKEN.
installed() { # words…
  deploy mini "${ours[@]}" "${external[@]}" "$@"
  at mini
  register ada@example.org
  TOKEN=$(login ada@example.org)
}

@test "the schema is there before the first pod, over TLS that knows whom it talks to" {
  installed
  me "$TOKEN"
  [[ $(sql "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = '$DATABASE' AND usename = '$DATABASE'") == t ]]
  # The service itself did not migrate.
  [[ $(kubectl get configmap mini-mini-api --output jsonpath='{.data.MIGRATE_ON_START}') == false ]]
  helm test mini
  helm uninstall mini --wait --timeout 60s
  wait_until 60 only_keys || {
    left >&2
    false
  }
}

# Prints what there is of an installation; true when that is its Secret alone.
left() { kubectl get all,configmap,secret,pvc,networkpolicy,pdb,serviceaccount --selector app.kubernetes.io/instance=mini --output name | sort; }
only_keys() { [[ $(left) == secret/mini-mini-api ]]; }

@test "a Secret or an authority that is not there is named in an event, and nothing begins" {
  nothing_begins 'secret "nobody" not found' --set database.existingSecret=nobody
  nothing_begins 'configmap "nobody" not found' --set database.ca.configMap=nobody
}

# Installs in vain, and looks for words in the events.
nothing_begins() { # words words-of-helm…
  local words=$1
  shift
  run helm upgrade --install mini "$CHART" --timeout 30s "${ours[@]}" "${external[@]}" --set database.migrate.deadline=10 "$@"
  [[ $status != 0 ]]
  kubectl get events --output json | jq -r '.items[] | select(.reason == "FailedMount").message' | grep -F "$words"
  [[ ! $(kubectl get deployment --output name) ]]
  helm uninstall mini
  kubectl delete job --all
}

@test "an authority that is another's, a wrong password and a host that is not there are each one sentence of the Job's" {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout other.key -out other.pem -subj /CN=other -days 1
  kubectl create configmap other --from-file=ca.crt=other.pem
  kubectl create secret generic wrong --from-literal=password=wrong
  the_job_says "certificate" --set database.ca.configMap=other
  the_job_says "password" --set database.existingSecret=wrong
  the_job_says "resolve" --set database.host=nobody.databases.svc.cluster.local
}

# Installs in vain, and looks for words in what the Job for migrations said.
the_job_says() { # words words-of-helm…
  local words=$1
  shift
  run helm upgrade --install mini "$CHART" --timeout 60s "${ours[@]}" "${external[@]}" --set database.migrate.deadline=15 "$@"
  [[ $status != 0 ]]
  kubectl logs --selector app.kubernetes.io/component=migrate --tail=-1 >job.log
  grep -iF "$words" job.log || {
    cat job.log >&2
    return 1
  }
  # Nothing began.
  [[ ! $(kubectl get deployment --output name) ]]
  helm uninstall mini
  kubectl delete job --all
}

@test "a rolling update, a pod that is deleted and a node that is drained cost no request, read or written" {
  installed --set replicaCount=3
  load_begins 100
  writes_begin 4
  deploy mini "${next[@]}" "${external[@]}" --set replicaCount=3
  [[ $(pods mini '.status.containerStatuses[0].imageID' | sort -u) == "$NEXT_IMAGE" ]]
  kubectl delete "$(kubectl get pods --selector app.kubernetes.io/component=api --output name | head -n 1)" --wait=true
  kubectl rollout status deployment/mini-mini-api --timeout=60s
  kubectl drain node2 --ignore-daemonsets --delete-emptydir-data --timeout=90s --pod-selector app.kubernetes.io/instance=mini
  [[ $(pods mini '.spec.nodeName' | sort -u) == node1 ]]
  kubectl uncordon node2
  kubectl rollout status deployment/mini-mini-api --timeout=60s
  load_ends
  writes_end
  jq -e '.requests > 1000 and .failed == 0' load.json
  jq -e '.acknowledged > 20 and .failed == 0' writes.json
  # Every registration that was acknowledged is there.
  [[ $(sql "SELECT count(*) FROM users WHERE email <> 'ada@example.org'" "$DATABASE") == "$(wc -l <writes.json.acknowledged)" ]]
}

@test "ten replicas start at once on an empty database, and migrate it once" {
  deploy mini "${ours[@]}" "${external[@]}" --set replicaCount=10 --set database.migrate.job=false --set resources.requests.cpu=10m
  at mini
  [[ $(pods mini '.status.phase' | sort | uniq -c | xargs) == "10 Running" ]]
  never_restarted mini
  [[ $(sql "SELECT count(*) FROM refinery_schema_history" "$DATABASE") == "$(find "$ROOT/migrations" -name 'V*' | wc -l)" ]]
  register ada@example.org
}

@test "a database that is away for half a minute restarts nothing: readiness falls, and comes back" {
  installed
  database_stop immediate
  wait_until 60 nobody_ready
  # Alive, though, and not for a moment.
  sleep 30
  never_restarted mini
  database_again 3>&-
  wait_until 60 me "$TOKEN"
  wait_until 60 all_ready 2
  never_restarted mini
}

# True when no pod of the service is ready, or when so many are.
nobody_ready() { [[ $(pods mini '.status.conditions[] | select(.type == "Ready").status' | sort -u) == False ]]; }
all_ready() { [[ $(pods mini '.status.conditions[] | select(.type == "Ready").status' | sort | uniq -c | xargs) == "$1 True" ]]; } # number

@test "a Secret that holds a whole URL serves as well" {
  kubectl create secret generic url --from-literal=uri="postgresql://$DATABASE:only-for-tests@$DATABASE_HOST:5432/$DATABASE"
  deploy mini "${ours[@]}" --set database.existingSecret=url --set database.urlKey=uri --set database.ca.configMap=authority
  at mini
  register ada@example.org
}

@test "keys of one's own are changed in two upgrades, and no token is refused meanwhile, of whichever pod" {
  local first second pid
  first=$(random_hex 32) second=$(random_hex 32)
  kubectl create secret generic keys --from-literal=JWT_SECRET="$first" --from-literal=JWT_PREVIOUS_SECRETS="$(random_hex 32)"
  installed --set secret.existingSecret=keys --set secret.previous=true
  : >refused
  log_in_and_ask 3>&- &
  pid=$!
  keys_are "$first" "$second"
  keys_are "$second" "$first"
  touch enough
  wait "$pid"
  cat refused >&2
  [[ ! -s refused && $(<asked) -gt 10 ]]
  me "$TOKEN"
  # The first key is not what new tokens are signed with.
  keys_are "$second" "$(random_hex 32)"
  run me "$TOKEN"
  [[ $status != 0 ]]
}

# Gives the Secret other keys, and upgrades.
keys_are() { # present others
  kubectl create secret generic keys --from-literal=JWT_SECRET="$1" --from-literal=JWT_PREVIOUS_SECRETS="$2" --dry-run=client --output yaml | kubectl apply --filename -
  deploy mini "${ours[@]}" "${external[@]}" --set secret.existingSecret=keys --set secret.previous=true
}

# Logs in and asks who it is, through whichever pods, until there is a file `enough`; notes what is refused.
log_in_and_ask() {
  local token n=0
  while [[ ! -e enough ]]; do
    if ! token=$(login ada@example.org) || ! me "$token" >/dev/null || ! me "$TOKEN" >/dev/null; then date >>refused; fi
    n=$((n + 1))
    sleep 0.1
  done 2>>refused
  echo "$n" >asked
}
