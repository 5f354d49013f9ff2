# shellcheck shell=bash
# The engine and its Compose: there, and young enough.

# True when VERSION is not below LEAST.
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; } # version least

doctor_engine() {
  local version where=${DOCKER_HOST:-unix:///var/run/docker.sock}
  if ! command -v docker >/dev/null; then
    row engine bad "there is no docker command" "apt-get install docker.io, or as your system has it: Docker Engine 24 or newer" 69
    return
  fi
  version=$(timeout 8 docker version --format '{{.Server.Version}}' 2>"$TEMPORARY/version") || version=
  if [[ ! $version ]]; then
    if grep -q 'permission denied' "$TEMPORARY/version"; then
      row engine bad "$(id -un) may not use the engine at $where" "sudo usermod -aG docker $(id -un), and log in again" 69
    else
      row engine bad "no engine answers at $where" "systemctl start docker${DOCKER_HOST:+, or look at DOCKER_HOST}" 69
    fi
  elif at_least "${version#v}" 24; then
    row engine ok "Docker Engine $version"
  else
    row engine bad "Docker Engine is $version, and 24 or newer is wanted" "apt-get install docker.io, or as your system has it" 78
  fi
  version=$(timeout 8 docker compose version --short 2>/dev/null) || version=
  if [[ ! $version ]]; then
    row compose bad "docker has no compose plugin" "apt-get install docker-compose-plugin, or as your system has it" 78
  elif at_least "${version#v}" 2.24; then
    row compose ok "Compose $version"
  else
    row compose bad "Compose is $version, and 2.24 or newer is wanted" "apt-get install docker-compose-plugin, or as your system has it" 78
  fi
}
