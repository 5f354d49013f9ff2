# shellcheck shell=bash
# The services on this machine's Docker Engine: how they are started, asked and told. OUT/in-force has a line for each: SERVICE HASH, of the
# files that it read when it was started or told to read them last.

# Seconds that everything may take to be healthy.
patience=${COMPOSE_PATIENCE:-120}

# Runs docker compose on these services; the mirror is one of them if it has an upstream. What the shell may have of settings is taken
# away: nothing takes the place of what stands in OUT.
compose() { # words…
  local name unset=(-u HAPROXY_IMAGE -u REGISTRY_IMAGE -u COMPOSE_FILE -u COMPOSE_PROFILES) profile=()
  [[ ! $(setting MIRROR_UPSTREAM) ]] || profile=(--profile mirror)
  while IFS= read -r name; do unset+=(-u "$name"); done < <(sed -n 's/=.*//p' "$OUT/settings.env")
  env "${unset[@]}" docker compose --project-directory "$ROOT/airgap" --file "$ROOT/airgap/compose.yaml" --env-file "$OUT/settings.env" --env-file "$OUT/images.env" \
    "${profile[@]}" "$@"
}

# Fails without an engine, before anything is made.
engine_here() {
  command -v docker >/dev/null || fail 69 "there is no docker command: install Docker Engine 24 or newer with its compose plugin"
  timeout 10 docker version >/dev/null 2>&1 || fail 69 "no Docker Engine answers at ${DOCKER_HOST:-/run/docker.sock}: start it"
  docker compose version >/dev/null 2>&1 || fail 69 "docker has no compose plugin: install docker-compose-plugin 2.24 or newer"
}

# Starts what does not run, brings what changed into force and nothing else, and waits until the gateway refuses whoever is nobody.
start() {
  local service services since changed=
  local -A before=() hash=()
  services=$(compose config --services | sort --reverse) || fail 69 "docker compose does not take $OUT/settings.env: see above"
  for service in $services; do
    before[$service]=$(services_since "$service")
    hash[$service]=$(services_hash "$service")
  done
  services_up
  if [[ " ${services//$'\n'/ } " != *" mirror "* && $(compose --profile mirror ps --quiet mirror) ]]; then
    compose --profile mirror rm --stop --force mirror >&2 || fail 69 "the mirror, which has no upstream any more, does not stop: see above"
    say "mirror was taken away, as it has no upstream any more"
    changed=1
  fi
  for service in $services; do
    since=$(services_since "$service")
    if [[ $since != "${before[$service]}" ]]; then
      # The engine's part: it was not there, or its image or a setting is new. It began with the files as they are.
      say "$service was started"
    elif [[ $(services_noted "$service") != "${hash[$service]}" ]]; then
      services_apply "$service"
    else
      continue
    fi
    services_note "$service" "${hash[$service]}"
    changed=1
  done
  wait_until 10 gateway_refuses || fail 69 "the gateway does not answer at $REGISTRY as it should: airgap/bootstrap compose logs gateway --out $OUT"
  [[ $changed ]] || say "everything runs with what is in $OUT: nothing was restarted"
  say "the gateway answers, and lets nobody in without a name"
}

# Starts what does not run, and waits until everything is healthy.
services_up() {
  compose up --detach --wait --wait-timeout "$patience" >&2 || {
    compose logs --no-log-prefix --tail 5 >&2 || true
    fail 69 "it did not become healthy: see above"
  }
}

# Lets a service that runs take its files anew. The gateway reads them while it serves; the registries know no such thing.
services_apply() { # service
  if [[ $1 == gateway ]]; then
    reload
    say "gateway has read its new files; nobody was cut off"
    return
  fi
  say "$1 is restarted, as its files are new"
  compose restart "$1" >&2 || fail 69 "$1 does not restart, and may go on with its old files: mend what stands above, then call this again"
  services_up
}

# Prints one hash over the files that a service reads.
services_hash() { # service
  local file files
  case $1 in
    gateway | registry) files=("$OUT/$1"/*) ;;
    mirror) files=("$OUT"/mirror/* "$OUT"/secrets/* "$ROOT/airgap/mirror/start") ;;
    *) fail 78 "nobody knows what the service $1 reads" ;;
  esac
  for file in "${files[@]}"; do
    # Half-written ones are nobody's.
    [[ $file == *.new || ! -f $file ]] || printf '%s %s\n' "${file##*/}" "$(sha256sum <"$file")"
  done >"$TEMPORARY/read"
  sha256sum <"$TEMPORARY/read" | cut -d ' ' -f 1
}

# Prints the hash of what a service read last, if that is known.
services_noted() { [[ ! -s $OUT/in-force ]] || awk -v service="$1" '$1 == service { print $2 }' "$OUT/in-force"; } # service

# Remembers what a service read.
services_note() { # service hash
  {
    [[ ! -s $OUT/in-force ]] || awk -v service="$1" '$1 != service' "$OUT/in-force"
    printf '%s %s\n' "$1" "$2"
  } >"$TEMPORARY/in-force"
  files_put "$OUT/in-force" <"$TEMPORARY/in-force"
}

# Prints which container a service is and since when, or nothing.
services_since() { # service
  local id
  id=$(compose ps --quiet "$1") || fail 69 "the engine does not tell whether $1 runs"
  [[ ! $id ]] || docker inspect --format '{{.Id}} {{.State.StartedAt}}' "$id" || fail 69 "the engine does not tell since when $1 runs"
}

# The address of the gateway on this machine.
gateway_address() {
  local address
  address=$(setting AIRGAP_BIND)
  if [[ $address == 0.0.0.0 ]]; then address=127.0.0.1; fi
  echo "$address"
}

gateway_refuses() {
  [[ $(curl --silent --noproxy '*' --output /dev/null --write-out '%{http_code}' --cacert "$OUT/ca/ca.pem" \
    --resolve "$HOST:$(setting AIRGAP_PORT):$(gateway_address)" "https://$HOST:$(setting AIRGAP_PORT)/v2/") == 401 ]]
}

# True when the gateway shows the certificate that is in OUT.
gateway_shows() {
  [[ $(openssl s_client -connect "$(gateway_address):$(setting AIRGAP_PORT)" -servername "$HOST" </dev/null 2>/dev/null |
    openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//') == "$(authority_print "$OUT/ca/server.pem")" ]]
}

# Lets the gateway read its files anew, if it runs; whoever is pulling is not cut off.
reload() {
  local id hash
  # Nothing was ever started from here.
  [[ -s $OUT/images.env ]] || return 0
  id=$(compose ps --quiet gateway) || fail 69 "the engine does not answer, and the gateway goes on with its old files: mend that, then airgap/bootstrap compose restart gateway --out $OUT"
  [[ $id ]] || return 0
  hash=$(services_hash gateway)
  compose exec -T gateway haproxy -c -q -f /etc/gateway/haproxy.cfg -f /etc/gateway/users.cfg >&2 || fail 78 "the gateway does not take its new files, and goes on with the old"
  docker kill --signal USR2 "$id" >/dev/null || fail 69 "the gateway does not hear: airgap/bootstrap compose restart gateway --out $OUT"
  services_note gateway "$hash"
}
