# The registries on a real Docker Engine, in a network without a way out: from nothing to pulls by digest, and a build through the mirror.
# Run by tests/registries/closed.

bats_require_minimum_version 1.5.0

setup_file() {
  local name digest
  # In a network with a way out it would show nothing, and the engine is the machine's own.
  [[ ${CLOSED:-} ]] || { echo "this file is run by tests/registries/closed, as root" >&2 && false; }
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  export ROOT DESK=$CLOSED/desk PLACE=$CLOSED/desk/inside TRUST=$CLOSED/trust TRUST_PIN=$CLOSED/pin COSIGN_PASSWORD=only-for-tests
  house
  # Where the page is typed, line by line.
  mkdir -p "$DESK"
  ln -s "$ROOT"/{airgap,scripts} "$DESK/"
  cp "$UPSTREAM_CA" "$DESK/upstream-ca.pem"
  # Images upstream, which is Docker Hub to those behind the mirror.
  for name in haproxy registry; do
    digest=$(jq -r '.manifests[0].digest' "$CLOSED/carried/$name/index.json")
    SSL_CERT_FILE=$UPSTREAM_CA command oras cp --from-oci-layout "$CLOSED/carried/$name@$digest" "$UPSTREAM/library/$name@$digest"
    export "${name^^}_IMAGE=$UPSTREAM/library/$name@$digest"
  done
  # And one of which the engine has nothing yet.
  image_begin "$CLOSED/thing.folder"
  echo 'a thing' >"$CLOSED/thing.folder/etc/thing"
  image_of_folder "$CLOSED/thing" "$CLOSED/thing.folder" '{"Env": ["PATH=/bin"], "Cmd": ["sh"], "User": "65532:65532"}'
  THING=$(jq -r '.manifests[0].digest' "$CLOSED/thing/index.json")
  export THING
  SSL_CERT_FILE=$UPSTREAM_CA command oras cp --from-oci-layout "$CLOSED/thing@$THING" "$UPSTREAM/library/thing@$THING"
  # Nothing is there, and nothing was pulled.
  [[ ! $(docker image ls --quiet) ]]
  SSL_CERT_FILE=$UPSTREAM_CA page 1
  SHA256_OF_THE_SHEET=$(sha256sum <"$DESK/carried/images.env" | cut -d ' ' -f 1) page 2
  # The machine becomes a client of what it runs.
  page 4
  cp -R "$DESK/client/docker/certs.d" /etc/docker/
  jq -s '.[0] + .[1]' "$CLOSED/engine/daemon.json" "$DESK/client/docker/daemon.json" >"$CLOSED/daemon.new"
  mv "$CLOSED/daemon.new" "$CLOSED/engine/daemon.json"
  kill -HUP "$(<"$CLOSED/engine/pid")"
  wait_until 20 mirrored
}

# Runs the n-th block of commands of the page.
page() { # n
  local script
  script=$(awk -v wanted="$1" '/^```bash$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside && n == wanted' "$ROOT/docs/registries.md")
  [[ $script ]]
  (cd "$DESK" && bash -euo pipefail -c "$script") >"$DESK/page.log" 2>&1 || {
    printf '%s\n' "$script" >&2
    cat "$DESK/page.log" >&2
    return 1
  }
}

teardown_file() {
  [[ ${CLOSED:-} ]] || return 0
  "$ROOT/airgap/bootstrap" compose --out "$PLACE" down --timeout 5 >/dev/null 2>&1 || true
}

# Takes in what the tests share.
house() {
  local part
  source "$ROOT/tests/refused.bash"
  for part in project log network process engine oci; do
    # shellcheck source=/dev/null
    source "$ROOT/scripts/lib/$part.sh"
  done
  source "$ROOT/tests/release/registries.bash"
  source "$ROOT/tests/deploy/images.bash"
  source "$ROOT/tests/registries/builder.bash"
}

setup() {
  house
  cd "$BATS_TEST_TMPDIR"
}

