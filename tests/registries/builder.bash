# shellcheck shell=bash
# What is built through the mirror: a builder image that lies upstream, and sources with their crates beside them. Daily it is a service
# in miniature, one crate that uses another; with FULL it is the project. The Containerfile is the project's own both times.

# Writes the sources into BUILDING/context; this alone asks for crates. With FULL what the builder is made of is written as well.
building_prepare() {
  BUILDING=$(mktemp -d "${TMPDIR:-/tmp}/mini-api-building.XXXXXX")
  export BUILDING
  mkdir -p "$BUILDING"/context/{src,scripts,.cargo}
  if [[ ${FULL:-} ]]; then
    "$ROOT/scripts/setup" rust musl auditable
    (cd "$ROOT" && git ls-files --cached --others --exclude-standard -- Cargo.toml Cargo.lock build.rs src migrations scripts Containerfile .dockerignore |
      while IFS= read -r file; do [[ ! -f $file ]] || echo "$file"; done | tar --create --files-from=-) | tar --directory "$BUILDING/context" --extract
    (cd "$BUILDING/context" && cargo vendor --locked --versioned-dirs vendor >.cargo/config.toml 2>"$BUILDING/vendor.log")
    engine_builder_files "$BUILDING/builder"
    return
  fi
  "$ROOT/scripts/setup" rust musl
  cp "$ROOT/Containerfile" "$ROOT/.dockerignore" "$BUILDING/context/"
  printf '[package]\nname = "mini-api"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\nitoa = "=%s"\n' \
    "$(awk '$3 == "\"itoa\"" { getline; gsub(/"/, "", $3); print $3; exit }' "$ROOT/Cargo.lock")" >"$BUILDING/context/Cargo.toml"
  printf 'fn main() {\n    println!("built of {} crates", itoa::Buffer::new().format(2));\n}\n' >"$BUILDING/context/src/main.rs"
  # In the place of ours, which wants a C compiler.
  cat >"$BUILDING/context/scripts/build-static" <<'SH'
#!/bin/sh
set -eu
export RUSTFLAGS='-C linker=rust-lld -C linker-flavor=ld.lld -C link-self-contained=yes'
cargo build --release --frozen --target x86_64-unknown-linux-musl
mkdir -p "$(dirname "$2")"
cp target/x86_64-unknown-linux-musl/release/mini-api "$2"
SH
  chmod 0755 "$BUILDING/context/scripts/build-static"
  (cd "$BUILDING/context" && cargo vendor --versioned-dirs vendor >.cargo/config.toml 2>"$BUILDING/vendor.log")
}

# Puts the builder image upstream and prints its digest.
building_publish() { # repository-upstream
  local folder=$BUILDING/builder part sysroot
  part=lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin
  sysroot=$(rustc --print sysroot)
  if [[ ${FULL:-} ]]; then
    engine_make_builder "$1:1" "$folder" >&2
    install -D -m 0644 "$UPSTREAM_CA" "/etc/docker/certs.d/${1%%/*}/ca.crt"
    docker push --quiet "$1:1" >&2
    docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1:1" | sed -n "s#^$1@##p" | head -n 1
    # Nothing of it stays here: it has to come back through the mirror.
    docker image rm --force "$1:1" >&2
    docker buildx prune --all --force >&2
    return
  fi
  image_begin "$folder"
  mkdir -p "$folder/usr/local"
  (cd "$sysroot" && tar --create --exclude='*_rt.*san.a' bin/cargo bin/rustc lib/*.so* "$part/rust-lld" lib/rustlib/x86_64-unknown-linux-musl) |
    tar --extract --directory "$folder/usr/local"
  ldd "$sysroot"/bin/{cargo,rustc} "$sysroot"/lib/*.so* "$sysroot/$part/rust-lld" |
    grep -v "$sysroot" | image_libraries "$folder"
  image_of_folder "$BUILDING/layout" "$folder" '{"Env": ["PATH=/usr/local/bin:/bin", "HOME=/tmp"]}'
  part=$(jq -r '.manifests[0].digest' "$BUILDING/layout/index.json")
  SSL_CERT_FILE=$UPSTREAM_CA oras cp --from-oci-layout "$BUILDING/layout@$part" "$1@$part" >&2
  rm -rf "$BUILDING/layout"
  echo "$part"
}
