# deploy/quadlet: what is written for Podman, what Podman's own generators say of it, and that compose.yaml says the same. Nothing is started
# here; quadlet_host.bats does that.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT COSIGN_PASSWORD=only-for-tests
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load_house
  "$ROOT/scripts/setup" jq curl cosign registry referrers oras lint quadlet
  cd "$BATS_FILE_TMPDIR"
  start_registries "$BATS_FILE_TMPDIR"
  export TRUST=$BATS_FILE_TMPDIR/trust TRUST_PIN=$BATS_FILE_TMPDIR/pin
  "$ROOT/scripts/trust" key root
  "$ROOT/scripts/trust" key release
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add release.pub --id release --purpose release --repository "$PLAIN/mini/*"
  "$ROOT/scripts/trust" sign root.key
  export MINI_API_IMAGE POSTGRES_IMAGE NEXT_IMAGE UNSIGNED_IMAGE BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR
  MINI_API_IMAGE=$(push_image "$PLAIN/mini/mini-api" service)
  NEXT_IMAGE=$(push_image "$PLAIN/mini/mini-api" next)
  POSTGRES_IMAGE=$(push_image "$PLAIN/mini/postgres" database)
  UNSIGNED_IMAGE=$(push_image "$PLAIN/mini/mini-api" unsigned)
  for image in "$MINI_API_IMAGE" "$NEXT_IMAGE" "$POSTGRES_IMAGE"; do image_sign "$image" release.key release; done
}

teardown_file() {
  load_house
  stop_registries "$BATS_FILE_TMPDIR"
}

load_house() {
  source "$BATS_TEST_DIRNAME/../release/registries.bash"
  source "$BATS_TEST_DIRNAME/site.bash"
  local part
  for part in document trust reference registry sign; do source "$ROOT/scripts/lib/$part.sh"; done
}

setup() { load_house; }

# What a test sees of the files that were written: nothing but them, or nothing at all.
nothing_written() { [[ ! -e $SITE/units ]] && [[ $(find "$SITE" -maxdepth 1 -name 'units.*') == '' ]]; }

# Prints the line with which a generator starts a service.
started_by() { # generator service
  QUADLET_UNIT_DIRS=$SITE/units "$1" -dryrun 2>/dev/null |
    awk -v unit="---$2.service---" '/^---/ { here = ($0 == unit) } here && sub(/^ExecStart=/, "")'
}

@test "Podman's generators from 4.9 to 5.8 take the units, for the machine and for a user, and run images by digest" {
  local generator
  new_site
  deploy/quadlet/install --out units
  for generator in quadlet-4.9 quadlet quadlet-5.8; do
    QUADLET_UNIT_DIRS=$SITE/units "$generator" -dryrun >said 2>&1 || { cat said && return 1; }
    [[ $(grep -c '^---mini-api.*---$' said) == 6 ]]
    run grep -iE 'unsupported|warning|invalid' said
    [[ $status == 1 ]]
    QUADLET_UNIT_DIRS=$SITE/units "$generator" -dryrun -user >said 2>&1 || { cat said && return 1; }
    [[ $(started_by "$generator" mini-api) == *" $MINI_API_IMAGE" ]]
    [[ $(started_by "$generator" mini-api-migrate) == *" $MINI_API_IMAGE migrate" ]]
    [[ $(started_by "$generator" mini-api-db) == *" $POSTGRES_IMAGE" ]]
    # The health check is a list: there is no shell in the image to give a text to.
    [[ $(started_by "$generator" mini-api) == *'--health-cmd "[\"/mini-api\",\"healthcheck\"]"'* ]]
    # The later of two words counts, and it waits for health.
    [[ $(started_by "$generator" mini-api | grep -oE -- '--sdnotify=[a-z]+' | tail -n 1) == --sdnotify=healthy ]]
  done
}

