# shellcheck shell=bash
# What makes two builds of one commit the same bytes: every path of the machine is given a name of its own, in the order
# that the compilers want (the last prefix that matches wins), and no clock is read but the commit's.

# Prints pairs PATH=NAME for the folders whose names would end up in the binary.
static_names() { # source target-folder sysroot
  local home=${CARGO_HOME:-$HOME/.cargo} index
  printf '%s\n' "$1=/src" "$2=/target" "$3=/rust" "$home=/cargo"
  # Crates lie below a folder named after the registry, which differs by machine, or in vendor/.
  for index in "$home"/registry/src/*/; do printf '%s\n' "${index%/}=/crates"; done
  printf '%s\n' "$1/vendor=/crates"
  # rustc knows its own sources by commit; some machines have them on disk, some not.
  if [[ -d $3/lib/rustlib/src/rust ]]; then printf '%s\n' "$3/lib/rustlib/src/rust=/rustc"; fi
}

# C that asks for the day gets none: zig gives back what it compiled of the same text on another day, and SOURCE_DATE_EPOCH is no
# part of what it compares.
static_without_clock=(-Wno-builtin-macro-redefined '-D__DATE__=""' '-D__TIME__=""' '-D__TIMESTAMP__=""')

# Exports what cargo and the C compiler need for a reproducible build of TARGET.
static_environment() { # source target-folder target
  local sysroot rust='' c='' name suffix=${3//-/_}
  sysroot=$(rustc --print sysroot)
  # The folder of the crates is named below, so it must be there: cargo unpacks into it only what it builds.
  cargo fetch --quiet --locked --target "$3" --manifest-path "$1/Cargo.toml"
  while IFS= read -r name; do
    rust+=" --remap-path-prefix=$name" c+=" -ffile-prefix-map=$name"
  done < <(static_names "$1" "$2" "$sysroot")
  export CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$2 SOURCE_DATE_EPOCH MINI_API_REVISION
  export RUSTFLAGS="${rust# } ${STATIC_RUSTFLAGS:-}" "CFLAGS_$suffix=${static_without_clock[*]}$c"
  SOURCE_DATE_EPOCH=$(project_epoch)
  MINI_API_REVISION=$(project_revision)
  # cargo-auditable writes into the binary which crates it is made of, so that a scanner finds them in an image that has nothing
  # else. Set here and not by `cargo auditable`: that would name the wrapper by its path, which cargo makes part of every symbol.
  export RUSTC_WORKSPACE_WRAPPER=cargo-auditable CARGO_AUDITABLE_ORIG_ARGS='{"offline":false,"locked":true,"frozen":false,"config":[]}'
}

# The words of cargo's command line that every road shares; scripts/build-static adds what to build.
static_cargo=(--quiet --locked --release)

# Builds with rustup's musl target; C by musl-gcc. The plain road for x86_64.
static_by_musl_gcc() { # target
  local suffix=${1//-/_}
  export "CC_$suffix=musl-gcc"
  cargo build "${static_cargo[@]}" --target "$1"
}

# Builds with C and linking by zig, which knows every architecture.
static_by_zig() { # target
  cargo-zigbuild zigbuild "${static_cargo[@]}" --target "$1"
}

# Builds where there is no rustup: Debian's rustc-web, with its own standard library compiled for musl.
static_by_debian() { # target
  PATH=/usr/bin:$PATH RUSTC_BOOTSTRAP=1 STATIC_RUSTFLAGS="-C link-self-contained=no"
  export PATH RUSTC_BOOTSTRAP
  RUSTFLAGS+=" $STATIC_RUSTFLAGS"
  cargo-zigbuild zigbuild "${static_cargo[@]}" -Zbuild-std=std,panic_abort --target "$1"
}

# Fails, with the reason, unless a file is an executable that needs no loader and no library.
static_verify() { # file
  local kind
  kind=$(LC_ALL=C readelf --program-headers --dynamic --wide "$1") || return 1
  if grep -q 'INTERP' <<<"$kind"; then die "$1 asks for a loader: it is not static"; fi
  if grep -q '(NEEDED)' <<<"$kind"; then die "$1 asks for shared libraries: it is not static"; fi
  if LC_ALL=C readelf --sections --wide "$1" | grep -qE '\.(symtab|debug_info)'; then die "$1 is not stripped"; fi
}
