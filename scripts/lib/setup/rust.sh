# shellcheck shell=bash
# rust: the toolchain that Cargo.toml asks for, the musl targets, and C compilers for both.

setup_rust() {
  local wanted have
  wanted=$(project_value rust-version)
  command -v cargo >/dev/null || die "cargo is missing: install Rust $wanted or newer (rustup is the usual way, or your distribution's package)"
  have=$(rustc --version | awk '{ print $2 }')
  [[ $(printf '%s\n' "$wanted" "${have%%-*}" | sort -V | head -n 1) == "$wanted" ]] ||
    die "rustc is $have, but $wanted or newer is wanted: rustup update stable"
  command -v cc >/dev/null || apt_install gcc libc6-dev
  stamped rust "$have" && return 0
  stamp rust "$have"
}

# musl: what scripts/build-static needs for this machine's own architecture.
setup_musl() {
  setup_rust
  setup_target x86_64-unknown-linux-musl
  if command -v musl-gcc >/dev/null; then return 0; fi
  if ((EUID == 0)); then apt_install musl-tools; else die "musl-gcc is missing; as root: apt-get install musl-tools"; fi
}

# cross: what scripts/build-static needs for aarch64.
setup_cross() {
  setup_rust
  setup_target aarch64-unknown-linux-musl
  setup_zig
}

# auditable: writes into a binary which crates it is made of. Pinned, because what it writes is part of the binary.
setup_auditable() {
  local pin=0.7.7 found
  setup_rust
  # It cannot be asked for its version; cargo notes what it installed beside it.
  found=$(readlink -f "$(command -v cargo-auditable)" || true)
  if [[ $found ]] && grep -qs "^\"cargo-auditable $pin " "${found%/bin/*}/.crates.toml"; then return 0; fi
  CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    cargo install --quiet --locked --force --root "$TOOLS/cargo" "cargo-auditable@$pin" >&2
  mkdir -p "$TOOLS/bin"
  ln -sfn ../cargo/bin/cargo-auditable "$TOOLS/bin/cargo-auditable"
}

# emulator: runs what was built for aarch64 on another machine.
setup_emulator() {
  if command -v qemu-aarch64-static >/dev/null; then return 0; fi
  apt_install qemu-user-static
}

# Installs the standard library for a target; without rustup, Debian's sources of it, to be compiled along.
setup_target() { # target
  if [[ -d $(rustc --print sysroot)/lib/rustlib/$1/lib ]]; then return 0; fi
  if command -v rustup >/dev/null; then
    rustup --quiet target add "$1" >&2
  else
    apt_install rustc-web cargo-web rust-web-src
    setup_zig
  fi
}

# Installs zig, which brings a C compiler for every architecture.
setup_zig() {
  local pins=(ziglang==0.17.1 cargo-zigbuild==0.24.0)
  stamped zig "${pins[*]}" && return 0
  pip_install "${pins[@]}"
  stamp zig "${pins[*]}"
}
