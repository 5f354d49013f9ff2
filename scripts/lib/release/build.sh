# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/release
# Two builds of one commit, in two folders with two cargo homes; what differs between them is not released.

# Where builds of the commit lie: here/ and there/, OCI layouts; place/ and cargo/ while they are compared.
BUILDS=''

# Finds or makes the folder; versions of one commit share it, one at a time.
build_open() {
  BUILDS=$RELEASES/builds/$COMMIT
  mkdir -p "$BUILDS" || fail 73 "$BUILDS cannot be made"
  exec 6>"$BUILDS/lock"
  flock --nonblock 6 || say "   another release of this commit is at work: waiting for two hours at most"
  flock --timeout 7200 6 || fail 75 "another release of this commit has been at work for two hours: try again"
  # What was built for other processors is of no use here.
  local place
  for place in here there; do
    if [[ -d $BUILDS/$place && $(build_architectures "$place") != "${ARCHITECTURES[*]}" ]]; then build_remove; fi
  done
  [[ -d $BUILDS/here && -s $BUILDS/made.json ]] || journal_forget build
  [[ -d $BUILDS/there ]] || journal_forget rebuild
}

# Removes what was built, and the note that says by what.
build_remove() { rm -rf "$BUILDS/here" "$BUILDS/made.json" "$BUILDS/there" "$BUILDS/place" "$BUILDS/cargo"; }

# Runs a command without what would alter both builds alike and be written down nowhere.
build_plainly() { # command…
  local name words=()
  while IFS= read -r name; do
    if [[ $name =~ ^(RUSTC|RUSTDOC|RUSTFLAGS|CARGO_(BUILD|PROFILE|ENCODED|TARGET|HOST|UNSTABLE|INCREMENTAL|CFG|ALIAS|ZIGBUILD)|TARGET_|HOST_|CC$|CC_|CXX|CPATH|C_INCLUDE|CPLUS_INCLUDE|OBJC|LIBRARY_PATH|COMPILER_PATH|GCC_|ZIG|CFLAGS|CPPFLAGS|LDFLAGS|LD_|AR$|AR_|MINI_API_|SOURCE_DATE_EPOCH|STATIC_) ]]; then
      words+=(-u "$name")
    fi
  done < <(compgen -e)
  env "${words[@]}" "$@"
}

# Prints the SHA-256 of every configuration that cargo merges and the commit does not hold: those of the folders above, and of its
# home. They may name other sources, and flags.
build_configs() {
  local folder=$ROOT name
  while [[ $folder != / ]]; do
    folder=$(dirname "$folder")
    for name in config config.toml; do [[ ! -f $folder/.cargo/$name ]] || printf '%s\0' "$(realpath "$folder/.cargo/$name")"; done
  done >"$BUILDS/configs"
  for name in config config.toml; do
    if [[ -f ${CARGO_HOME:-$HOME/.cargo}/$name ]]; then printf '%s\0' "$(realpath "${CARGO_HOME:-$HOME/.cargo}/$name")"; fi
  done >>"$BUILDS/configs"
  sort -zu "$BUILDS/configs" | xargs -0r sha256sum | cut -d ' ' -f 1
  rm -f "$BUILDS/configs"
}

# Builds the image in this folder, and notes by what.
build_here() {
  local began
  [[ ! -d $BUILDS/here || ! -s $BUILDS/made.json ]] || return 0
  began=$(trust_now)
  rm -rf "$BUILDS/here" "$BUILDS/made.json"
  build_plainly "$ROOT/scripts/build-image" --arch "$(build_arch)" --index --out "$BUILDS/here" >/dev/null
  jq -n --arg began "$began" --arg ended "$(trust_now)" --arg rust "$(rustc --version)" --arg zig "$(python3 -m ziglang version 2>/dev/null || echo none)" \
    --arg auditable "$(awk '/cargo-auditable/ { print $2; exit }' "$TOOLS/cargo/.crates.toml" 2>/dev/null || true)" \
    --argjson configs "$(build_configs | jq -Rn '[inputs]')" \
    '{$began, $ended, $rust, $zig, $auditable, $configs}' >"$BUILDS/made.json.new"
  mv "$BUILDS/made.json.new" "$BUILDS/made.json"
}

# Builds it again from a clone elsewhere, whose sources of crates are unpacked anew.
build_there() {
  local home=${CARGO_HOME:-$HOME/.cargo} shared
  if [[ -d $BUILDS/there ]]; then return 0; fi
  rm -rf "$BUILDS/place" "$BUILDS/cargo"
  git clone --quiet --no-hardlinks "$ROOT" "$BUILDS/place/of/another/name"
  git -C "$BUILDS/place/of/another/name" checkout --quiet --detach "$COMMIT"
  ln -s "$TOOLS" "$BUILDS/place/of/another/name/.tools"
  mkdir -p "$BUILDS/cargo/registry"
  for shared in config.toml credentials.toml bin registry/index registry/cache; do
    if [[ -e $home/$shared ]]; then ln -s "$home/$shared" "$BUILDS/cargo/$shared"; fi
  done
  shared=$BUILDS/place/of/another/name
  env CARGO_HOME="$BUILDS/cargo" cargo fetch --quiet --locked --manifest-path "$shared/Cargo.toml"
  build_plainly CARGO_HOME="$BUILDS/cargo" "$shared/scripts/build-image" --arch "$(build_arch)" --index --out "$BUILDS/there" >/dev/null
}

