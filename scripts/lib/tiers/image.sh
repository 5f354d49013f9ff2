#!/usr/bin/env bash
# image: the image under a real Docker Engine, which needs root. The engine's own build of the
# Containerfile has the same settings and the same binary; the container is locked down, healthy, and stops when asked.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"
# shellcheck source=scripts/lib/laws.sh
source "$lib/laws.sh"
# shellcheck source=scripts/lib/engine.sh
source "$lib/engine.sh"
# shellcheck source=scripts/lib/elsewhere.sh
source "$lib/elsewhere.sh"

image=$WORK/image
tag=localhost/mini-api:$(project_value version)
hardened=(--read-only --user 65532:65532 --cap-drop ALL --security-opt no-new-privileges --network host)

# Builds the image here, with the archive for `docker load`.
builds_here() { "$scripts/build-image" --out "$image" --tar "$WORK/image.tar" | tail -n 1 >"$WORK/digest"; }

# Fails unless every blob of the layout is what its name says, and the printed digest is the one in index.json.
layout_is_sound() {
  local blob
  for blob in "$image"/blobs/sha256/*; do
    sha256sum --quiet --check <<<"${blob##*/}  $blob"
  done
  jq -e --arg digest "$(<"$WORK/digest")" '.manifests | length == 1 and .[0].digest == $digest' "$image/index.json"
}

