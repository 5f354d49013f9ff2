# The pages for bad days: what they say happens, and their commands as they stand there. Backups have a file of their own.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/site.bash"
  source "$BATS_TEST_DIRNAME/page.bash"
}

teardown() { end_site; }

# Asks the database.
sql() { scripts/compose exec -T db psql --no-psqlrc --no-align --tuples-only --set ON_ERROR_STOP=1 app_db <<<"$1"; } # sql

# Makes a certificate for this machine and its key in new/, by the authority of the stage.
new_pair() { # days
  mkdir -p new
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout new/key.pem -out new/request.pem -subj /CN=localhost 2>/dev/null
  openssl x509 -req -in new/request.pem -CA "$STAGE/tls/ca.pem" -CAkey "$STAGE/tls/ca.key" -CAcreateserial -days "$1" -out new/cert.pem \
    -extfile <(echo 'subjectAltName = DNS:localhost, IP:127.0.0.1') 2>/dev/null
}

# Prints the fingerprint of a certificate.
print_of() { openssl x509 -in "$1" -noout -fingerprint -sha256; } # file

# True when the service shows this certificate.
shows() { [[ $(openssl s_client -connect "127.0.0.1:$API_PORT" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256) == "$1" ]]; } # fingerprint

# Prints what scripts/doctor says of one check.
doctor_says() { { scripts/doctor --json || true; } | jq -r --arg check "$1" '.[] | select(.check == $check) | "\(.state): \(.found)"'; } # check

@test "a new certificate is in use within seconds, one that does not fit is not, and nothing is restarted" {
  local started token
  new_site COMPOSE_FILE=compose.yaml:compose.tls.yaml
  [[ $(page_blocks certificates.md) == 3 ]]
  new_pair 90
  run_block certificates.md 1
  scripts/compose up
  BASE=https://127.0.0.1:$API_PORT
  export CURL_CA_BUNDLE=$STAGE/tls/ca.pem
  register ada@example.org
  token=$(login ada@example.org)
  shows "$(print_of new/cert.pem)"
  [[ $(doctor_says tls) == "ok: the certificate of port $API_PORT is valid for 89 days" ]]
  started=$(docker inspect --format '{{.State.StartedAt}}' "$(container api)")
  new_pair 20
  run_block certificates.md 1
  wait_until 15 shows "$(print_of new/cert.pem)"
  run run_block certificates.md 2
  [[ $status == 0 && $output == *"$(print_of new/cert.pem)"* && $output == *tls.reloaded* ]]
  [[ $(doctor_says tls) == "warning: the certificate of port $API_PORT expires in 19 days" ]]
  # A key of another certificate is found before anything is put anywhere, and by the service as well.
  cp new/cert.pem kept.pem && new_pair 90 && cp kept.pem new/cert.pem
  run run_block certificates.md 1
  [[ $status != 0 ]]
  shows "$(print_of kept.pem)"
  install -m 0444 new/key.pem secrets/tls/key.pem.new && mv secrets/tls/key.pem.new secrets/tls/key.pem
  wait_until 15 said tls.reload.failed
  shows "$(print_of kept.pem)"
  me "$token"
  [[ $(docker inspect --format '{{.State.StartedAt}}' "$(container api)") == "$started" ]]
}

# True once the service has logged an event.
said() { scripts/compose logs --no-log-prefix api | grep -q "\"event\":\"$1\""; } # event

@test "another authority of the registry is believed beside the old one" {
  new_site
  mkdir new
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout key.pem -out new/ca.pem -subj /CN=another -days 3650 2>/dev/null
  cp "$REGISTRY_CA" ca.pem
  export REGISTRY_CA=$PWD/ca.pem
  run_block certificates.md 3
  [[ $(doctor_says registry) == "ok: $PLAIN answers and takes our credentials" ]]
  # The new one alone is not enough while the registry shows a certificate of the old.
  cp new/ca.pem ca.pem
  [[ $(doctor_says registry) == "bad: $PLAIN shows no certificate"* ]]
}

@test "on a full disk nobody new gets in, those who are in go on, and room heals it without a restart" {
  local token started
  new_site REGISTER_LIMIT_NETWORK=off COMPOSE_FILE=compose.yaml:small.yaml
  echo 'volumes: {data_pg18: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=400m,uid=999,gid=999,mode=0700"}}}' >small.yaml
  scripts/compose up
  register ada@example.org
  token=$(login ada@example.org)
  started=$(docker inspect --format '{{.State.StartedAt}}' "$(container api)" "$(container db)")
  [[ $(doctor_says disk-database) == ok:* ]]
  scripts/compose exec -T db sh -c 'dd if=/dev/zero of=/var/lib/postgresql/filler bs=64k 2>/dev/null; true'
  [[ $(doctor_says disk-database) == "bad: the database's volume has 0 KiB left" ]]
  wait_until 90 nobody_new
  me "$token"
  [[ $(docker inspect --format '{{.State.Health.Status}}' "$(container api)") == healthy ]]
  scripts/compose exec -T db rm /var/lib/postgresql/filler
  wait_until 30 register carol@example.org
  me "$(login carol@example.org)"
  [[ $(docker inspect --format '{{.State.StartedAt}}' "$(container api)" "$(container db)") == "$started" ]]
  [[ $(page_blocks disk.md) == 3 ]]
  scripts/backup create
  run_block disk.md 1
  run_block disk.md 2
  run_block disk.md 3
  me "$token"
}

# True once a registration is refused for want of room.
nobody_new() {
  [[ $(curl --silent --output /dev/null --write-out '%{http_code}' --max-time 10 "$BASE/auth/register" \
    --json "{\"email\":\"n-$RANDOM-$RANDOM@example.org\",\"password\":\"correct horse battery\"}") == 503 ]]
}

@test "after a clock that had been ahead the throttle's future is taken out by the page's command" {
  new_site
  scripts/compose up
  register ada@example.org
  run ask /auth/login --json '{"email":"ada@example.org","password":"a wrong password"}'
  [[ $output == *401* ]]
  # As if it had been counted by a clock that was a week ahead.
  sql "UPDATE login_attempts SET full_at = full_at + 7 * 86400"
  run ask /auth/login --json '{"email":"ada@example.org","password":"correct horse battery"}'
  [[ $output == *429* ]]
  [[ $(page_blocks clock.md) == 3 ]]
  run run_block clock.md 1
  [[ $status == 0 && $output == *"clock-database"* && $output == *"$(date -u +%Y-%m-%d)"* ]]
  run_block clock.md 2
  me "$(login ada@example.org)"
  run_block clock.md 3
}