mirrored() { docker info --format '{{json .RegistryConfig.Mirrors}}' | grep -q "$CLOSED_NAME:5000"; }

services() { "$ROOT/airgap/bootstrap" compose --out "$PLACE" "$@"; }

container() { services ps --quiet "$1"; } # service

healthy() { [[ $(docker inspect --format '{{.State.Health.Status}}' "$(container "$1")") == healthy ]]; } # service

# The address of a service's container on a network.
address() { docker inspect "$(container "$1")" | jq -r --arg network "registries-registry-intra-443_$2" '.[0].NetworkSettings.Networks[$network].IPAddress'; } # service network

# Logs the engine in as a user, with a folder of its own; the password comes by standard input.
login() { # user
  export DOCKER_CONFIG=$BATS_TEST_TMPDIR/login-$1
  mkdir -p "$DOCKER_CONFIG"
  cp "$TOOLS/docker/config/config.json" "$DOCKER_CONFIG/"
  docker login --username "$1" --password-stdin "$CLOSED_NAME" <"$PLACE/passwords/$1"
}

# Prints the status of a request as a user.
ask() { # user method path
  curl --silent --output /dev/null --write-out '%{http_code}' --request "$2" --cacert "$PLACE/ca/ca.pem" \
    --config <(printf 'user = "%s:%s"\n' "$1" "$(<"$PLACE/passwords/$1")") "https://$CLOSED_NAME$3"
}

@test "from an empty closed network one command makes everything, and a second call keeps it and says so" {
  local service file
  for service in gateway registry mirror; do healthy "$service"; done
  [[ $(ask reader GET /v2/) == 200 ]]
  grep -q "SHA-256 of trust.json" "$PLACE/sheet.txt"
  for file in "$PLACE"/passwords/*; do
    run grep --count --fixed-strings --file "$file" "$PLACE/sheet.txt"
    [[ $output == 0 ]]
  done
  (cd "$PLACE" && find . -type f -not -path './data/*' -not -name sheet.txt -not -name haproxy.cfg -print0 | sort -z | xargs -0 sha256sum) >before
  docker ps --quiet --no-trunc | sort >running
  run --separate-stderr "$ROOT/airgap/bootstrap" "$CLOSED_NAME" --out "$PLACE"
  [[ $status == 0 && $stderr == *"authority is there already"*"users are there already"*"keys are there already"*"trust root is there already"*"images are chosen already"*"nothing was restarted"* ]]
  (cd "$PLACE" && sha256sum --quiet --check) <before
  docker ps --quiet --no-trunc | sort | diff running -
  refused 78 "is of $CLOSED_NAME" "$ROOT/airgap/bootstrap" elsewhere.intra --out "$PLACE"
}

# Prints which container each service is and since when.
since() { services ps --quiet | xargs docker inspect --format '{{index .Config.Labels "com.docker.compose.service"}} {{.Id}} {{.State.StartedAt}}' | sort; }

# Fails unless these services were started anew since the file was written, and no other.
restarted() { # file service…
  local file=$1
  shift
  [[ $(since | diff "$file" - | sed -n 's/^> \([a-z]*\) .*/\1/p' | tr '\n' ' ') == "${*:+$* }" ]] || {
    since | diff "$file" - >&2
    return 1
  }
}

