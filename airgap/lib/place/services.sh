# shellcheck shell=bash
# The services on this machine's Docker Engine: how they are started, asked and told.

# Seconds that everything may take to be healthy.
patience=${COMPOSE_PATIENCE:-120}

# Runs docker compose on these services. What the shell may have of settings is taken away: nothing takes the place of what stands in OUT.
compose() { # words…
  local name unset=(-u HAPROXY_IMAGE -u REGISTRY_IMAGE -u COMPOSE_FILE)
  while IFS= read -r name; do unset+=(-u "$name"); done < <(sed -n 's/=.*//p' "$OUT/settings.env")
  env "${unset[@]}" docker compose --project-directory "$ROOT/airgap" --file "$ROOT/airgap/compose.yaml" --env-file "$OUT/settings.env" --env-file "$OUT/images.env" "$@"
}

# Fails without an engine, before anything is made.
engine_here() {
  command -v docker >/dev/null || fail 69 "there is no docker command: install Docker Engine 24 or newer with its compose plugin"
  timeout 10 docker version >/dev/null 2>&1 || fail 69 "no Docker Engine answers at ${DOCKER_HOST:-/run/docker.sock}: start it"
  docker compose version >/dev/null 2>&1 || fail 69 "docker has no compose plugin: install docker-compose-plugin 2.24 or newer"
}

# Starts everything, and waits until the gateway refuses whoever is nobody.
start() {
  compose up --detach --wait --wait-timeout "$patience" >&2 || {
    compose logs --no-log-prefix --tail 5 >&2 || true
    fail 69 "it did not become healthy: see above"
  }
  wait_until 10 gateway_refuses || fail 69 "the gateway does not answer at $REGISTRY as it should: airgap/bootstrap compose logs gateway --out $OUT"
  say "the gateway answers, and lets nobody in without a name"
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
  local id
  # Nothing was ever started from here.
  [[ -s $OUT/images.env ]] || return 0
  id=$(compose ps --quiet gateway) || fail 69 "the engine does not answer, and the gateway goes on with its old files: mend that, then airgap/bootstrap compose restart gateway --out $OUT"
  [[ $id ]] || return 0
  compose exec -T gateway haproxy -c -q -f /etc/gateway/users.cfg -f /etc/gateway/haproxy.cfg >&2 || fail 78 "the gateway does not take its new files, and goes on with the old"
  docker kill --signal USR2 "$id" >/dev/null || fail 69 "the gateway does not hear: airgap/bootstrap compose restart gateway --out $OUT"
}
