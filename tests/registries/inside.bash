# shellcheck shell=bash
# The closed side in small: the gateway and what stands behind it as programs of their own, with the files that airgap/bootstrap makes.

source "$ROOT/tests/release/registries.bash"
source "$ROOT/tests/refused.bash"
for part in project log network process; do
  # shellcheck source=/dev/null
  source "$ROOT/scripts/lib/$part.sh"
done

# Makes the files of a place and starts gateway and registry; sets PLACE (the folder), HOME_REGISTRY and HOME_MIRROR (localhost:PORT).
# Words are more of bootstrap's.
inside_start() { # folder words…
  local folder=$1
  shift
  PLACE=$folder/place
  export TRUST=$folder/trust TRUST_PIN=$folder/pin COSIGN_PASSWORD=only-for-tests
  HOME_REGISTRY=localhost:$(free_port)
  HOME_MIRROR=localhost:$(free_port)
  # A port that is given to a registry behind must not be one of these.
  until BEHIND_REGISTRY=$(free_port) && [[ $HOME_REGISTRY$HOME_MIRROR != *":$BEHIND_REGISTRY"* ]]; do :; done
  until BEHIND_MIRROR=$(free_port) && [[ $HOME_REGISTRY$HOME_MIRROR:$BEHIND_REGISTRY != *":$BEHIND_MIRROR"* ]]; do :; done
  "$ROOT/airgap/bootstrap" "$HOME_REGISTRY" --out "$PLACE" --audience mini --no-start --mirror-port "${HOME_MIRROR#*:}" "$@"
  sed -e "s#/var/lib/registry#$PLACE/data/registry#" -e "s#/etc/registry#$PLACE/registry#" -e "s#addr: :5000#addr: 127.0.0.1:$BEHIND_REGISTRY#" \
    "$PLACE/registry/config.yaml" >"$folder/registry.yaml"
  setsid docker-registry serve "$folder/registry.yaml" >"$folder/registry.log" 2>&1 3>&- &
  echo $! >"$folder/registry.pid"
  inside_gateway "$folder"
  wait_until 20 port_answers "$BEHIND_REGISTRY"
  wait_until 20 port_answers "${HOME_REGISTRY#*:}"
}