@test "systemd has nothing to say against the services that come of the units" {
  new_site
  deploy/quadlet/install --out units
  mkdir services
  # Services name Podman's program, which need not be on this machine.
  QUADLET_UNIT_DIRS=$SITE/units PODMAN=/bin/true quadlet -no-kmsg-log services 2>/dev/null
  [[ $(find services -maxdepth 1 -name '*.service' | wc -l) == 6 ]]
  run systemd-analyze verify services/*.service
  [[ $status == 0 && $output != *services/* ]] || { echo "$output" && return 1; }
  # And it would say something.
  sed -i 's/^Restart=always/Restart=nonsense/' services/mini-api.service
  run systemd-analyze verify services/*.service
  [[ $output == *nonsense* ]]
}

@test "compose.yaml and the units say the same, and a difference is found" {
  local change
  run "$ROOT/.tools/venv/bin/python" "$BATS_TEST_DIRNAME/quadlet_drift.py" "$ROOT/compose.yaml" "$ROOT/deploy/quadlet"
  [[ $status == 0 ]] || { echo "$output" && return 1; }
  for change in '/^DRAIN_DELAY=/d' 's/API_MEMORY:-256M/API_MEMORY:-512M/' 's/^PidsLimit=200/PidsLimit=2000/' 's/^ReadOnly=true/ReadOnly=false/' \
    's/^Internal=true/Internal=false/' 's/^HealthRetries=6/HealthRetries=60/' 's/^DropCapability=all/DropCapability=chown/' 's/alias=db/alias=other/' \
    's/^Image=\${POSTGRES_IMAGE}/Image=${MINI_API_IMAGE}/' 's/^NoNewPrivileges=true/AddCapability=all/'; do
    rm -rf "$BATS_TEST_TMPDIR/changed"
    cp -R "$ROOT/deploy/quadlet" "$BATS_TEST_TMPDIR/changed"
    sed -i "$change" "$BATS_TEST_TMPDIR"/changed/*.in "$BATS_TEST_TMPDIR"/changed/*.network
    run "$ROOT/.tools/venv/bin/python" "$BATS_TEST_DIRNAME/quadlet_drift.py" "$ROOT/compose.yaml" "$BATS_TEST_TMPDIR/changed"
    [[ $status == 1 && $output != *"no difference"* ]] || { echo "$change: $output" && return 1; }
  done
}

@test "settings of .env reach the units as they stand there, whatever signs they have" {
  new_site API_BIND=127.0.0.1 API_MEMORY=1.5G POSTGRES_UID=70 POSTGRES_GID=70 'CORS_ALLOW_ORIGINS=https://a.example,http://b.example:3000' \
    'POSTGRES_SETTINGS=log_line_prefix=%m"$HOME"${DB_NAME:-x}\n max_connections=200'
  deploy/quadlet/install --out units
  grep -xF "PublishPort=127.0.0.1:$API_PORT:8000" units/mini-api.container
  grep -F -- '--memory=1.5G ' units/mini-api.container
  grep -xF User=70 units/mini-api-db.container
  grep -F 'target=db_password,uid=70,gid=70,' units/mini-api-db.container
  grep -xF 'CORS_ALLOW_ORIGINS=https://a.example,http://b.example:3000' units/mini-api.env
  grep -xF 'POSTGRES_SETTINGS=log_line_prefix=%m"$HOME"${DB_NAME:-x}\n max_connections=200' units/mini-api-db.env
  grep -xF 'JWT_EXPIRE_MIN=60' units/mini-api.env
  run grep -rF '${' --exclude=postgres-start --exclude=mini-api-db.env units
  [[ $status == 1 ]]
}

@test "an image that is no digest, unsigned, unnamed or unknown is refused in one sentence, and nothing is written" {
  new_site
  sed -i "s|^MINI_API_IMAGE=.*|MINI_API_IMAGE=$PLAIN/mini/mini-api:1.0.0|" images.env
  refused 65 "it is not pinned" deploy/quadlet/install --out units
  nothing_written
  sed -i "s|^MINI_API_IMAGE=.*|MINI_API_IMAGE=$UNSIGNED_IMAGE|" images.env
  refused 65 "may not run here" deploy/quadlet/install --out units
  nothing_written
  refused 65 "may not run here" deploy/quadlet/install --dry-run
  [[ ! $output ]]
  sed -i '/^MINI_API_IMAGE=/d' images.env
  refused 65 "names no MINI_API_IMAGE" deploy/quadlet/install --out units
  rm images.env
  refused 66 "there is no images.env" deploy/quadlet/install --out units
  # What the shell has of images is no choice.
  MINI_API_IMAGE=$MINI_API_IMAGE refused 66 "there is no images.env" deploy/quadlet/install --out units
  nothing_written
}

@test "settings that systemd would read more into are refused in one sentence, and nothing is written" {
  local line
  new_site
  for line in 'API_PORT=8000 --privileged' API_PORT=0 'API_BIND=$HOME' 'API_MEMORY=256M --privileged' API_CPUS=%n POSTGRES_UID=0 'POSTGRES_GID=999,mode=0777'; do
    set_env "$line"
    refused 78 "${line%%=*} in .env is '${line#*=}'" deploy/quadlet/install --out units
    nothing_written
    set_env "${line%%=*}="
  done
  HASH_SLOTS=$'1\nDB_HOST=elsewhere' refused 78 "HASH_SLOTS has a line break" deploy/quadlet/install --out units
  nothing_written
  deploy/quadlet/install --out units
}

@test "what Podman's generator refuses is not installed, and its own words say why" {
  new_site
  echo 'Nonsense=1' >>deploy/quadlet/mini-api-backend.network
  QUADLET_GENERATOR=$(command -v quadlet) refused 69 "unsupported key 'Nonsense'" deploy/quadlet/install --out units
  nothing_written
}

@test "--dry-run prints every file and where it would stand, and writes nothing" {
  new_site
  run --separate-stderr deploy/quadlet/install --dry-run
  [[ $status == 0 ]]
  [[ $(grep -cE '^# ---- /etc/containers/systemd/mini-api/[a-z0-9.-]+$' <<<"$output") == 10 ]]
  [[ $output == *"Image=$MINI_API_IMAGE"* ]]
  nothing_written
  deploy/quadlet/install --out units 2>said
  refused 73 "is there already" deploy/quadlet/install --out units
  # No secret is in what is written.
  for name in db_password jwt_secret jwt_previous_secrets; do
    run grep -rF -e "$(<"secrets/$name")" units said
    [[ $status == 1 ]]
  done
}

@test "a missing .env, a missing Podman, an old one and a wrong word are each one sentence" {
  new_site
  mkdir bin
  # A machine without Podman, and one with Podman 4.6, whose Quadlet looks into no folder below its own.
  if ! command -v podman; then refused 69 "there is no podman command" deploy/quadlet/install; fi
  printf '#!/bin/sh\necho 4.6.2\n' >bin/podman
  chmod +x bin/podman
  PATH=$SITE/bin:$PATH refused 69 "Podman is 4.6.2, and 4.9 or newer is wanted" deploy/quadlet/install
  refused 64 "unknown word 'up'" deploy/quadlet/install up
  refused 64 "--out wants a folder" deploy/quadlet/install --out
  mv .env there
  refused 66 "there is no .env" deploy/quadlet/install
}
