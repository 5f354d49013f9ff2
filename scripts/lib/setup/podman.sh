# shellcheck shell=bash
# Podman, below .tools, so that the machine's own libc, systemd and engines stay as they are.

# quadlet: what makes services out of Podman's units: trixie's, which needs no more than bookworm's glibc, and the oldest and the
# newest that the units are promised for, built.
setup_quadlet() {
  local pin='trixie 1' work=$TOOLS/quadlet.new
  # It reads the units that come out.
  type -P systemd-analyze >/dev/null || apt_install systemd
  setup_go quadlet-4.9 github.com/containers/podman/v4/cmd/quadlet
  setup_go quadlet-5.8 github.com/containers/podman/v5/cmd/quadlet
  if stamped quadlet "$pin"; then return 0; fi
  rm -rf "$work"
  mkdir -p "$work/debs"
  debian_apt "$work" trixie -qq update >&2
  (cd "$work/debs" && debian_apt "$work" trixie -qq download podman) >&2
  dpkg-deb -x "$work"/debs/*.deb "$work/unpacked"
  "$work/unpacked/usr/libexec/podman/quadlet" -version >&2 || die "trixie's Quadlet does not run on this machine"
  mv "$work/unpacked/usr/libexec/podman/quadlet" "$TOOLS/bin/quadlet"
  rm -rf "$work"
  stamp quadlet "$pin"
}

# podman: a whole trixie with systemd and Podman, into which tests boot: Podman's own programs want trixie's glibc.
setup_podman() {
  local pin='trixie 3' work=$TOOLS/podman.new
  if stamped podman "$pin"; then return 0; fi
  ((EUID == 0)) || die "a root folder with Podman can be made by root alone"
  apt_install mmdebstrap
  rm -rf "$work"
  mkdir -p "$work"
  debian_apt "$work" trixie -qq update >&2
  mmdebstrap --quiet --variant=essential --include=podman,crun,netavark,aardvark-dns,nftables,systemd,dbus,curl,jq,openssl \
    --aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' trixie "$work/root" "$work/sources.list" >&2
  # Names that need no server, and nothing of this machine.
  printf '127.0.0.1 localhost\n' >"$work/root/etc/hosts"
  : >"$work/root/etc/resolv.conf"
  rm -f "$work/root/etc/hostname"
  rm -rf "$TOOLS/podman" "$work"/{lists,cache,sources.list}
  mv "$work" "$TOOLS/podman"
  stamp podman "$pin"
}
