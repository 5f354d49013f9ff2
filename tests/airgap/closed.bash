# shellcheck shell=bash
# shellcheck disable=SC2153  # NAME is the test's stream
# The closed side in small: two registries of its own, its keys, and a bundle that was carried to it. Needs outside.bash.

# Brings it up beside the connected side, in a folder; once for a file of tests. Sets HERE and NATIVE: the registry that keeps no list of what
# hangs on images, and the one that does.
closed_start() { # folder
  local name outside_plain=$PLAIN outside_listing=$LISTING outside=$REGISTRY_CA outside_docker=$DOCKER_CONFIG
  mkdir -p "$1/closed"
  start_registries "$1/closed"
  HERE=$PLAIN NATIVE=$LISTING
  # Each side knows its own registries; both are believed by one file of authorities here.
  cat "$outside" "$1/closed/tls/ca.pem" >"$1/authorities.pem"
  mkdir -p "$1/docker-both"
  jq -s '.[0] * .[1]' "$outside_docker/config.json" "$DOCKER_CONFIG/config.json" >"$1/docker-both/config.json"
  export INSIDE_REGISTRIES=$REFERENCE_REGISTRIES OUTSIDE_REGISTRIES=$1/registries.txt HERE NATIVE
  export PLAIN=$outside_plain LISTING=$outside_listing REFERENCE_REGISTRIES=$OUTSIDE_REGISTRIES
  export REGISTRY_CA=$1/authorities.pem SSL_CERT_FILE=$1/authorities.pem DOCKER_CONFIG=$1/docker-both
  cd "$1" || return
  for name in bundle import receipt receipt-other break-glass; do pem_key "$name"; done
  "$ROOT/scripts/trust" key import-cosign
  "$ROOT/scripts/trust" add bundle.pub --id bundle --purpose bundle
  for name in import import-cosign; do "$ROOT/scripts/trust" add "$name.pub" --id "$name" --purpose import --repository "$HERE/*" --repository "$NATIVE/*"; done
  for name in receipt receipt-other; do "$ROOT/scripts/trust" add "$name.pub" --id "$name" --purpose receipt; done
  "$ROOT/scripts/trust" add break-glass.pub --id break-glass --purpose break-glass
  "$ROOT/scripts/trust" sign root.key
}

# Ends it.
closed_stop() { # folder
  local PLAIN=$HERE
  stop_registries "$1/closed"
}

# Runs a command with the closed side's list of registries and memory.
inside() {
  REFERENCE_REGISTRIES=$INSIDE_REGISTRIES AIRGAP_STATE=${INSIDE_STATE:-$BATS_TEST_TMPDIR/inside} "$@"
}

# Runs the import as the closed side would.
import_bundle() { # registry words…
  local to=$1
  shift
  inside bundle import --to "$to" --key "$KEYS/import.key" --receipt-key "$KEYS/receipt.key" "$@"
}

# Pushes a signed image outside and prints its reference by digest.
release_image() { # path text tag [kilobytes]
  local image
  head -c "$((${4:-1} * 1024))" /dev/urandom >noise
  image=$(push_image "$PLAIN/$1" "$2 $(base64 -w 0 noise)")
  tagged "$image" "$3"
  image_sign "$image" "$KEYS/release.key" release
  printf '%s\n' "$image"
}

# Exports images.txt as this test's stream.
export_stream() { # folder words…
  local folder=$1
  shift
  bundle lock --images images.txt >/dev/null 2>&1
  AIRGAP_STATE=$BATS_TEST_TMPDIR/outside bundle export --lock images.lock --key "$KEYS/bundle.key" --stream "$NAME" --without chart --without policies --out "$folder" "$@"
}

# Prints where a name points inside; nothing when nobody has it.
points() { oras resolve "$1" 2>/dev/null || true; } # registry/path:tag

# Prints every name in repositories of a registry, and where it points.
content() { # registry path…
  local registry=$1 path
  shift
  for path in "$@"; do
    oras repo tags "$registry/$path" 2>/dev/null | while IFS= read -r tag; do printf '%s:%s %s\n' "$path" "$tag" "$(points "$registry/$path:$tag")"; done
  done | sort
}
