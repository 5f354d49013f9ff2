# shellcheck shell=bash
# A Docker Engine of our own, started by hand: own socket, own data, no bridge and no firewall rule, so that the machine's
# network and any other engine stay as they are. Containers use the host's network, or none; `bridged` is for engines in a network
# namespace of their own, where bridges and rules are nobody else's.

# Starts the engine in a folder; exports what the docker command needs to find it. Needs root.
engine_start() { # folder [bridged]
  local bridged=${2:-}
  mkdir -p "$1"
  PATH=$TOOLS/docker/bin:$PATH
  export PATH DOCKER_CONFIG=$TOOLS/docker/config DOCKER_HOST=unix://$1/socket
  jq -n --arg folder "$1" --arg bridged "$bridged" '{
    "data-root": ($folder + "/data"), "exec-root": ($folder + "/exec"), pidfile: ($folder + "/pid"),
    hosts: ["unix://" + $folder + "/socket"], features: {"containerd-snapshotter": true}, "shutdown-timeout": 5
  } + if $bridged == "" then {bridge: "none", iptables: false, ip6tables: false, "ip-forward": false}
    else {"default-address-pools": [{base: "10.210.0.0/16", size: 24}], bip: "10.211.0.1/24", dns: ["127.0.0.1"]} end' >"$1/daemon.json"
  setsid dockerd --config-file "$1/daemon.json" >"$1/log" 2>&1 &
  engine_pid=$!
  wait_until 60 docker info || {
    tail -n 30 "$1/log" >&2
    die "the Docker Engine did not start"
  }
}

# Stops the engine, and unmounts what a killed one would leave behind.
engine_stop() { # folder
  process_end "$engine_pid" 30
  local mount
  while IFS= read -r mount; do umount -l "$mount" || true; done < <(awk -v folder="$1/" 'index($2, folder) == 1 { print $2 }' /proc/mounts)
}

# Makes a builder image out of Debian packages and this machine's own Rust: what others pull, in a place without a registry.
engine_make_builder() { # tag work
  [[ -s $2/Containerfile ]] || engine_builder_files "$2"
  docker buildx build --quiet --provenance=false --load --tag "$1" --file "$2/Containerfile" "$2"
}

# Writes what that image is made of; this alone asks for packages.
engine_builder_files() { # work
  local suite mirror sysroot part
  part=lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')
  sysroot=$(rustc --print sysroot)
  suite=$(awk -F= '$1 == "VERSION_CODENAME" { print $2 }' /etc/os-release)
  # shellcheck disable=SC2016  # apt's own placeholders
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
  mkdir -p "$1/rust"
  mmdebstrap --quiet --variant=apt --include=gcc,libc6-dev,musl-tools,ca-certificates \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' "$suite" "$1/debian.tar" "$mirror"
  # Of the toolchain only what compiles our target: the rest is twice as large.
  (cd "$sysroot" && tar --create bin/cargo bin/rustc lib/*.so* "$part" lib/rustlib/x86_64-unknown-linux-musl) |
    tar --extract --directory "$1/rust"
  install -D "$TOOLS/cargo/bin/cargo-auditable" "$1/rust/bin/cargo-auditable"
  cp "$TOOLS/cargo/.crates.toml" "$1/rust/"
  printf 'FROM scratch\nADD debian.tar /\nCOPY rust/ /usr/local/\n' >"$1/Containerfile"
}