# Starts the gateway over the files of the place.
inside_gateway() { # folder
  LD_LIBRARY_PATH=$TOOLS/stage/libraries GATEWAY=$PLACE/gateway GATEWAY_SOCKET=$1/gateway.sock GATEWAY_REGISTRY=127.0.0.1:${HOME_REGISTRY#*:} \
    GATEWAY_MIRROR=127.0.0.1:${HOME_MIRROR#*:} REGISTRY_ADDRESS=127.0.0.1:$BEHIND_REGISTRY MIRROR_ADDRESS=127.0.0.1:$BEHIND_MIRROR \
    setsid "$TOOLS/stage/haproxy" -W -db -f "$PLACE/gateway/haproxy.cfg" -f "$PLACE/gateway/users.cfg" >>"$1/gateway.log" 2>&1 3>&- &
  echo $! >"$1/gateway.pid"
}

# Ends whatever was started in a folder.
inside_stop() { # folder
  local file
  for file in "$1"/*.pid; do [[ ! -e $file ]] || process_end "$(<"$file")" 5; done
}

# Lets tools log in as a user: prints a folder for DOCKER_CONFIG.
inside_login() { # user
  local auth folder=$PLACE/../login-$1
  auth=$(printf '%s:%s' "$1" "$(<"$PLACE/passwords/$1")" | base64 -w 0)
  mkdir -p "$folder"
  jq -n --arg registry "$HOME_REGISTRY" --arg mirror "$HOME_MIRROR" --arg auth "$auth" \
    '{auths: {($registry): {auth: $auth}, ($mirror): {auth: $auth}}}' >"$folder/config.json"
  echo "$folder"
}

# Asks as a user (- is nobody) and prints the status; the answer is in `answer`, its headers in `headers`. Paths go as they are.
inside_ask() { # user method path words of curl…
  local user=$1 method=$2 path=$3 where=https://$HOME_REGISTRY config=()
  shift 3
  if [[ $path == mirror:* ]]; then where=https://$HOME_MIRROR path=${path#mirror:}; fi
  if [[ $user != - ]]; then
    printf 'user = "%s:%s"\n' "$user" "$(<"$PLACE/passwords/$user")" >asking
    config=(--config asking)
  fi
  if [[ $method == HEAD ]]; then config+=(--head); else config+=(--request "$method"); fi
  curl --silent --path-as-is --max-time 20 --cacert "$PLACE/ca/ca.pem" --output answer --dump-header headers --write-out '%{http_code}' \
    "${config[@]}" "$@" "$where$path"
}

# Fails unless an answer has this status.
inside_is() { # status user method path words…
  local wanted=$1 got
  shift
  got=$(inside_ask "$@")
  [[ $got == "$wanted" ]] || {
    echo "$* was answered $got, not $wanted: $(cat answer 2>/dev/null)" >&2
    return 1
  }
}

# The same for many: reads lines USER METHOD PATH, prints a line STATUS USER METHOD PATH for each. One program asks them all.
inside_ask_all() {
  local user method path next=''
  while read -r user method path; do
    if [[ $next ]]; then echo next; fi
    next=1
    printf 'url = "https://%s%s"\nrequest = "%s"\nuser = "%s:%s"\n' "$HOME_REGISTRY" "${path//\"/\\\"}" "$method" "$user" "$(<"$PLACE/passwords/$user")"
    printf 'silent\npath-as-is\nmax-time = 20\ncacert = "%s"\noutput = "answer"\n' "$PLACE/ca/ca.pem"
    printf 'header = "Content-Type: application/vnd.oci.image.manifest.v1+json"\n'
    [[ $method != HEAD ]] || echo head
    printf 'write-out = "%%{http_code} %s %s %s\\n"\n' "$user" "$method" "${path//[\"%]/_}"
  done >questions
  curl --config questions
}

# Starts an upstream for the mirror, with a certificate of an authority of its own; sets UPSTREAM (localhost:PORT).
upstream_start() { # folder
  local folder=$1
  if [[ ! ${UPSTREAM:-} ]]; then
    UPSTREAM=localhost:$(free_port)
    mkdir -p "$folder/upstream"
    make_authority "$folder/upstream-tls"
    cat >"$folder/upstream.yaml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $folder/upstream}, delete: {enabled: true}}
http: {addr: "127.0.0.1:${UPSTREAM#*:}", tls: {certificate: $folder/upstream-tls/cert.pem, key: $folder/upstream-tls/key.pem}}
YAML
  fi
  setsid docker-registry serve "$folder/upstream.yaml" >>"$folder/upstream.log" 2>&1 3>&- &
  echo $! >"$folder/upstream.pid"
  wait_until 20 port_answers "${UPSTREAM#*:}"
}

upstream_stop() { process_end "$(<"$1/upstream.pid")" 5; } # folder

# Starts the mirror as its container does, in a shell that has nothing but busybox. Words are settings that win.
mirror_start() { # folder NAME=VALUE…
  local folder=$1
  shift
  mkdir -p "$folder/programs" "$folder/tmp"
  ln -sf "$(realpath "$TOOLS/bin/docker-registry")" "$folder/programs/registry"
  for name in sh sleep grep sed tr wc mktemp mkdir cat wget; do ln -sf "$TOOLS/stage/busybox" "$folder/programs/$name"; done
  setsid env -i PATH="$folder/programs" TMPDIR="$folder/tmp" MIRROR_UPSTREAM="https://$UPSTREAM" MIRROR_UPSTREAM_CA_FILE="$folder/upstream-tls/ca.pem" \
    MIRROR_ADDRESS="127.0.0.1:$BEHIND_MIRROR" MIRROR_STORAGE="$PLACE/data/mirror" MIRROR_USERS="$PLACE/mirror/htpasswd" MIRROR_EVERY=1 MIRROR_PATIENCE=3 \
    "$@" sh "$ROOT/airgap/mirror/start" >>"$folder/mirror.log" 2>&1 3>&- &
  echo $! >"$folder/mirror.pid"
}

mirror_stop() { process_end "$(<"$1/mirror.pid")" 10; } # folder
