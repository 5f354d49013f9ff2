# shellcheck shell=bash
# The connected side in small: two registries, keys, whom to believe, and images of every kind that crosses a gap.

# Brings it up in a folder; once for a file of tests.
outside_start() { # folder
  local name
  cd "$1" || return
  start_registries "$1"
  export TRUST=$1/trust TRUST_PIN=$1/pin COSIGN_PASSWORD=only-for-tests
  # Images are signed by cosign, with a key of its own kind; openssl's serve for all else, and sign quickly.
  "$ROOT/scripts/trust" key release
  for name in root stranger; do pem_key "$name"; done
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add release.pub --id release --purpose release --repository "$PLAIN/mini/*" --repository "$LISTING/mini/*"
  "$ROOT/scripts/trust" sign root.key
}

# Makes a key that openssl reads, encrypted.
pem_key() { # name
  (umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes-256-cbc -pass env:COSIGN_PASSWORD -out "$1.key" 2>/dev/null)
  openssl pkey -in "$1.key" -passin env:COSIGN_PASSWORD -pubout -out "$1.pub"
}

# Takes in what the tests share.
outside_house() {
  source "$ROOT/tests/release/registries.bash"
  source "$ROOT/tests/refused.bash"
  local part
  for part in project log network process document trust reference registry sign oci; do
    # shellcheck source=/dev/null
    source "$ROOT/scripts/lib/$part.sh"
  done
}

# Gives an image a tag.
tagged() { # reference(pinned) tag
  oras tag "$1" "$2" >&2
}

# Pushes an index over images for two processors and prints its reference by digest.
push_index() { # repository text
  local work descriptor architecture descriptors=()
  work=$(mktemp -d "$BATS_TEST_TMPDIR/index.XXXXXX")
  mkdir "$work/layout"
  for architecture in amd64 arm64; do
    printf '%s for %s' "$2" "$architecture" >"$work/file"
    descriptors+=("$(oci_image "$work/layout" "$work/file" "$architecture" '{}' 0)")
  done
  descriptor=$(oci_index "$work/layout" "${descriptors[@]}")
  oci_finish "$work/layout" "$descriptor" 1
  descriptor=$(jq -r .digest <<<"$descriptor")
  oras cp --from-oci-layout "$work/layout@$descriptor" "$1@$descriptor" >&2
  printf '%s@%s\n' "$1" "$descriptor"
}

# Hangs something on an image and prints its reference by digest.
push_referrer() { # reference(pinned) type text
  printf '%s' "$3" >hanging
  oras attach --artifact-type "$2" --format json "$1" hanging:text/plain | jq -r .reference
}

# Hangs something on an image by a tag of old: sha256-….sig.
push_old() { # reference(pinned) sig|att|sbom
  printf '%s of %s' "$2" "$1" >old
  oras push --artifact-type application/vnd.example.old "${1%@*}:sha256-${1#*@sha256:}.$2" old:text/plain >&2
}