# Fails with 65 and says where they differ, unless both builds are the same, byte for byte; sets DIGEST.
build_compare() {
  local architecture here there label
  DIGEST=$(build_digest here)
  label=$(build_labels here) || label=
  [[ $label && $(sort -u <<<"$label") == "$COMMIT" ]] || {
    build_remove
    fail 65 "what lies in $BUILDS is not of commit $COMMIT; it was removed: begin again with --resume"
  }
  if diff -r "$BUILDS/here" "$BUILDS/there" >/dev/null; then
    rm -rf "$BUILDS/place" "$BUILDS/cargo"
    return
  fi
  say "   the image built here is $DIGEST, the one built elsewhere $(build_digest there)"
  for architecture in "${ARCHITECTURES[@]}"; do
    here=$(build_binary here "$architecture" | sha256sum | cut -c 1-64) there=$(build_binary there "$architecture" | sha256sum | cut -c 1-64)
    if [[ $here == "$there" ]]; then
      say "   the binary for $architecture is the same"
    else
      say "   the binary for $architecture: $here here, $there elsewhere"
    fi
  done
  build_crates_differ
  # Neither is worth keeping: which of them is right nobody knows.
  build_remove
  fail 65 "two builds of $COMMIT differ, so nothing is released: mend what is listed above, then go on with --resume, which builds both anew"
}

# Says which sources of crates differ between the two cargo homes.
build_crates_differ() {
  local home=${CARGO_HOME:-$HOME/.cargo} crate here there line
  while IFS= read -r crate; do
    for there in "$BUILDS/cargo/registry/src"/*/"$crate"; do
      for here in "$home/registry/src"/*/"$crate"; do
        [[ -d $here && -d $there ]] || continue
        while IFS= read -r line; do say "   source of the crate $crate: $line"; done < <(diff -rq "$here" "$there" | sed "s#$here/##g; s#$there/##g" || true)
      done
    done
  done < <(build_locked | cut -f 1,2 | tr '\t' '-')
}

# Prints name, version and checksum of every crate in Cargo.lock.
build_locked() {
  awk -F '"' '/^\[\[package\]\]/ { name = version = "" } /^name = / { name = $2 } /^version = / { version = $2 }
    /^checksum = / { print name "\t" version "\t" $2 }' "$ROOT/Cargo.lock"
}

# Fails unless every crate on disk is the one that Cargo.lock names: cargo looks only when it downloads.
build_crates_verify() {
  local home=${CARGO_HOME:-$HOME/.cargo} name version checksum file
  while IFS=$'\t' read -r name version checksum; do
    for file in "$home/registry/cache"/*/"$name-$version.crate"; do
      [[ ! -e $file ]] || printf '%s  %s\n' "$checksum" "$file"
    done
  done < <(build_locked) >"$RELEASE/crates"
  if [[ ! -s $RELEASE/crates ]]; then
    say "   no crate lies in $home: they are vendored, and cargo itself compares those with their checksums"
    return
  fi
  sha256sum --quiet --check "$RELEASE/crates" >&2 || fail 65 "a crate in $home is not the one that Cargo.lock names: see above; remove it, and cargo fetches it anew"
}

# Prints the digest of a build: of the index over its architectures.
build_digest() { jq -r '.manifests[0].digest' "$BUILDS/$1/index.json"; } # here|there

# Prints how scripts/build-image calls what is to be built.
build_arch() {
  case ${ARCHITECTURES[*]} in
    amd64) echo x86_64 ;;
    arm64) echo aarch64 ;;
    *) echo all ;;
  esac
}

# Prints the processors that a build is for.
build_architectures() { # here|there
  local index
  index=$(build_digest "$1")
  jq -r '[.manifests[].platform.architecture] | join(" ")' "$BUILDS/$1/blobs/sha256/${index#sha256:}"
}

# Prints "PLATFORM DIGEST" of each image in the index.
build_platforms() {
  jq -r '.manifests[] | "\(.platform.os)/\(.platform.architecture) \(.digest)"' "$BUILDS/here/blobs/sha256/${DIGEST#sha256:}"
}

# Prints the commit that each image of a build says it is of.
build_labels() { # here|there
  local blobs=$BUILDS/$1/blobs/sha256 digest config
  while read -r _ digest; do
    config=$(jq -r .config.digest "$blobs/${digest#sha256:}")
    jq -r '.config.Labels["org.opencontainers.image.revision"]' "$blobs/${config#sha256:}"
  done < <(build_platforms)
}

# Prints the binary inside a build.
build_binary() { # here|there architecture
  local blobs=$BUILDS/$1/blobs/sha256 digest
  digest=$(build_digest "$1")
  digest=$(jq -r --arg architecture "$2" '.manifests[] | select(.platform.architecture == $architecture).digest' "$blobs/${digest#sha256:}")
  digest=$(jq -r '.layers[0].digest' "$blobs/${digest#sha256:}")
  tar --extract --gzip --to-stdout --file "$blobs/${digest#sha256:}" mini-api
}
