# shellcheck shell=bash
# Tools that sign, carry and store images, below .tools: Debian packages unpacked there, or Go programs built there. The
# packages' versions and SHA-256 stand in tools.lock beside this file; those of Go programs in go/*/go.mod and go.sum.

# Prints one field of a tool's line in the lock.
locked() { # tool column(2 suite, 3 version, 4 SHA-256)
  awk -v tool="$1" -v column="$2" '$1 == tool { print $column; exit }' "$ROOT/scripts/lib/setup/tools.lock"
}

# Downloads locked Debian packages of one suite and unpacks them into a folder. Fails when the archive no longer has one.
unpack_locked() { # folder package…
  local folder=$1 work=$1.apt suite package wanted=() file
  shift
  # The lock has the hashes of amd64; elsewhere the tool is built.
  [[ $(dpkg --print-architecture) == amd64 ]] || return 1
  suite=$(locked "$1" 2)
  for package in "$@"; do wanted+=("$package=$(locked "$package" 3)"); done
  rm -rf "$work" "$folder"
  mkdir -p "$work" "$folder"
  debian_apt "$work" "$suite" -qq update >&2
  (cd "$work" && debian_apt "$work" "$suite" -qq download "${wanted[@]}") >&2 || return 1
  for package in "$@"; do
    file=$(find "$work" -maxdepth 1 -name "${package}_*.deb" -print -quit)
    sha256sum --quiet --check <<<"$(locked "$package" 4)  $file" >&2 || fail 65 "the package $package $(locked "$package" 3) is not the one in tools.lock"
    dpkg-deb -x "$file" "$folder" || return 1
  done
  rm -rf "$work"
}

# Builds one Go program as its go.mod and go.sum pin it.
build_go() { # folder-of-go.mod package output [flags of the linker]
  need go "install Go 1.25 or newer"
  (cd "$ROOT/scripts/lib/setup/go/$1" && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS='-trimpath -buildvcs=false -mod=readonly' go build -ldflags="-s -w${4:-}" -o "$3" "$2") >&2
}

# cosign: signs and verifies. Its two files say that there is no transparency log and no authority to ask.
setup_cosign() {
  local pin new=$TOOLS/cosign.new
  pin="cosign $(locked cosign 3)"
  if stamped cosign "$pin"; then return 0; fi
  need openssl "install openssl"
  if unpack_locked "$new" cosign && "$new/usr/bin/cosign" version >/dev/null 2>&1; then
    mv "$new/usr/bin/cosign" "$new/cosign"
  else
    say "the locked package of cosign is not to be had or does not run here: building it (some minutes)"
    rm -rf "$new" && mkdir -p "$new"
    build_go cosign github.com/sigstore/cosign/v3/cmd/cosign "$new/cosign"
  fi
  "$new/cosign" signing-config create --out "$new/signing-config.json" >&2
  "$new/cosign" trusted-root create --out "$new/trusted-root.json" >&2
  rm -rf "${new:?}/usr" "$TOOLS/cosign"
  mv "$new" "$TOOLS/cosign"
  mkdir -p "$TOOLS/bin"
  ln -sfn ../cosign/cosign "$TOOLS/bin/cosign"
  stamp cosign "$pin"
}

# pkcs11: a cosign that knows keys in tokens, in the place of the other, and a token in software to try it on.
setup_pkcs11() {
  local pin folder=$ROOT/scripts/lib/setup/go/cosign new=$TOOLS/cosign-pkcs11
  setup_cosign
  pin=$(cat "$folder"/go.{mod,sum} | sha256sum | cut -d ' ' -f 1)
  if stamped pkcs11 "$pin"; then return 0; fi
  need go "install Go 1.25 or newer"
  apt_install softhsm2 gcc libc6-dev
  say "building a cosign that knows PKCS#11 (some minutes)"
  (cd "$folder" && CGO_ENABLED=1 GOTOOLCHAIN=local GOFLAGS='-trimpath -buildvcs=false -mod=readonly' \
    go build -tags pkcs11key -ldflags='-s -w' -o "$new" github.com/sigstore/cosign/v3/cmd/cosign) >&2
  ln -sfn ../cosign-pkcs11 "$TOOLS/bin/cosign"
  stamp pkcs11 "$pin"
}

