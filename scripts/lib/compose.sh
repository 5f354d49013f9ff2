# shellcheck shell=bash
# shellcheck disable=SC2153  # ROOT is project.sh's
# The deployment of this folder on a Docker Engine: where its settings, images and secrets stand, and how Compose is called.

# Goes to the folder of compose.yaml, so that relative paths in .env mean what they say.
compose_open() { cd "$ROOT" || fail 66 "$ROOT cannot be entered"; }

# More files of settings, which win.
COMPOSE_MORE=()

# Runs docker compose on this deployment. images.env comes after .env, and what the shell may have of images is taken away: nothing
# takes the place of what was admitted.
compose() { # arguments…
  local word words=() files=()
  while IFS= read -r word; do words+=(-u "$word"); done < <(compgen -e | grep '_IMAGE$' || true)
  # What scripts/rollout says of the colours comes last.
  for word in .env images.env "$(compose_setting ROLLOUT ./.local/rollout)/env" "${COMPOSE_MORE[@]}"; do
    if [[ -e $word ]]; then files+=(--env-file "$word"); fi
  done
  env "${words[@]}" docker compose --project-directory "$ROOT" "${files[@]}" "$@"
}

# Prints a setting as Compose would read it: from the environment, else from .env, else the default.
compose_setting() { # name default
  local value=${!1:-}
  if [[ ! $value && -e .env ]]; then value=$(sed -n "s/^[[:space:]]*$1=//p" .env | tail -n 1 | sed -e 's/[[:space:]]*$//' -e 's/^"\(.*\)"$/\1/' -e "s/^'\(.*\)'\$/\1/"); fi
  printf '%s\n' "${value:-$2}"
}

# Prints the folder of the secrets.
compose_secrets() { realpath -m "$(compose_setting SECRETS ./secrets)"; }

# Prints "NAME REFERENCE" of each image in images.env.
compose_images() { sed -nE 's/^([A-Z][A-Z0-9_]*_IMAGE)=(.*)$/\1 \2/p' images.env; }

# Prints the ids of this deployment's containers, whatever the files of Compose say now; words are filters of docker ps.
compose_containers() { # words…
  docker ps --quiet --filter "label=com.docker.compose.project=$(compose_setting COMPOSE_PROJECT_NAME mini-api)" "$@"
}

# Prints the state of a service's container: running, exited, …; and its health. Nothing when there is none.
compose_state() { # service
  compose ps --all --format json "$1" 2>/dev/null | jq -rs 'flatten | .[0] // empty | "\(.State) \(.Health)"'
}
