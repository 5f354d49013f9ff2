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

# Runs skopeo, which reads the files of Podman's family as Podman does, on a machine that has only a home. Every way out of it leads to a
# listener that notes in `outside` who was asked for.
skopeo_at() { # home words…
  local home=$1
  shift
  env -i PATH="$PATH" HOME="$home" HTTPS_PROXY="http://127.0.0.1:$WAY_OUT" HTTP_PROXY="http://127.0.0.1:$WAY_OUT" skopeo "$@"
}

# Starts that listener; sets WAY_OUT, its port.
way_out_start() {
  printf '#!/bin/sh\nread -r line\necho "$line" >>%s/outside\n' "$PWD" >note
  chmod +x note
  WAY_OUT=$(free_port)
  setsid "$TOOLS/stage/busybox" nc -ll -p "$WAY_OUT" -e "$PWD/note" >/dev/null 2>&1 3>&- &
  echo $! >"$WORLD/way_out.pid"
  wait_until 5 port_answers "$WAY_OUT"
  # That was us.
  wait_until 5 test -e outside
  rm outside
}

@test "what is written for Podman's family leads to the mirror, by digest and with the machine's certificate, and never outside" {
  local name log=$WORLD/gateway.log
  "$ROOT/scripts/setup" skopeo
  way_out_start
  "$ROOT/airgap/client/configure" "$HOME_REGISTRY" --mirror-port "${HOME_MIRROR#*:}" --ca "$PLACE/ca/ca.pem" --out client \
    --cert "$PLACE/machines/machine.cert" --key "$PLACE/machines/machine.key"
  mkdir -p home/.config
  cp -R client/containers home/.config/
  # A policy is the site's: names stay what they are outside, and it is they that it is asked about.
  jq -n --arg registry "$HOME_REGISTRY" '[{type: "insecureAcceptAnything"}] as $yes
    | {default: [{type: "reject"}], transports: {docker: {"docker.io": $yes, ($registry): $yes}, dir: {"": $yes}}}' >home/.config/containers/policy.json
  skopeo_at home copy "docker://docker.io/library/kept@$(digest kept)" dir:copied
  [[ sha256:$(sha256sum <copied/manifest.json) == "$(digest kept)  -" ]]
  grep "machine GET /v2/library/kept/manifests/$(digest kept) 200" "$log"
  grep 'machine GET /v2/library/kept/blobs/sha256:.* 200' "$log"
  # The registry inside, with a login.
  skopeo_at home copy --authfile "$(inside_login publisher)/config.json" dir:copied "docker://$HOME_REGISTRY/mini/kept-rc:1"
  skopeo_at home copy --authfile "$(inside_login reader)/config.json" "docker://$HOME_REGISTRY/mini/kept-rc@$(digest kept)" dir:again
  diff -r copied again
  # What the mirror does not have, and a mirror that does not answer, send nobody elsewhere.
  run skopeo_at home inspect --raw "docker://docker.io/library/absent@$(digest kept)"
  [[ $status != 0 && $output == *"$HOME_MIRROR/library/absent"* ]]
  mirror_stop "$WORLD"
  run skopeo_at home inspect --raw "docker://docker.io/library/kept@$(digest kept)"
  [[ $status != 0 && $output == *503* ]]
  for name in quay.io ghcr.io gcr.io registry.k8s.io mcr.microsoft.com public.ecr.aws registry.gitlab.com registry.access.redhat.com; do
    run skopeo_at home inspect --raw "docker://$name/mini/kept@$(digest kept)"
    [[ $status != 0 && $output == *"registry $name is blocked"* ]]
  done
  [[ ! -e outside ]]
  # The one thing that no file keeps inside: a list of tags is asked of the name itself.
  run skopeo_at home list-tags docker://docker.io/library/kept
  [[ $status != 0 ]]
  grep '^CONNECT registry-1.docker.io:443' outside
  rm outside
  # The same without our files would have gone there.
  cp -R home bare
  rm bare/.config/containers/registries.conf
  run skopeo_at bare inspect --raw "docker://docker.io/library/kept@$(digest kept)"
  [[ $status != 0 ]]
  run skopeo_at bare inspect --raw "docker://quay.io/mini/kept@$(digest kept)"
  [[ $status != 0 ]]
  grep '^CONNECT registry-1.docker.io:443' outside
  grep '^CONNECT quay.io:443' outside
  # And without the authority or the certificate beside them nobody is believed.
  mirror_start "$WORLD"
  wait_until 30 serves proxy
  skopeo_at home inspect --raw "docker://docker.io/library/kept@$(digest kept)"
  rm "home/.config/containers/certs.d/$HOME_MIRROR/client".*
  run skopeo_at home inspect --raw "docker://docker.io/library/kept@$(digest kept)"
  [[ $status != 0 && $output == *nauthorized* ]]
  rm -r home/.config/containers/certs.d
  run skopeo_at home inspect --raw "docker://docker.io/library/kept@$(digest kept)"
  [[ $status != 0 && $output == *"unknown authority"* ]]
  process_end "$(<"$WORLD/way_out.pid")" 2
  rm "$WORLD/way_out.pid"
}

