# shellcheck shell=bash
# docker: an engine of our own below .tools/docker, unpacked from Debian trixie's packages, so that the machine's libc
# and any engine it already runs stay as they are. Those binaries need no more than bookworm's glibc; runc is bookworm's.

setup_docker() {
  local pin='trixie 1'
  if stamped docker "$pin"; then return 0; fi
  ((EUID == 0)) || die "the Docker Engine needs root"
  apt_install runc iptables iproute2 mmdebstrap skopeo
  local work=$TOOLS/docker.new plugin
  rm -rf "$work"
  mkdir -p "$work"/{debs,unpacked,bin,cli-plugins,config}
  trixie_apt "$work" -qq update >&2
  (cd "$work/debs" && trixie_apt "$work" -qq download docker.io docker-cli containerd docker-buildx) >&2
  for plugin in "$work"/debs/*.deb; do dpkg-deb -x "$plugin" "$work/unpacked"; done
  mv "$work"/unpacked/usr/sbin/{dockerd,docker-proxy} "$work"/unpacked/usr/bin/{docker,containerd,containerd-shim-runc-v2,ctr} "$work/bin/"
  mv "$work"/unpacked/usr/libexec/docker/cli-plugins/* "$work/cli-plugins/"
  rm -rf "$work"/{debs,unpacked,lists,cache,trixie.list}
  jq -n --arg folder "$TOOLS/docker/cli-plugins" '{cliPluginsExtraDirs: [$folder]}' >"$work/config/config.json"
  "$work/bin/dockerd" --version >&2 || die "trixie's Docker Engine does not run on this machine"
  rm -rf "$TOOLS/docker"
  mv "$work" "$TOOLS/docker"
  stamp docker "$pin"
}

# Runs apt-get over trixie alone, from the mirror this machine already uses, with lists and cache of its own.
trixie_apt() { # work arguments…
  local work=$1 mirror keys=/usr/share/keyrings/debian-archive-keyring.gpg
  shift
  if [[ ! -s $work/trixie.list ]]; then
    # shellcheck disable=SC2016  # apt's own placeholders
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
      awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
    [[ $mirror ]] || die "apt knows no Debian mirror: run apt-get update"
    echo "deb [signed-by=$keys] $mirror trixie main" >"$work/trixie.list"
    mkdir -p "$work"/lists/partial "$work"/cache/archives/partial
  fi
  apt-get -o Dir::Etc::SourceList="$work/trixie.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}
