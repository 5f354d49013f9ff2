# shellcheck shell=bash
# Memory, start and size.

# Prints one value of /proc/PID/status in bytes.
status_bytes() { # pid field
  awk -v field="$2:" '$1 == field { print $2 * 1024 }' "/proc/$1/status"
}

# Idle: ready, nothing asked yet. Served: after a load on /users/me. Flood: the highest ever, logins and look-ups at once.
# After: a second later.
measure_memory() {
  local round slots pid
  slots=$(nproc)
  for ((round = 1; round <= (ROUNDS + 1) / 2; round++)); do
    serve bench HASH_SLOTS="$slots"
    sleep 1
    record memory idle "{\"bytes\": $(status_bytes "$SERVICE" VmRSS)}"
    wrk_on /users/me 32 "$SECONDS_A_TURN" >/dev/null
    record memory served "{\"bytes\": $(status_bytes "$SERVICE" VmRSS)}"
    wrk_on /users/me 128 "$((SECONDS_A_TURN * 2))" >/dev/null &
    pid=$!
    flood "$ROWS" 64 "$((SECONDS_A_TURN * 2))" >/dev/null
    wait "$pid"
    record memory flood "{\"bytes\": $(status_bytes "$SERVICE" VmHWM), \"slots\": $slots}"
    sleep 1
    record memory after "{\"bytes\": $(status_bytes "$SERVICE" VmRSS)}"
    services_stop
  done
}

# The schema is in place: stage made it.
measure_start() {
  local address
  address=127.0.0.1:$(free_port)
  record start service "$(DATABASE_URL=$(database_url bench) JWT_SECRET_FILE=$WORK/secret LISTEN_ADDR=$address \
    "$LOAD" ready --binary "$BINARY" --address "$address" --times "$STARTS")"
}

# The layers of dist/image where scripts/build-image made one; else the binary as the one layer it will be.
measure_image() {
  local manifest bytes index=$ROOT/dist/image/index.json blobs=$ROOT/dist/image/blobs/sha256 origin
  if [[ -s $index && $BINARY == "$ROOT/dist/mini-api" ]]; then
    manifest=$(jq -r '.manifests[0].digest | sub("sha256:"; "")' "$index")
    if jq -e '.manifests' "$blobs/$manifest" >/dev/null; then
      manifest=$(jq -r '.manifests[0].digest | sub("sha256:"; "")' "$blobs/$manifest")
    fi
    bytes=$(jq '[.layers[].size, .config.size] | add' "$blobs/$manifest") origin=dist/image
  else
    bytes=$(tar -cf - --owner 0 --group 0 -C "$(dirname "$BINARY")" "$(basename "$BINARY")" | gzip -9 | wc -c) origin=binary
  fi
  record image compressed "{\"bytes\": $bytes, \"binary\": $(stat -c %s "$BINARY"), \"from\": \"$origin\"}"
}
