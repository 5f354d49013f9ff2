# A PostgreSQL of three hosts behind the service: the leader's plug is pulled while users register.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/namespace.bash"
  source "$BATS_TEST_DIRNAME/patroni.bash"
  new_namespace
  patroni_start
}

teardown() {
  [[ ${BATS_TEST_COMPLETED:-} ]] || tail -n 20 "$CLUSTER"/patroni/*/*.log >&2
  end_namespace
  patroni_end
}

@test "when the leader's host dies, the service is back within five seconds of the new leader, and no acknowledged user is lost" {
  local old new promoted first lost
  kubectl create secret generic database --from-literal=password=only-for-tests
  # The poolers have no certificates here; TLS is external.bats'.
  deploy mini "${ours[@]}" --set 'database.host=10.250.0.21\,10.250.0.22\,10.250.0.23' --set database.port=6432 --set database.existingSecret=database --set database.sslmode=disable
  at mini
  writes_begin 10
  wait_until 30 some_registered 20
  old=$(patroni_leader)
  patroni_unplug "$old"
  wait_until 60 another_leads "$old"
  promoted=$(date +%s.%N)
  new=$(patroni_leader)
  wait_until 30 registered_since "$promoted"
  writes_end
  first=$(awk -v from="$promoted" '$1 > from { print $1 - from; exit }' <(sort -n writes.json.acknowledged))
  echo "the first registration came $first s after the new leader" >&3
  awk -v first="$first" 'BEGIN { exit !(first <= 5) }'
  never_restarted mini
  # Every acknowledged user is in the new leader's database.
  patroni_sql "$new" 'SELECT email FROM users' app_db | sort >there
  cut -d ' ' -f 2 writes.json.acknowledged | sort >acknowledged
  lost=$(comm -13 there acknowledged)
  [[ ! $lost ]]
}

# True when so many users are there.
some_registered() { (($(patroni_sql "$(patroni_leader)" 'SELECT count(*) FROM users' app_db) >= $1)); } # number

# True when a host leads, and another one.
another_leads() { [[ $(patroni_leader) =~ ^[123]$ && $(patroni_leader) != "$1" ]]; } # number

# True when somebody registered after that moment, by the new leader's book.
registered_since() { [[ $(patroni_sql "$(patroni_leader)" "SELECT count(*) > 0 FROM users WHERE created_at > to_timestamp($1)" app_db) == t ]]; } # seconds