@test "a second call brings what changed into force, and only that, and says so" {
  local again=("$DESK/kit/airgap/bootstrap" "$CLOSED_NAME" --out "$PLACE") worker upstream service
  # A kit of this test's own, in which something can change. Its folder is another, which makes the mirror anew.
  mkdir "$DESK/kit"
  cp -R "$ROOT"/{airgap,scripts,Cargo.toml} "$DESK/kit/"
  ln -s "$TOOLS" "$DESK/kit/.tools"
  "${again[@]}"
  since >before
  run --separate-stderr "${again[@]}"
  [[ $status == 0 && $stderr == *"nothing was restarted"* ]]
  restarted before
  # The gateway's rules: it reads them while it serves.
  worker=$(gateway_worker)
  [[ $(curl --silent --cacert "$PLACE/ca/ca.pem" "https://$CLOSED_NAME/v2/" | jq -r '.errors[0].message') == "log in" ]]
  sed -i 's/"message":"log in"/"message":"log in, please"/' "$DESK/kit/airgap/gateway/haproxy.cfg"
  run --separate-stderr "${again[@]}"
  [[ $status == 0 && $stderr == *"gateway has read its new files"* && $stderr != *"is restarted"* ]]
  restarted before
  wait_until 10 eval '[[ $(gateway_worker) != "$worker" ]]'
  [[ $(curl --silent --cacert "$PLACE/ca/ca.pem" "https://$CLOSED_NAME/v2/" | jq -r '.errors[0].message') == "log in, please" ]]
  # The registry's configuration.
  sed -i 's/level: info/level: debug/' "$DESK/kit/airgap/registry/config.yaml.in"
  run --separate-stderr "${again[@]}"
  [[ $status == 0 && $stderr == *"registry is restarted, as its files are new"* ]]
  restarted before registry
  services exec -T registry grep 'level: debug' /etc/registry/config.yaml
  healthy registry
  # The credentials at the upstream.
  since >before
  echo ada >ada && echo of-ada >password
  run --separate-stderr "${again[@]}" --mirror-user "$PWD/ada" --mirror-password "$PWD/password"
  [[ $status == 0 && $stderr == *"mirror is restarted, as its files are new"* ]]
  restarted before mirror
  [[ $(services exec -T mirror cat /run/secrets/mirror_user) == ada ]]
  # The upstream itself, which is a setting: the engine makes the mirror anew.
  since >before
  upstream=$(sed -n 's/^MIRROR_UPSTREAM=//p' "$PLACE/settings.env")
  sed -i 's#^MIRROR_UPSTREAM=.*#MIRROR_UPSTREAM=https://10.99.0.3:5443#' "$PLACE/settings.env"
  run --separate-stderr "${again[@]}"
  [[ $status == 0 && $stderr == *"mirror was started"* && $stderr != *"is restarted"* ]]
  restarted before mirror
  services logs mirror | grep 'https://10.99.0.3:5443 does not answer'
  # Without one there is no mirror, and with one again there is.
  sed -i 's#^MIRROR_UPSTREAM=.*#MIRROR_UPSTREAM=#' "$PLACE/settings.env"
  run --separate-stderr "${again[@]}"
  [[ $status == 0 && $stderr == *"mirror was taken away"* && ! $(container mirror 2>/dev/null) ]]
  sed -i "s#^MIRROR_UPSTREAM=.*#MIRROR_UPSTREAM=$upstream#" "$PLACE/settings.env"
  "${again[@]}" --mirror-user /dev/null --mirror-password /dev/null
  # A call that ended before its work was done is made good by the next one.
  since >before
  sed -i '/^registry /d' "$PLACE/in-force"
  "${again[@]}"
  restarted before registry
  # As it was for whoever comes after.
  "$ROOT/airgap/bootstrap" "$CLOSED_NAME" --out "$PLACE"
  for service in gateway registry mirror; do healthy "$service"; done
}

# Prints the process of the gateway that serves.
gateway_worker() { pgrep --newest --parent "$(docker inspect --format '{{.State.Pid}}' "$(container gateway)")"; }

