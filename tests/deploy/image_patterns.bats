# docs/image-patterns.md: its commands as they stand there, and what it says of the image.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/site.bash"
  new_site
  cp "$ROOT/.dockerignore" .
  mkdir dist
  install -m 0755 "$STAGE/binary" dist/mini-api
  export IMAGE=$MINI_API_IMAGE TOOLS_IMAGE=$POSTGRES_IMAGE
}

teardown() { end_site; }

@test "what is in the image: one file that needs nothing, not root, nothing else" {
  docker pull --quiet "$IMAGE"
  page_runs image-patterns.md 1
  # The first document that it printed.
  awk '/^{/ { inside = 1 } inside { print } /^}/ { exit }' page.log |
    jq -e '.User == "65532:65532" and .Entrypoint == ["/mini-api"] and .Healthcheck.Test == ["CMD", "/mini-api", "healthcheck"] and (.Labels | length >= 6)'
  [[ $(docker image inspect "$IMAGE" | jq '.[0].RootFS.Layers | length') == 1 ]]
  docker image inspect "$IMAGE" | jq -e '.[0].Config.Env | . == null or all(startswith("PATH="))'
  page_runs image-patterns.md 2
  grep -x "it needs nothing" page.log
  grep -E '^mini-api [0-9]+\.[0-9]+\.[0-9]+' page.log
  # One that asks for a loader would be told.
  readelf --program-headers --dynamic --wide /bin/sh | grep -E 'INTERP|NEEDED'
}

@test "two builds have the same digest, and Docker alone builds the image too" {
  page_runs image-patterns.md 3
  grep -xE 'sha256:[0-9a-f]{64}' page.log
  # The builder sees the binary, and nothing that is secret or large.
  echo not-for-builders >secrets/planted
  page_runs image-patterns.md 4
  docker image inspect localhost/mini-api:mine | jq -e '.[0].Config | .User == "65532:65532" and .Labels["org.opencontainers.image.version"] == "1.0.0"'
  printf 'FROM scratch\nCOPY . /\n' >Containerfile.all
  docker buildx build --quiet --load --provenance=false --tag localhost/all --file Containerfile.all .
  docker save localhost/all >all.tar
  run grep -c not-for-builders all.tar
  [[ $status == 1 ]]
  docker rmi --force localhost/mini-api:mine localhost/all
}

@test "its health is asked without a shell, and another container looks into it" {
  scripts/compose up
  export CONTAINER
  CONTAINER=$(container api)
  page_runs image-patterns.md 5
  grep -x healthy page.log
  run docker exec "$CONTAINER" /bin/sh -c true
  [[ $status != 0 ]]
  page_runs image-patterns.md 6
  grep -x /mini-api page.log
  grep -E '^CapEff:.*0000000000000000' page.log
  grep -E '^Uid:.*65532' page.log
  grep -E '^mini_api_connections [0-9]' page.log
  grep -E ' /?mini-api$' page.log
  [[ $(grep -c '^```bash$' "$ROOT/docs/image-patterns.md") == 6 ]]
}
