# shellcheck shell=bash
# docker: an engine of our own below .tools/docker, unpacked from Debian trixie's packages, so that the machine's libc
# and any engine it already runs stay as they are. Those binaries need no more than bookworm's glibc; runc is bookworm's.

setup_docker() {
  local pin='trixie 2'
  if stamped docker "$pin"; then return 0; fi
  ((EUID == 0)) || die "the Docker Engine needs root"
  apt_install runc iptables iproute2 mmdebstrap
  local work=$TOOLS/docker.new plugin
  rm -rf "$work"
  mkdir -p "$work"/{debs,unpacked,bin,cli-plugins,config}
  debian_apt "$work" trixie -qq update >&2
  (cd "$work/debs" && debian_apt "$work" trixie -qq download docker.io docker-cli containerd docker-buildx docker-compose) >&2
  for plugin in "$work"/debs/*.deb; do dpkg-deb -x "$plugin" "$work/unpacked"; done
  mv "$work"/unpacked/usr/sbin/{dockerd,docker-proxy} "$work"/unpacked/usr/bin/{docker,containerd,containerd-shim-runc-v2,ctr} "$work/bin/"
  mv "$work"/unpacked/usr/libexec/docker/cli-plugins/* "$work/cli-plugins/"
  rm -rf "$work"/{debs,unpacked,lists,cache,sources.list}
  jq -n --arg folder "$TOOLS/docker/cli-plugins" '{cliPluginsExtraDirs: [$folder]}' >"$work/config/config.json"
  "$work/bin/dockerd" --version >&2 || die "trixie's Docker Engine does not run on this machine"
  rm -rf "$TOOLS/docker"
  mv "$work" "$TOOLS/docker"
  stamp docker "$pin"
}
