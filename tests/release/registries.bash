# shellcheck shell=bash
# Two real registries over TLS, each on a free port of localhost: `plain` is what the image registry:2 runs, asks for a login
# and has no referrers API; `listing` lists referrers itself and lets everybody in.

# Makes an authority and a certificate for localhost, or for another name, in a folder.
make_authority() { # folder [name]
  local name=${2:-localhost} key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc)
  mkdir -p "$1"
  openssl req -x509 "${key[@]}" -keyout "$1/ca.key" -out "$1/ca.pem" -subj "/CN=test authority" -days 2 2>/dev/null
  openssl req "${key[@]}" -keyout "$1/key.pem" -out "$1/request.pem" -subj "/CN=$name" 2>/dev/null
  openssl x509 -req -in "$1/request.pem" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 2 -out "$1/cert.pem" \
    -extfile <(echo "subjectAltName = DNS:$name") 2>/dev/null
}

# Writes a registry's file of users: one, with a password.
registry_users() { # file user password
  printf '%s:%s\n' "$2" "$(perl -e 'print crypt($ARGV[0], "\$2b\$05\$" . "a" x 22)' "$3")" >"$1"
}

# Starts both; sets PLAIN and LISTING (localhost:PORT), and exports what clients need: REGISTRY_CA, SSL_CERT_FILE, DOCKER_CONFIG.
start_registries() { # folder
  local folder=$1 password=only-for-tests
  make_authority "$folder/tls"
  export REGISTRY_CA=$folder/tls/ca.pem SSL_CERT_FILE=$folder/tls/ca.pem DOCKER_CONFIG=$folder/docker
  PLAIN=localhost:$(free_port)
  mkdir -p "$folder"/{plain,listing,docker}
  registry_users "$folder/htpasswd" publisher "$password"
  cat >"$folder/plain.yaml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $folder/plain}, delete: {enabled: true}}
http: {addr: "127.0.0.1:${PLAIN#*:}", tls: {certificate: $folder/tls/cert.pem, key: $folder/tls/key.pem}}
auth: {htpasswd: {realm: test, path: $folder/htpasswd}}
YAML
  start_plain "$folder"
  LISTING=localhost:$(free_port)
  setsid referrers "127.0.0.1:${LISTING#*:}" "$folder/listing" "$folder/tls/cert.pem" "$folder/tls/key.pem" >"$folder/listing.log" 2>&1 3>&- &
  echo $! >"$folder/listing.pid"
  wait_until 20 port_answers "${LISTING#*:}"
  jq -n --arg plain "$PLAIN" --arg auth "$(printf 'publisher:%s' "$password" | base64)" '{auths: {($plain): {auth: $auth}}}' >"$DOCKER_CONFIG/config.json"
  printf '%s\n' "$PLAIN" "$LISTING" >"$folder/registries.txt"
  export PLAIN LISTING REFERENCE_REGISTRIES=$folder/registries.txt
}

# Starts the plain one; its configuration is there already.
start_plain() { # folder
  setsid docker-registry serve "$1/plain.yaml" >>"$1/plain.log" 2>&1 3>&- &
  echo $! >"$1/plain.pid"
  wait_until 20 port_answers "${PLAIN#*:}"
}

stop_plain() { process_end "$(<"$1/plain.pid")" 10; } # folder

stop_registries() { # folder
  stop_plain "$1"
  process_end "$(<"$1/listing.pid")" 10
}

# Pushes a small image that is like no other and prints its reference by digest.
push_image() { # repository text
  local work digest
  work=$(mktemp -d "$BATS_TEST_TMPDIR/image.XXXXXX")
  printf '%s' "$2" >"$work/file"
  digest=$("$ROOT/scripts/build-image" --binary "$work/file" --out "$work/layout" 2>/dev/null)
  oras cp --from-oci-layout "$work/layout@$digest" "$1@$digest" >&2
  printf '%s@%s\n' "$1" "$digest"
}

# oras takes every registry on localhost for one without TLS, unless told.
oras() {
  if [[ $1 == cp ]]; then command oras "$@" --from-plain-http=false --to-plain-http=false; else command oras "$@" --plain-http=false; fi
}
