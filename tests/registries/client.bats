# airgap/client/configure: what machines are told about where to pull from. Engines that read it are in compose.bats.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/inside.bash"
  cd "$BATS_TEST_TMPDIR"
  make_authority "$PWD" registry.intra
  openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out machine.pem -extfile <(echo 'extendedKeyUsage = clientAuth') 2>/dev/null
}

configure() { "$ROOT/airgap/client/configure" "$@"; }

@test "one command from one host name writes everything, and every address in it is inside" {
  configure registry.intra --ca ca.pem --cert machine.pem --key key.pem --out etc
  jq -e '. == {"registry-mirrors": ["https://registry.intra:5000"]}' etc/docker/daemon.json
  for folder in etc/docker etc/containerd etc/containers; do
    cmp ca.pem "$folder/certs.d/registry.intra/ca.crt"
    cmp ca.pem "$folder/certs.d/registry.intra:5000/ca.crt"
    cmp key.pem "$folder/certs.d/registry.intra:5000/client.key"
    [[ $(stat -c %a "$folder/certs.d/registry.intra:5000/client.key") == 600 && ! -e $folder/certs.d/registry.intra/client.key ]]
  done
  # containerd: server and host are both there for each name, and both inside.
  for name in docker.io _default registry.intra registry.intra:5000; do
    [[ $(grep -cE '^(server = |\[host\.)"https://registry\.intra(:5000)?(/nothing-of-elsewhere)?"\]?$' "etc/containerd/certs.d/$name/hosts.toml") == 2 ]]
    [[ $(grep -c https: "etc/containerd/certs.d/$name/hosts.toml") == 2 ]]
  done
  # Podman: no short names, Docker Hub only at the mirror, the others blocked.
  grep -qx 'unqualified-search-registries = \[\]' etc/containers/registries.conf
  [[ $(grep -A 1 '^prefix = "docker.io"' etc/containers/registries.conf | tail -n 1) == 'location = "registry.intra:5000"' ]]
  [[ $(grep -c '^blocked = true' etc/containers/registries.conf) == $(($(grep -c '^\[\[registry' etc/containers/registries.conf) - 1)) ]]
  cmp ca.pem etc/ca.pem
}

@test "other ports are taken, other settings of the engine stay, and a second call changes nothing" {
  mkdir -p etc/docker
  echo '{"data-root": "/data", "registry-mirrors": ["https://elsewhere.example"]}' >etc/docker/daemon.json
  configure registry.intra:8443 --mirror-port 8444 --ca ca.pem --out etc
  jq -e '. == {"data-root": "/data", "registry-mirrors": ["https://registry.intra:8444"]}' etc/docker/daemon.json
  [[ -e etc/docker/certs.d/registry.intra:8443/ca.crt && -e etc/docker/certs.d/registry.intra:8444/ca.crt ]]
  grep -q '^server = "https://registry.intra:8443"$' etc/containerd/certs.d/registry.intra:8443/hosts.toml
  run grep -r client etc
  [[ ! $output ]]
  find etc -type f -print0 | sort -z | xargs -0 sha256sum >before
  configure registry.intra:8443 --mirror-port 8444 --ca ca.pem --out etc
  sha256sum --quiet --check before
  [[ $(find etc -type f | wc -l) == $(wc -l <before) ]]
}

@test "what is no authority, no certificate of it, or no key of that is refused, and nothing is written" {
  make_authority "$PWD/other"
  refused 64 "which registry" configure --ca ca.pem
  refused 64 "which registry" configure https://registry.intra --ca ca.pem
  refused 64 "which registry" configure 'registry.intra"x' --ca ca.pem
  refused 64 "whom to believe" configure registry.intra
  refused 64 "go together" configure registry.intra --ca ca.pem --cert machine.pem
  refused 66 "there is no nothing.pem" configure registry.intra --ca nothing.pem
  refused 65 "is no authority's certificate" configure registry.intra --ca machine.pem
  refused 65 "is not one of" configure registry.intra --ca other/ca.pem --cert machine.pem --key key.pem
  refused 65 "is not the key of" configure registry.intra --ca ca.pem --cert machine.pem --key other/key.pem
  [[ ! -e client ]]
  mkdir -p etc/docker
  echo 'no json' >etc/docker/daemon.json
  refused 65 "is no JSON" configure registry.intra --ca ca.pem --out etc
  [[ $(find etc -type f) == etc/docker/daemon.json ]]
}

@test "paths with spaces, quotes and signs of shells are taken as they are" {
  local strange=$'of ada\'s "desk" $HOME *'
  mkdir "$strange"
  cp ca.pem machine.pem key.pem "$strange/"
  configure registry.intra --ca "$strange/ca.pem" --cert "$strange/machine.pem" --key "$strange/key.pem" --out "$strange/etc"
  configure registry.intra --ca ca.pem --cert machine.pem --key key.pem --out plain
  diff -r plain "$strange/etc"
  # And none of it is said in what is written.
  run grep -rF desk "$strange/etc"
  [[ ! $output ]]
  refused 66 "there is no $strange/nothing.pem" configure registry.intra --ca ca.pem --cert "$strange/nothing.pem" --key key.pem
}
