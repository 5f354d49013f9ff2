# The mirror: a cache that is there when its upstream is not, and that nobody writes to.

bats_require_minimum_version 1.5.0

accept='Accept: application/vnd.oci.image.manifest.v1+json'

setup_file() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/inside.bash"
  upstream_start "$BATS_FILE_TMPDIR"
  inside_start "$BATS_FILE_TMPDIR" --mirror "https://$UPSTREAM" --mirror-ca "$BATS_FILE_TMPDIR/upstream-tls/ca.pem"
  export ROOT PLACE HOME_REGISTRY HOME_MIRROR BEHIND_REGISTRY BEHIND_MIRROR UPSTREAM
  cd "$BATS_FILE_TMPDIR"
  export SSL_CERT_FILE=$BATS_FILE_TMPDIR/upstream-tls/ca.pem
  for name in kept other later; do
    BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR push_image "$UPSTREAM/library/$name" "of $name" >"$name.image"
    oras tag "$(<"$name.image")" 1
  done
  mirror_start "$BATS_FILE_TMPDIR"
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/inside.bash"
  inside_stop "$BATS_FILE_TMPDIR"
}

setup() {
  source "$BATS_TEST_DIRNAME/inside.bash"
  WORLD=$BATS_FILE_TMPDIR
  cd "$BATS_TEST_TMPDIR"
  port_answers "${UPSTREAM#*:}" || upstream_start "$WORLD"
  process_alive "$(<"$WORLD/mirror.pid")" || mirror_start "$WORLD"
  wait_until 30 serves proxy
}

# True when the mirror said last that it serves in this way, and answers.
serves() { # proxy|stand-in
  local said='as its proxy'
  [[ $1 == proxy ]] || said='serving what is here'
  [[ $(grep '^start: .*serving' "$WORLD/mirror.log" | tail -n 1) == *"$said"* ]] && inside_is 200 reader GET mirror:/v2/
}

digest() { sed 's/.*@//' "$WORLD/$1.image"; } # name

# Pulls an image whole, manifest by digest and by tag, and every blob, and holds the bytes to their digests.
pull() { # name
  local blob
  inside_is 200 reader GET "mirror:/v2/library/$1/manifests/1" --header "$accept" || return 1
  inside_is 200 reader GET "mirror:/v2/library/$1/manifests/$(digest "$1")" --header "$accept" || return 1
  [[ sha256:$(sha256sum <answer) == "$(digest "$1")  -" ]] || return 1
  for blob in $(jq -r '.config.digest, .layers[].digest' answer); do
    inside_is 200 reader GET "mirror:/v2/library/$1/blobs/$blob" || return 1
    [[ sha256:$(sha256sum <answer) == "$blob  -" ]] || return 1
  done
}

# Asks the mirror behind the gateway's back, with the gateway's own credentials, and prints the status.
behind() { # method path words…
  local method=$1 path=$2
  shift 2
  curl --silent --output answer --write-out '%{http_code}' --request "$method" --config <(printf 'header = "Authorization: %s"\n' \
    "$(sed -n 's/^mirror //p' "$PLACE/gateway/credentials.map")") "$@" "http://127.0.0.1:$BEHIND_MIRROR$path"
}

# Every way of writing, tried at the mirror itself.
refuses_pushes() {
  local method path got
  inside_is 200 reader GET "mirror:/v2/library/kept/manifests/$(digest kept)" --header "$accept"
  mv answer manifest
  while read -r method path; do
    got=$(behind "$method" "$path" --header "Content-Type: ${accept#*: }" --data-binary @manifest)
    [[ $got == 405 ]] || {
      echo "$method $path was answered $got" >&2
      return 1
    }
  done <<TRIED
POST /v2/library/kept/blobs/uploads/
PUT /v2/library/kept/manifests/1
PUT /v2/library/kept/manifests/$(digest kept)
DELETE /v2/library/kept/manifests/$(digest kept)
DELETE /v2/library/kept/blobs/$(digest kept)
TRIED
}

@test "an image comes through the mirror as it is upstream, and from its cache afterwards" {
  pull kept
  refuses_pushes
  wait_until 10 cached kept
}

# True when the storage of the mirror holds an image's manifest.
cached() { [[ -s $PLACE/data/mirror/docker/registry/v2/blobs/sha256/$(digest "$1" | sed -E 's/sha256:((..).*)/\2\/\1/')/data ]]; } # name

@test "with its upstream away it serves what it has, by tag and by digest, refuses every push, and takes up again when the upstream is back" {
  pull kept
  wait_until 10 cached kept
  upstream_stop "$WORLD"
  # At once, and when it has seen that nobody is there.
  inside_is 200 reader GET "mirror:/v2/library/kept/manifests/$(digest kept)" --header "$accept"
  wait_until 30 serves stand-in
  pull kept
  inside_is 404 reader GET mirror:/v2/library/other/manifests/1 --header "$accept"
  refuses_pushes
  upstream_start "$WORLD"
  wait_until 30 serves proxy
  pull other
  refuses_pushes
}

@test "restarted while its upstream is away, which the registry alone does not survive, it serves its cache and refuses every push" {
  local code=0
  pull kept
  wait_until 10 cached kept
  upstream_stop "$WORLD"
  mirror_stop "$WORLD"
  # As registry:2 does it.
  cat >alone.yaml <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $BATS_TEST_TMPDIR/alone}}
