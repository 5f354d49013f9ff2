# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/rollout
# HAProxy: how much of the traffic goes where. The weights stand in its configuration, so that they outlive it.

# Prints the URL of the proxy's own listener.
proxy_url() { echo "http://127.0.0.1:$(compose_setting PROXY_ADMIN_PORT 8404)"; }

# Writes the configuration: COLOUR gets SHARE of a hundred requests, the other the rest.
proxy_render() { # colour share
  local blue=$2 generation
  if [[ $1 == green ]]; then blue=$((100 - $2)); fi
  generation="blue $blue, green $((100 - blue)), $(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"
  if ! sed -e "s/@BLUE@/$blue/" -e "s/@GREEN@/$((100 - blue))/" -e "s/@GENERATION@/$generation/" "$ROOT/deploy/haproxy/haproxy.cfg.in" >"$ROLLOUT/proxy/haproxy.new" ||
    ! chmod 0755 "$ROLLOUT/proxy" || ! chmod 0644 "$ROLLOUT/proxy/haproxy.new" || ! mv "$ROLLOUT/proxy/haproxy.new" "$ROLLOUT/proxy/haproxy.cfg"; then
    fail 73 "$ROLLOUT/proxy/haproxy.cfg cannot be written"
  fi
}

# Prints what the configuration on disk says: "blue N, green N, WORD".
proxy_wanted() { sed -nE 's/.* string "([^"]*)" if \{ path \/generation \}.*/\1/p' "$ROLLOUT/proxy/haproxy.cfg" 2>/dev/null; }

# True when the configuration on disk gives a colour everything.
proxy_gives_all() { [[ $(proxy_wanted) == *"$1 100"* ]]; } # colour

# Gives a colour its share, and does not return before the proxy has it so.
proxy_share() { # colour share
  [[ $(compose_state proxy) == running\ * ]] || fail 69 "the proxy does not run: scripts/compose up"
  proxy_render "$1" "$2"
  compose exec -T proxy haproxy -c -q -f /etc/mini-api/haproxy.cfg >&2 || fail 78 "HAProxy does not take $ROLLOUT/proxy/haproxy.cfg: see above; its traffic goes on as before"
  compose kill --signal USR2 proxy >/dev/null 2>&1 || fail 69 "the proxy does not run: scripts/compose up"
  wait_until 20 proxy_is_current || fail 69 "the proxy did not take the new weights within 20 seconds: scripts/compose logs proxy"
}

# True when the proxy runs by the configuration on disk.
proxy_is_current() {
  local wanted
  wanted=$(proxy_wanted)
  [[ $wanted && $(curl --silent --max-time 2 "$(proxy_url)/generation") == "$wanted" ]]
}

# True when a colour says that it is ready, through the proxy.
proxy_ready() { curl --silent --fail --max-time 3 --output /dev/null "$(proxy_url)/$1/readyz"; } # colour

# Prints the metrics of a colour.
proxy_metrics() { curl --silent --fail --max-time 3 "$(proxy_url)/$1/metrics"; } # colour
