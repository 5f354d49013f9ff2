#!/usr/bin/env bats
# What scripts/build-image promises, engine or not.

setup() {
  load support
  make_copy
  # Any file will do, and a small one is packed sooner.
  cp /bin/true "$COPY/service"
}

teardown() { remove_copy; }

@test "the same binary gives the same digest, whatever its time stamp and folder" {
  first=$("$COPY/scripts/build-image" --binary "$COPY/service" --out "$COPY/one" 2>/dev/null | tail -n 1)
  mkdir "$COPY/deeper"
  cp /bin/true "$COPY/deeper/other"
  touch -d 2001-01-01 "$COPY/deeper/other"
  second=$(umask 077 && "$COPY/scripts/build-image" --binary "$COPY/deeper/other" --out "$COPY/two" 2>/dev/null | tail -n 1)
  [[ $first =~ ^sha256:[0-9a-f]{64}$ ]]
  [ "$first" = "$second" ]
  diff -r "$COPY/one" "$COPY/two"
}

@test "another binary gives another digest" {
  first=$("$COPY/scripts/build-image" --binary "$COPY/service" --out "$COPY/one" 2>/dev/null)
  echo >>"$COPY/service"
  [ "$first" != "$("$COPY/scripts/build-image" --binary "$COPY/service" --out "$COPY/one" 2>/dev/null)" ]
}

@test "a build that fails leaves the last image as it was" {
  "$COPY/scripts/build-image" --binary "$COPY/service" --out "$COPY/one" 2>/dev/null
  cp -a "$COPY/one" "$COPY/before"
  run "$COPY/scripts/build-image" --binary "$COPY/missing" --out "$COPY/one"
  [ "$status" -ne 0 ]
  diff -r "$COPY/before" "$COPY/one"
  [ "$(find "$COPY" -maxdepth 1 -name 'one.*')" = "" ]
}

@test "the settings are the Containerfile's" {
  "$COPY/scripts/build-image" --binary "$COPY/service" --out "$COPY/one" 2>/dev/null
  manifest=$(jq -r '.manifests[0].digest | ltrimstr("sha256:")' "$COPY/one/index.json")
  config=$(jq -r '.config.digest | ltrimstr("sha256:")' "$COPY/one/blobs/sha256/$manifest")
  jq -e '.config | .User == "65532:65532" and .StopSignal == "SIGTERM" and .Entrypoint == ["/mini-api"]
    and .Healthcheck.Test == ["CMD", "/mini-api", "healthcheck"] and .ExposedPorts == {"8000/tcp": {}}
    and .Labels["org.opencontainers.image.title"] == "mini-api" and (.Labels | length == 6)' "$COPY/one/blobs/sha256/$config"
}

@test "an instruction that build-image does not know ends the build" {
  echo 'VOLUME /data' >>"$COPY/Containerfile"
  run "$COPY/scripts/build-image" --binary "$COPY/service" --out "$COPY/one"
  [ "$status" -ne 0 ]
  [[ $output == *VOLUME* ]]
  [ ! -e "$COPY/one" ]
}