http: {addr: "127.0.0.1:0"}
proxy: {remoteurl: "https://$UPSTREAM"}
YAML
  timeout 20 docker-registry serve alone.yaml >alone.log 2>&1 || code=$?
  ((code == 2)) && grep -q panic alone.log
  mirror_start "$WORLD"
  wait_until 30 serves stand-in
  pull kept
  inside_is 404 reader GET mirror:/v2/library/later/manifests/1 --header "$accept"
  refuses_pushes
  upstream_start "$WORLD"
  wait_until 30 serves proxy
  pull later
}

@test "an upstream that takes the connection and says nothing counts as away" {
  upstream_stop "$WORLD"
  mirror_stop "$WORLD"
  setsid "$TOOLS/stage/busybox" nc -ll -p "${UPSTREAM#*:}" -e "$TOOLS/stage/busybox" sleep 60 >/dev/null 2>&1 3>&- &
  echo $! >"$WORLD/silent.pid"
  wait_until 5 port_answers "${UPSTREAM#*:}"
  mirror_start "$WORLD"
  wait_until 30 serves stand-in
  process_end "$(<"$WORLD/silent.pid")" 2
  rm "$WORLD/silent.pid"
}

@test "an upstream with another certificate than its authority's counts as away: the cache is served, and nothing of it" {
  make_authority "$BATS_TEST_TMPDIR/stranger"
  mirror_stop "$WORLD"
  mirror_start "$WORLD" "MIRROR_UPSTREAM_CA_FILE=$BATS_TEST_TMPDIR/stranger/ca.pem"
  wait_until 30 serves stand-in
  mirror_stop "$WORLD"
}

@test "the registry that dies is started again" {
  local before
  before=$(pgrep --oldest -P "$(<"$WORLD/mirror.pid")" registry)
  kill -KILL "$before"
  wait_until 30 replaced "$before"
  wait_until 30 serves proxy
  pull kept
}

replaced() { [[ $(pgrep --oldest -P "$(<"$WORLD/mirror.pid")" registry) != "$1" ]] && port_answers "$BEHIND_MIRROR"; } # pid

@test "asked to stop it stops at once and leaves nobody behind" {
  local pid
  pid=$(<"$WORLD/mirror.pid")
  kill -TERM "$pid"
  wait_until 5 gone "$pid"
  run pgrep --session "$pid" registry
  [[ ! $output ]]
}

gone() { ! process_alive "$1"; } # pid

@test "the upstream's password is in a file that nobody else reads, and in no log, environment or list of processes" {
  local secret='it'\''s "secret": {#} nowhere-but-here' pid
  mirror_stop "$WORLD"
  echo ada >user
  printf '%s\n' "$secret" >password
  mirror_start "$WORLD" "MIRROR_USER_FILE=$PWD/user" "MIRROR_PASSWORD_FILE=$PWD/password"
  wait_until 30 serves proxy
  pull kept
  pid=$(<"$WORLD/mirror.pid")
  {
    cat "$WORLD/mirror.log"
    ps axww -o args
    for pid in "$pid" $(pgrep --session "$pid"); do tr '\0' '\n' <"/proc/$pid/environ" || true; done
  } >said 2>/dev/null
  grep -q "MIRROR_UPSTREAM=https://$UPSTREAM" said
  run grep -c 'nowhere-but-here' said
  [[ $output == 0 ]]
  # What the registry reads is what was given, whatever signs are in it.
  pid=$(find "$WORLD/tmp" -name proxy.yml -newer password)
  [[ $(stat -c %a "$pid") == 600 ]]
  grep -qF "password: 'it''s \"secret\": {#} nowhere-but-here'" "$pid"
  mirror_stop "$WORLD"
}

@test "a setting that would be unsafe or cannot be is refused with a sentence" {
  local start=(env -i PATH="$WORLD/programs" MIRROR_USERS="$PLACE/mirror/htpasswd" MIRROR_ADDRESS=127.0.0.1:1 sh "$ROOT/airgap/mirror/start")
  refused 78 "is no https:// address" "${start[@]}"
  refused 78 "has a password in it" "${start[@]:0:2}" PATH="$WORLD/programs" MIRROR_UPSTREAM=https://ada:hidden@hub.example sh "$ROOT/airgap/mirror/start"
  [[ $stderr != *hidden* ]]
  refused 78 "is no https:// address" "${start[@]:0:5}" MIRROR_UPSTREAM=http://hub.example sh "$ROOT/airgap/mirror/start"
  refused 78 "is no address" "${start[@]:0:5}" MIRROR_UPSTREAM='https://hub.example" evil: yes' sh "$ROOT/airgap/mirror/start"
  refused 78 "without it everybody could ask" "${start[@]:0:5}" MIRROR_UPSTREAM=https://hub.example MIRROR_USERS=/nowhere sh "$ROOT/airgap/mirror/start"
  echo ada >user
  refused 78 "no password" "${start[@]:0:5}" MIRROR_UPSTREAM=https://hub.example MIRROR_USER_FILE="$PWD/user" sh "$ROOT/airgap/mirror/start"
}
