# shellcheck shell=bash
# Tools that sign, carry and store images, below .tools: Debian packages unpacked there, or Go programs built there. The
# packages' versions and SHA-256 stand in tools.lock beside this file; those of Go programs in go/*/go.mod and go.sum.

# Prints one field of a tool's line in the lock.
locked() { # tool column(2 suite, 3 version, 4 SHA-256)
  awk -v tool="$1" -v column="$2" '$1 == tool { print $column; exit }' "$ROOT/scripts/lib/setup/tools.lock"
}

# Downloads a locked Debian package and unpacks it into a folder. Fails when the archive no longer has it.
unpack_locked() { # tool folder
  local tool=$1 version suite work=$2.apt package
  suite=$(locked "$tool" 2) version=$(locked "$tool" 3)
  rm -rf "$work" "$2"
  mkdir -p "$work" "$2"
  debian_apt "$work" "$suite" -qq update >&2
  (cd "$work" && debian_apt "$work" "$suite" -qq download "$tool=$version") >&2 || return 1
  # The lock has the hashes of amd64; elsewhere the tool is built.
  [[ $(dpkg --print-architecture) == amd64 ]] || return 1
  package=$(find "$work" -maxdepth 1 -name '*.deb' -print -quit)
  sha256sum --quiet --check <<<"$(locked "$tool" 4)  $package" >&2 || die "the package $tool $version is not the one in tools.lock"
  dpkg-deb -x "$package" "$2"
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
  if unpack_locked cosign "$new" && "$new/usr/bin/cosign" version >/dev/null 2>&1; then
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

# registry: what the image registry:2 runs.
setup_registry() {
  local pin
  pin="docker-registry $(locked docker-registry 3)"
  if stamped registry "$pin"; then return 0; fi
  unpack_locked docker-registry "$TOOLS/registry" || die "Debian has docker-registry $(locked docker-registry 3) no more: lock the newer one in tools.lock"
  mkdir -p "$TOOLS/bin"
  ln -sfn ../registry/usr/bin/docker-registry "$TOOLS/bin/docker-registry"
  stamp registry "$pin"
}

# oras: copies images with what refers to them. referrers: a registry that lists referrers itself.
setup_oras() { setup_go oras oras.land/oras/cmd/oras; }
setup_referrers() { setup_go referrers .; }

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