# Runs Podman on a machine of Debian's whose /etc/containers is this folder, with the same listener. Nothing of it stays.
podman_at() { # folder words…
  unshare --mount --propagation private bash -euo pipefail -c '
    mount -t tmpfs tmpfs "$1"
    mkdir "$1"/{upper,work,root}
    mount -t overlay overlay -o "lowerdir=$TOOLS/podman/root,upperdir=$1/upper,workdir=$1/work" "$1/root"
    cp -R "$2/." "$1/root/etc/containers/"
    mount -t proc proc "$1/root/proc"
    mount -t sysfs -o ro sysfs "$1/root/sys"
    mount -t tmpfs tmpfs "$1/root/run"
    for node in null zero full random urandom; do
      touch "$1/root/dev/$node"
      mount --bind "/dev/$node" "$1/root/dev/$node"
    done
    exec env -i PATH=/usr/sbin:/usr/bin HTTPS_PROXY="$3" HTTP_PROXY="$3" chroot "$1/root" podman --storage-driver vfs "${@:4}"' podman \
    "$PWD/machine" "$1" "http://127.0.0.1:$WAY_OUT" "${@:2}"
}

# bats test_tags=full
@test "Podman pulls by digest through the mirror and from the registry inside, and goes nowhere else, not even for a short name" {
  local image name
  ((EUID == 0)) || skip "Podman's machine is made by root"
  "$ROOT/scripts/setup" podman
  way_out_start
  "$ROOT/airgap/client/configure" "$HOME_REGISTRY" --mirror-port "${HOME_MIRROR#*:}" --ca "$PLACE/ca/ca.pem" --out client \
    --cert "$PLACE/machines/machine.cert" --key "$PLACE/machines/machine.key"
  mkdir machine
  inside_is 200 reader GET "mirror:/v2/library/other/manifests/$(digest other)" --header "$accept"
  image=$(jq -r .config.digest answer)
  [[ sha256:$(podman_at client/containers pull --quiet "docker.io/library/other@$(digest other)") == "$image" ]]
  grep "machine GET /v2/library/other/manifests/$(digest other) 200" "$WORLD/gateway.log"
  DOCKER_CONFIG=$(inside_login publisher) SSL_CERT_FILE=$PLACE/ca/ca.pem BATS_TEST_TMPDIR=$PWD push_image "$HOME_REGISTRY/mini/podman-rc" "for Podman" >image
  cp "$(inside_login reader)/config.json" client/containers/auth.json
  [[ $(podman_at client/containers pull --quiet --authfile /etc/containers/auth.json "$(<image)") =~ ^[0-9a-f]{64}$ ]]
  for name in "docker.io/library/absent@$(digest other)" "quay.io/mini/other@$(digest other)" "other@$(digest other)" other:1; do
    run podman_at client/containers pull --quiet "$name"
    [[ $status != 0 && ($output == *"$HOME_MIRROR/library/absent"* || $output == *"registry quay.io is blocked"* || $output == *"short-name"*) ]]
  done
  [[ ! -e outside ]]
  # The same without our files would have gone there.
  mkdir bare
  run podman_at bare pull --quiet "docker.io/library/other@$(digest other)"
  [[ $status != 0 ]]
  grep '^CONNECT registry-1.docker.io:443' outside
  # And without the authority nobody is believed.
  rm -r client/containers/certs.d
  run podman_at client/containers pull --quiet "docker.io/library/other@$(digest other)"
  [[ $status != 0 && $output == *"unknown authority"* ]]
  process_end "$(<"$WORLD/way_out.pid")" 2
  rm "$WORLD/way_out.pid"
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
