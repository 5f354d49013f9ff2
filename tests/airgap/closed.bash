# shellcheck shell=bash
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
  # Keys that openssl reads, which sign quickly; cosign's are for a test of their own.
  for name in bundle import receipt receipt-other break-glass; do pem_key "$name"; done
  "$ROOT/scripts/trust" key import-cosign
  "$ROOT/scripts/trust" add bundle.pub --id bundle --purpose bundle
  for name in import import-cosign; do "$ROOT/scripts/trust" add "$name.pub" --id "$name" --purpose import --repository "$HERE/*" --repository "$NATIVE/*"; done
  for name in receipt receipt-other; do "$ROOT/scripts/trust" add "$name.pub" --id "$name" --purpose receipt; done
  "$ROOT/scripts/trust" add break-glass.pub --id break-glass --purpose break-glass
  "$ROOT/scripts/trust" sign root.key
}

# Makes a key that openssl reads, encrypted.
pem_key() { # name
  (umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes-256-cbc -pass env:COSIGN_PASSWORD -out "$1.key" 2>/dev/null)
  openssl pkey -in "$1.key" -passin env:COSIGN_PASSWORD -pubout -out "$1.pub"
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