@test "carried images that are not what the sheet says are refused before anything of them is loaded" {
  local blob before sha256 bootstrap=("$ROOT/airgap/bootstrap" other.intra:8443 --audience mini --out "$BATS_TEST_TMPDIR/other")
  export TRUST=$BATS_TEST_TMPDIR/trust TRUST_PIN=$BATS_TEST_TMPDIR/pin
  sha256=$(sha256sum <"$DESK/carried/images.env" | cut -d ' ' -f 1)
  before=$(docker image ls --quiet --no-trunc | sort)
  refused 64 "which images" "${bootstrap[@]}"
  refused 65 "is not what the sheet says" "${bootstrap[@]}" --images "$DESK/carried" --sha256 "${sha256//[0-9]/a}"
  refused 66 "there is no" "${bootstrap[@]}" --images "$BATS_TEST_TMPDIR" --sha256 "$sha256"
  cp -R "$DESK/carried" damaged
  blob=$(jq -r '.layers[0].digest | ltrimstr("sha256:")' "damaged/haproxy/blobs/sha256/$(jq -r '.manifests[0].digest | ltrimstr("sha256:")' damaged/haproxy/index.json)")
  printf x | dd of="damaged/haproxy/blobs/sha256/$blob" bs=1 seek=100 conv=notrunc status=none
  refused 65 "is damaged: blobs/sha256/$blob" "${bootstrap[@]}" --images damaged --sha256 "$sha256"
  rm "damaged/haproxy/blobs/sha256/$blob"
  refused 66 "lacks blobs/sha256/$blob" "${bootstrap[@]}" --images damaged --sha256 "$sha256"
  [[ $(docker image ls --quiet --no-trunc | sort) == "$before" ]]
}

@test "every container is locked down, within limits, and cannot write into its image" {
  local service id
  for service in gateway registry mirror; do
    id=$(container "$service")
    docker inspect "$id" | jq -e '.[0].HostConfig | .ReadonlyRootfs and .CapDrop == ["ALL"] and (.CapAdd | length) == 0 and (.Privileged | not)
      and (.SecurityOpt | index("no-new-privileges:true")) and .Memory > 0 and .NanoCpus > 0 and .PidsLimit > 0
      and .LogConfig.Config["max-size"] == "10m" and .LogConfig.Config["max-file"] == "5"'
    [[ $(docker inspect --format '{{.Config.User}}' "$id") == 65532:65532 ]]
    run docker exec "$id" sh -c 'echo written >/written'
    [[ $status != 0 && $output == *"Read-only file system"* ]]
    # And as the kernel sees it: no capability, no way to gain one, no root.
    awk '/^(CapEff|CapBnd):/ { if ($2 !~ /^0+$/) exit 1 } /^NoNewPrivs:/ { if ($2 != 1) exit 1 } /^Uid:/ { if ($2 == 0) exit 1 }' \
      "/proc/$(docker inspect --format '{{.State.Pid}}' "$id")/status"
  done
}