# registry: what the image registry:2 runs.
setup_registry() {
  local pin
  pin="docker-registry $(locked docker-registry 3)"
  if stamped registry "$pin"; then return 0; fi
  unpack_locked "$TOOLS/registry" docker-registry || die "Debian has docker-registry $(locked docker-registry 3) no more: lock the newer one in tools.lock"
  mkdir -p "$TOOLS/bin"
  ln -sfn ../registry/usr/bin/docker-registry "$TOOLS/bin/docker-registry"
  stamp registry "$pin"
}

# oras: copies images with what refers to them. crane: looks at them and alters them. conftest: asks policies in Rego. referrers: a
# registry that lists referrers itself.
setup_oras() { setup_go oras oras.land/oras/cmd/oras; }
setup_crane() { setup_go crane github.com/google/go-containerregistry/cmd/crane; }
setup_conftest() { setup_go conftest github.com/open-policy-agent/conftest; }
# gator: asks Gatekeeper's policies as it does in a cluster.
setup_gator() { setup_go gator github.com/open-policy-agent/gatekeeper/v3/cmd/gator; }
setup_referrers() { setup_go referrers .; }

# offline: what airgap/prove-offline is made of.
setup_offline() { apt_install nftables socat iproute2; }

# skopeo: copies images from one kind of place to another.
setup_skopeo() { setup_unpacked skopeo libgpgme11 libassuan0 libdevmapper1.02.1; }

# Unpacks a locked Debian program with the libraries it wants, below .tools, where the machine's own need not be the same. Where it
# is not to be had the machine's own program serves.
setup_unpacked() { # program library-package…
  local program=$1 package pin='' new=$TOOLS/$1.new loader code=0
  for package in "$@"; do pin+="$package $(locked "$package" 3) "; done
  if stamped "$program" "$pin"; then return 0; fi
  rm -rf "$new"
  # In a subshell: a machine without Debian's archive ends in it.
  (unpack_locked "$new/unpacked" "$@") || code=$?
  ((code != 65)) || exit 65
  if ((code != 0)); then
    rm -rf "$new"
    if ! command -v "$program" >/dev/null; then apt_install "$program"; fi
    say "what tools.lock names for $program is not to be had here: the machine's own $program serves"
    # Not asked for again until the lock names another.
    stamp "$program" "$pin"
    return
  fi
  mkdir -p "$new/libraries" "$TOOLS/bin"
  find "$new/unpacked" -name '*.so*' -path '*/lib/x86_64-linux-gnu/*' -not -path '*/gconv/*' -exec mv {} "$new/libraries/" \;
  mv "$new/unpacked/usr/bin/$program" "$new/"
  rm -rf "$new/unpacked" "${TOOLS:?}/$program"
  mv "$new" "$TOOLS/$program"
  # The loader is asked by name: a variable for it would reach what the program itself starts.
  loader=$TOOLS/$program/libraries/ld-linux-x86-64.so.2
  [[ -e $loader ]] || loader=/lib64/ld-linux-x86-64.so.2
  cat >"$TOOLS/bin/$program.new" <<SH
#!/bin/sh
exec '$loader' --argv0 "\$0" --library-path '$TOOLS/$program/libraries' '$TOOLS/$program/$program' "\$@"
SH
  chmod 0755 "$TOOLS/bin/$program.new"
  "$TOOLS/bin/$program.new" --version >&2 || die "$program does not run on this machine"
  mv "$TOOLS/bin/$program.new" "$TOOLS/bin/$program"
  stamp "$program" "$pin"
}

# actionlint: checks the workflows in .github.
setup_actionlint() { setup_go actionlint github.com/rhysd/actionlint/cmd/actionlint; }

# Builds one Go program into .tools/bin and remembers that it did.
setup_go() { # name package
  local pin
  pin=$(cat "$ROOT/scripts/lib/setup/go/$1"/go.{mod,sum} | sha256sum | cut -d ' ' -f 1)
  if stamped "$1" "$pin"; then return 0; fi
  mkdir -p "$TOOLS/bin"
  build_go "$1" "$2" "$TOOLS/bin/$1.new"
  mv "$TOOLS/bin/$1.new" "$TOOLS/bin/$1"
  stamp "$1" "$pin"
}
