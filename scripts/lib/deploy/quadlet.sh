# shellcheck shell=bash
# Podman's units, out of the templates in deploy/quadlet: ${NAME:-DEFAULT} in them means what it means in compose.yaml.

# By name: the images of the units.
declare -A quadlet_images=()

# Fails unless each unit's image is named by its digest and may run here.
quadlet_choose_images() { # images.env
  local name reference code=0
  [[ -s $1 ]] || fail 66 "no image is chosen, there is no $1: policy/admit --write-env images.env MINI_API_IMAGE=REFERENCE POSTGRES_IMAGE=REFERENCE"
  while read -r name reference; do quadlet_images[$name]=$reference; done < <(sed -nE 's/^((MINI_API|POSTGRES)_IMAGE)=(.*)$/\1 \3/p' "$1")
  for name in MINI_API_IMAGE POSTGRES_IMAGE; do
    [[ ${quadlet_images[$name]:-} ]] || fail 65 "$1 names no $name: policy/admit --write-env images.env $name=REFERENCE adds it"
    reference_parse "${quadlet_images[$name]}" pinned || fail 65 "$name in $1 is refused: $REF_WHY"
  done
  "$ROOT/policy/admit" "${quadlet_images[@]}" >&2 || code=$?
  case $code in
    0) ;;
    69) fail 69 "it cannot be known whether the images may run: see above, and try again" ;;
    78) fail 78 "nobody is believed here yet: docs/trust.md tells how to begin" ;;
    *) fail 65 "an image of $1 may not run here, see above: policy/admit --write-env images.env takes another" ;;
  esac
}

# Fails when a setting that stands in a unit is not what it may be: there systemd would read more into it than Compose does.
quadlet_check_settings() {
  local number='[0-9]+(\.[0-9]+)?'
  quadlet_check API_BIND 0.0.0.0 '([0-9]{1,3}\.){3}[0-9]{1,3}|\[[0-9a-fA-F:]+\]' "an address such as 127.0.0.1, or an IPv6 one in brackets"
  quadlet_check API_PORT 8000 '[1-9][0-9]{0,4}' "a port"
  quadlet_check API_CPUS 1.0 "$number" "a number of cores such as 1.5"
  quadlet_check POSTGRES_CPUS 2.0 "$number" "a number of cores such as 1.5"
  quadlet_check API_MEMORY 256M "$number([bBkKmMgG]|[kKmMgG]i?[bB])?" "a size such as 256M"
  quadlet_check POSTGRES_MEMORY 512M "$number([bBkKmMgG]|[kKmMgG]i?[bB])?" "a size such as 512M"
  quadlet_check POSTGRES_UID 999 '[1-9][0-9]{0,8}' "the number of a user who is not root"
  quadlet_check POSTGRES_GID 999 '[1-9][0-9]{0,8}' "the number of a group that is not root's"
}

# Fails unless a setting is wholly of this form.
quadlet_check() { # name default form what
  local value
  value=$(compose_setting "$1" "$2")
  [[ $value =~ ^($3)$ ]] || fail 78 "$1 in .env is '$value', and ought to be $4"
}

# Prints a template with every ${NAME} and ${NAME:-DEFAULT} replaced.
quadlet_render() { # file
  local text name value expression='\$\{([A-Z][A-Z0-9_]*)(:-([^}]*))?\}'
  text=$(<"$1")
  while [[ $text =~ $expression ]]; do
    name=${BASH_REMATCH[1]}
    if [[ $name == *_IMAGE ]]; then value=${quadlet_images[$name]:?}; else value=$(compose_setting "$name" "${BASH_REMATCH[3]}"); fi
    [[ $value != *[[:cntrl:]]* ]] || fail 78 "$name has a line break or another sign that no setting may have: remove it"
    # A value is not looked through again: it may have the form of an expression.
    printf '%s%s' "${text%%"${BASH_REMATCH[0]}"*}" "$value"
    text=${text#*"${BASH_REMATCH[0]}"}
  done
  printf '%s\n' "$text"
}

# Writes everything that Podman is to read into a folder.
quadlet_write() { # folder
  local file name
  for file in "$ROOT"/deploy/quadlet/*.in; do
    name=${file##*/}
    quadlet_render "$file" >"$1/${name%.in}"
  done
  cp "$ROOT"/deploy/quadlet/*.network "$ROOT"/deploy/quadlet/*.volume "$1/"
  cp "$ROOT/deploy/postgres/start" "$1/postgres-start"
  for name in MINI_API_IMAGE POSTGRES_IMAGE; do printf '%s=%s\n' "$name" "${quadlet_images[$name]}"; done >"$1/images.env"
  chmod 0644 "$1"/*
  chmod 0755 "$1"
}

# Fails when the generator of this machine's Podman does not take the units; silent where there is none.
quadlet_check_units() { # folder
  local generator said words=(-dryrun)
  for generator in "${QUADLET_GENERATOR:-}" /usr/libexec/podman/quadlet /usr/lib/podman/quadlet; do
    if [[ -x $generator ]]; then break; fi
  done
  [[ -x $generator ]] || return 0
  ((EUID == 0)) || words+=(-user)
  said=$(QUADLET_UNIT_DIRS=$1 "$generator" "${words[@]}" 2>&1 >/dev/null) ||
    fail 69 "Podman does not take the units: $(grep -v ': Loading ' <<<"$said" | head -n 1)"
}

# Prints the units whose files differ between two folders, in the order in which they are restarted.
quadlet_changed() { # before after
  local unit file files
  for unit in mini-api-db mini-api-migrate mini-api; do
    files=("$unit.container")
    if [[ $unit == mini-api-db ]]; then files+=(mini-api-db.env postgres-start); else files+=(mini-api.env); fi
    for file in "${files[@]}"; do
      if ! cmp -s "$1/$file" "$2/$file"; then
        echo "$unit"
        break
      fi
    done
  done
}