@test "nothing but the gateway is published, and nothing but the gateway reaches the registry and the mirror" {
  local image registry mirror network=registries-registry-intra-443 asking=(timeout 3 wget -q -O -)
  [[ $(docker ps --format '{{.Ports}}' | grep -o '0.0.0.0:[0-9]*' | sort | tr '\n' ' ') == "0.0.0.0:443 0.0.0.0:5000 " ]]
  image=$(sed -n 's/^REGISTRY_IMAGE=//p' "$PLACE/images.env")
  registry=$(address registry inside) mirror=$(address mirror cache)
  # First what must succeed: the addresses are theirs, and whatever asks below can ask.
  [[ $registry =~ ^10\.210\.[0-9]+\.[0-9]+$ && $mirror =~ ^10\.210\.[0-9]+\.[0-9]+$ && $registry != "$mirror" ]]
  services exec -T gateway "${asking[@]}" http://registry:5000/
  services exec -T gateway "${asking[@]}" http://mirror:5000/
  docker run --rm --network "${network}_inside" --entrypoint timeout "$image" "${asking[@]:1}" "http://$registry:5000/"
  docker run --rm --network "${network}_cache" --entrypoint timeout "$image" "${asking[@]:1}" "http://$mirror:5000/"
  timeout 3 bash -c "exec 3<>/dev/tcp/$(address gateway door)/8443"
  # The upstream answers whoever reaches it, though it wants another protocol.
  run services exec -T mirror timeout 3 wget -O - "http://$UPSTREAM/"
  [[ $output == *"400 Bad Request"* ]]
  # Then what must not: from the machine, from the gateway's other network, from one to the other.
  run timeout 3 bash -c "exec 3<>/dev/tcp/$registry/5000"
  [[ $status != 0 ]]
  run timeout 3 bash -c "exec 3<>/dev/tcp/$mirror/5000"
  [[ $status != 0 ]]
  run docker run --rm --network "${network}_door" --entrypoint timeout "$image" "${asking[@]:1}" "http://$registry:5000/"
  [[ $status != 0 ]]
  run services exec -T mirror "${asking[@]}" "http://$registry:5000/"
  [[ $status != 0 ]]
  run services exec -T registry "${asking[@]}" "http://$mirror:5000/"
  [[ $status != 0 ]]
  # The registry has no way out.
  run services exec -T registry timeout 3 wget -O - "http://$UPSTREAM/"
  [[ $status != 0 && $output != *"400 Bad Request"* ]]
  # And who is on its network by mistake has no password for it.
  [[ $(docker run --rm --network "${network}_inside" --entrypoint timeout "$image" 3 wget -S -O - http://registry:5000/v2/ 2>&1 || true) == *401* ]]
}

@test "no password is in an inspection, log, list of processes or merged configuration" {
  local file pid
  login reader
  {
    docker ps --all --quiet | xargs docker inspect
    services logs
    services config
    ps axww -o args
    for pid in $(docker ps --quiet | xargs docker inspect --format '{{.State.Pid}}'); do tr '\0' '\n' <"/proc/$pid/environ"; done
  } >said 2>&1
  # The search finds what is there.
  grep -q MIRROR_PASSWORD_FILE said
  awk '{ print $3 }' "$PLACE/gateway/credentials.map" | split -l 1 - behind.
  for file in "$PLACE"/passwords/* behind.*; do
    run grep --count --fixed-strings --file "$file" said
    [[ $output == 0 ]]
  done
}

@test "Docker pulls from Docker Hub's name through the mirror, by digest, with its certificate, and no way out" {
  docker pull "docker.io/library/thing@$THING"
  docker run --rm --entrypoint /bin/busybox "docker.io/library/thing@$THING" true
  # A second machine would be served by the cache.
  docker image rm --force "docker.io/library/thing@$THING"
  services logs gateway | grep "machine GET /v2/library/thing/blobs/sha256:.* 200"
  # What the mirror's door does not know it does not get.
  run docker pull "docker.io/library/absent@$THING"
  [[ $status != 0 ]]
}

@test "the mirror restarted while its upstream is away serves its cache to Docker, and comes back by itself" {
  docker pull "docker.io/library/thing@$THING"
  docker image rm --force "docker.io/library/thing@$THING"
  kill -STOP "$(<"$CLOSED/upstream.pid")"
  services restart --timeout 5 mirror
  wait_until 60 healthy mirror
  docker pull "docker.io/library/thing@$THING"
  services logs mirror | grep 'serving what is here'
  kill -CONT "$(<"$CLOSED/upstream.pid")"
}

@test "a publisher pushes candidates and no release, and a reader pulls and runs by digest what the promoter put there" {
  local digest
  login publisher
  docker pull "docker.io/library/thing@$THING"
  docker tag "docker.io/library/thing@$THING" "$CLOSED_NAME/mini/thing-rc:1"
  docker tag "docker.io/library/thing@$THING" "$CLOSED_NAME/mini/thing:1"
  docker push --quiet "$CLOSED_NAME/mini/thing-rc:1"
  run docker push --quiet "$CLOSED_NAME/mini/thing:1"
  [[ $status != 0 && $output == *"403 Forbidden"* ]]
  login promoter
  docker push --quiet "$CLOSED_NAME/mini/thing:1"
  digest=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$CLOSED_NAME/mini/thing:1" | sed -n "s#^$CLOSED_NAME/mini/thing@##p")
  docker image ls --quiet --no-trunc --filter "reference=$CLOSED_NAME/mini/*" | sort -u | xargs docker image rm --force
  login reader
  docker run --rm --entrypoint /bin/busybox "$CLOSED_NAME/mini/thing@$digest" true
  run docker push --quiet "$CLOSED_NAME/mini/thing:1"
  [[ $status != 0 ]]
  # Nobody at all without a login.
  DOCKER_CONFIG=$BATS_TEST_TMPDIR/nobody
  mkdir -p "$DOCKER_CONFIG"
  docker image rm --force "$CLOSED_NAME/mini/thing@$digest"
  run docker pull "$CLOSED_NAME/mini/thing@$digest"
  [[ $status != 0 && $output == *"log in"* || $output == *"no basic auth credentials"* || $output == *authorization* ]]
}

@test "certificates are renewed in place, and the engine goes on believing" {
  local before after
  before=$(sed -n '/gateway/p' "$PLACE/sheet.txt")
  page 6
  after=$(sed -n '/gateway/p' "$PLACE/sheet.txt")
  [[ $before != "$after" && $(ask reader GET /v2/) == 200 ]]
  login reader
  # The authority's key is wanted for it, and lies elsewhere by then.
  mv "$PLACE/ca/ca.key" ca.key
  refused 66 "the authority's key is not at" "$ROOT/airgap/bootstrap" renew --out "$PLACE"
  mv ca.key "$PLACE/ca/ca.key"
}

@test "users are added and removed while the gateway runs" {
  page 3
  [[ -s $PLACE/machines/build-1.key ]]
  run grep '^ada ' "$PLACE/users"
  [[ ! $output ]]
  "$ROOT/airgap/bootstrap" user ada publisher mini --out "$PLACE"
  wait_until 10 eval '[[ $(ask ada POST /v2/mini/ada-dev/blobs/uploads/) == 202 ]]'
  [[ $(ask ada POST /v2/mini/ada/blobs/uploads/) == 403 && $(ask ada POST /v2/import/ada-dev/blobs/uploads/) == 403 ]]
  cp "$PLACE/passwords/ada" ada
  "$ROOT/airgap/bootstrap" user ada gone --out "$PLACE"
  cp ada "$PLACE/passwords/ada"
  wait_until 10 eval '[[ $(ask ada GET /v2/) == 401 ]]'
  rm "$PLACE/passwords/ada"
}

@test "containerd pulls by its hosts.toml, and a name of elsewhere leads nowhere but to the gateway, which refuses it" {
  local ctr=(ctr --address "$CLOSED/engine/exec/containerd/containerd.sock" --namespace closed)
  "${ctr[@]}" images pull --hosts-dir "$DESK/client/containerd/certs.d" "docker.io/library/thing@$THING"
  "${ctr[@]}" images ls | grep -q "$THING"
  "${ctr[@]}" images rm "docker.io/library/thing@$THING"
  run "${ctr[@]}" images pull --hosts-dir "$DESK/client/containerd/certs.d" "ghcr.io/mini/thing@$THING"
  [[ $status != 0 ]]
  services logs gateway | grep 'HEAD /nothing-of-elsewhere/mini/thing/manifests/.* 401'
  printf '%s:%s' reader "$(<"$PLACE/passwords/reader")" >user
  run "${ctr[@]}" images pull --hosts-dir "$DESK/client/containerd/certs.d" --user "$(<user)" "ghcr.io/mini/thing@$THING"
  [[ $status != 0 ]]
  services logs gateway | grep 'reader HEAD /nothing-of-elsewhere/mini/thing/manifests/.* 403'
}

@test "the Containerfile is built through the mirror: base image by digest, crates beside it, no network" {
  local digest container
  digest=$(building_publish "$UPSTREAM/library/builder")
  CONTEXT=$BUILDING/context BUILDER_DIGEST=$digest page 5
  grep -q "docker.io/library/builder@$digest" "$DESK/page.log"
  container=$(docker create localhost/mini-api:built)
  docker cp "$container:/mini-api" built
  docker rm "$container"
  if [[ ${FULL:-} ]]; then ./built version; else [[ $(./built) == "built of 2 crates" ]]; fi
  # It came by the mirror, which asked upstream; the engine knows no other way.
  services logs gateway | grep "machine GET /v2/library/builder/blobs/"
}