# Prints the bytes that a pull of the layout carries: manifest, configuration and compressed layers.
compressed_size() {
  local manifest
  manifest=$(jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$image/index.json")
  jq --argjson index "$(<"$image/index.json")" '$index.manifests[0].size + .config.size + ([.layers[].size] | add)' "$image/blobs/sha256/$manifest"
}

# Fails unless the image is at most 4 MB.
is_small() {
  local size
  size=$(compressed_size)
  echo "$size bytes"
  ((size <= 4000000))
}

# Fails unless skopeo, a reader we did not write, copies the layout without a change.
skopeo_agrees() {
  skopeo --insecure-policy copy --quiet --preserve-digests "oci:$image" "oci:$WORK/copied"
  diff <(jq -r '.manifests[0].digest' "$WORK/copied/index.json") "$WORK/digest"
}

# Loads the archive; the engine must know the image by the digest that was printed.
loads_into_docker() {
  docker load --input "$WORK/image.tar"
  [[ $(docker image inspect --format '{{.Id}}' "$tag") == "$(<"$WORK/digest")" ]]
}

# Fails unless the labels say which commit, version and source the image is of, and what may be done with it.
labels_tell_the_origin() {
  docker image inspect --format '{{json .Config.Labels}}' "$tag" | tee /dev/stderr |
    jq -e --arg version "$(project_value version)" --arg commit "$(project_revision)" \
      --arg made "$(date -u -d "@$(project_epoch)" +%Y-%m-%dT%H:%M:%SZ)" '
      . == ({title: "mini-api", version: $version, revision: $commit, created: $made, licenses: "MIT OR Apache-2.0",
        source: "https://git.example.org/mini-api/mini-api"} | with_entries(.key |= "org.opencontainers.image." + .))'
}

# Prints the settings of an image that the engine holds, as its manifest tells them.
settings_of() { # tag
  local folder
  folder=$(mktemp -d "$WORK/saved.XXXXXX")
  docker save "$1" | tar --extract --directory "$folder"
  jq -S '.config | del(.Env, .WorkingDir, .Labels["org.opencontainers.image.created"])' "$folder/$(jq -r '.[0].Config' "$folder/manifest.json")"
}

# Builds the Containerfile with the engine; words are more arguments of the build.
engine_build() { # tag context words…
  local name=$1 context=$2
  shift 2
  docker buildx build --progress plain --provenance=false --load --network none --tag "$name" --file "$context/Containerfile" \
    --build-arg VERSION="$(project_value version)" --build-arg REVISION="$(project_revision)" \
    --build-arg SOURCE="$(project_value repository)" "$@" "$context"
}

# The engine's build and ours must have the same settings: the Containerfile is their one source.
settings_agree() {
  make_elsewhere
  mkdir -p "$elsewhere/dist"
  binary_of_layout >"$elsewhere/dist/mini-api"
  engine_build localhost/mini-api:by-engine "$elsewhere"
  # Into files: a failure inside <() would be lost, and two failures would agree.
  settings_of localhost/mini-api:by-engine >"$WORK/by-engine.json"
  settings_of "$tag" >"$WORK/by-us.json"
  [[ -s $WORK/by-us.json ]]
  diff "$WORK/by-engine.json" "$WORK/by-us.json"
}

# Prints the binary inside our layout.
binary_of_layout() {
  local manifest layer
  manifest=$(jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$image/index.json")
  layer=$(jq -r '.layers[0].digest | ltrimstr("sha256:")' "$image/blobs/sha256/$manifest")
  tar --extract --gzip --to-stdout --file "$image/blobs/sha256/$layer" mini-api
}

# With Docker alone: the binary compiled inside a builder image, without a network, is ours to the byte.
multi_stage_gives_the_same_binary() {
  local container
  make_elsewhere
  engine_make_builder localhost/builder "$WORK/builder"
  (cd "$elsewhere" && mkdir -p .cargo && cargo vendor --locked --versioned-dirs vendor >.cargo/config.toml)
  engine_build localhost/mini-api:compiled "$elsewhere" --build-arg BINARY=compiled --build-arg BUILDER=localhost/builder \
    --build-arg SOURCE_DATE_EPOCH="$(project_epoch)"
  container=$(docker create localhost/mini-api:compiled)
  docker cp "$container:/mini-api" "$WORK/compiled"
  docker rm "$container"
  binary_of_layout >"$WORK/ours"
  cmp "$WORK/compiled" "$WORK/ours"
}

# Starts the service in a container, locked down, over a throw-away cluster.
starts_locked_down() {
  local port=$1 password=$2
  docker run --detach --name service "${hardened[@]}" --mount "type=bind,source=$WORK/jwt_secret,target=/run/jwt_secret,readonly" \
    --env DATABASE_URL="postgresql://mini_api:$password@127.0.0.1:$(<"$WORK/cluster/port")/mini_api" \
    --env JWT_SECRET_FILE=/run/jwt_secret --env LISTEN_ADDR="127.0.0.1:$port" --env MIGRATE_ON_START=true "$tag"
  wait_until 60 is_healthy || {
    docker logs service
    docker inspect --format '{{json .State}}' service
    return 1
  }
  port_answers "$port"
}

# True when the engine calls the container healthy, which it learns from the image's own HEALTHCHECK.
is_healthy() { [[ $(docker inspect --format '{{.State.Health.Status}}' service) == healthy ]]; }

# As PID 1 the service must hear SIGTERM: a deaf one is killed by the engine after its grace time, with code 137.
stops_when_asked() {
  docker stop --time 20 service
  [[ $(docker inspect --format '{{.State.ExitCode}}' service) == 0 ]]
}

# Without settings the container ends at once with EX_CONFIG.
refuses_to_start_bare() {
  local code=0
  docker run --rm "${hardened[@]}" "$tag" || code=$?
  ((code == 78))
}

main() {
  ((EUID == 0)) || die "this tier needs root: a Docker Engine is started"
  "$scripts/setup" rust musl postgres jq docker skopeo
  PG_BIN=$(postgres_find)
  local password
  password=$(random_hex 16)
  check "scripts/build-image builds" builds_here
  check "the layout is sound" layout_is_sound
  check "the image is at most 4 MB compressed" is_small
  check "skopeo reads the layout" skopeo_agrees
  engine_start "$WORK/engine"
  at_end+=("engine_stop $WORK/engine")
  postgres_create "$WORK/cluster"
  postgres_create_database "$WORK/cluster" mini_api "$password"
  postgres_start "$WORK/cluster" fast
  (random_hex 32 >"$WORK/jwt_secret" && chown 65532 "$WORK/jwt_secret" && chmod 0400 "$WORK/jwt_secret")
  check "docker load takes it under the same digest" loads_into_docker
  check "the labels tell the origin" labels_tell_the_origin
  check "an engine's build has the same settings" settings_agree
  check "it runs locked down and becomes healthy" starts_locked_down "$(free_port)" "$password"
  check "it stops when asked, as PID 1" stops_when_asked
  check "without settings it ends with 78" refuses_to_start_bare
  # Everything is compiled once more, which takes minutes.
  if [[ $FULL ]]; then
    check "a multi-stage build gives the same binary" multi_stage_gives_the_same_binary
  else
    say "   left to --full: a multi-stage build gives the same binary"
  fi
}

main
