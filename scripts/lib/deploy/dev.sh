# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # what is passed on stands in scripts/compose and scripts/lib/compose.sh
# The desk: the tree as it is, built and running, again and again.

# Prints what the tree looks like: any change of a source changes it.
dev_state() { git -C "$ROOT" ls-files -z --cached --others --exclude-standard -- src migrations Cargo.toml Cargo.lock build.rs Containerfile | xargs -0 stat -c '%n %Y %s' 2>/dev/null | sha256sum; }

# Runs Compose with the overlay for the desk, under a name of its own: nothing of a deployment on this machine is taken for it.
# The name is made once, by `dev`: a trap that interrupts this function finds COMPOSE_PROJECT_NAME as it is set here.
dev_compose() {
  COMPOSE_PROJECT_NAME=$dev_project REVISION=$(project_revision) COMPOSE_FILE=compose.yaml:compose.dev.yaml compose "$@"
}

# Builds the binary, then the image, and starts what changed.
dev_build() {
  "$ROOT/scripts/build-static" --out "$ROOT/dist/mini-api" >&2 || return 1
  dev_compose up --detach --build --wait --wait-timeout "$patience" >&2
}

# Takes everything down.
dev_end() {
  trap '' INT TERM
  say "stopping"
  dev_compose --progress quiet down --timeout 10 >&2 ||
    say "not everything could be taken down: docker ps shows what is left"
}

dev() {
  local seen=''
  # Not local: the trap at the end reads it as well.
  dev_project=$(compose_setting COMPOSE_PROJECT_NAME mini-api)-dev
  ready_engine
  ready_files
  ready_secrets
  [[ -s images.env ]] || fail 66 "no image of PostgreSQL is chosen: policy/admit --write-env images.env POSTGRES_IMAGE=REFERENCE"
  mkdir -p "$LOCAL"
  echo 'MINI_API_IMAGE=localhost/mini-api:dev' >"$LOCAL/dev.env"
  COMPOSE_MORE=("$LOCAL/dev.env")
  trap dev_end EXIT
  trap 'exit 130' INT TERM
  while true; do
    if [[ $(dev_state) != "$seen" ]]; then
      seen=$(dev_state)
      if dev_build; then say "http://127.0.0.1:$(compose_setting API_PORT 8000)/docs is of this tree; waiting for changes, Ctrl-C stops"; else say "it did not build: mend it, and it is built again"; fi
    fi
    sleep 1
  done
}
