# shellcheck shell=bash
# The folder OUT of one place: its settings, and the files that the services read.

# shellcheck disable=SC2034  # MIRROR is read by sheet.sh
HOST='' REGISTRY='' MIRROR=''

# Writes standard input into a file; whole or not at all. Containers read it as users of their own; the folder is closed to all others.
files_put() { # file
  local folder
  folder=$(dirname "$1")
  mkdir -p "$folder" || fail 73 "$folder cannot be made"
  [[ $folder == "$OUT" ]] || chmod 0755 "$folder"
  rm -f "$1.new"
  (umask 077 && cat >"$1.new") || fail 73 "$1 cannot be written"
  chmod 0444 "$1.new"
  mv -f "$1.new" "$1" || fail 73 "$1 cannot be written"
}

# Prints a setting of OUT.
setting() { sed -n "s/^$1=//p" "$OUT/settings.env"; } # name

# Reads for which place OUT is.
open_place() {
  [[ -s $OUT/settings.env ]] || fail 66 "there is no $OUT/settings.env: airgap/bootstrap HOST --out $OUT makes it"
  # shellcheck disable=SC2034
  HOST=$(setting AIRGAP_HOST) REGISTRY=$HOST
  [[ $(setting AIRGAP_PORT) == 443 ]] || REGISTRY=$HOST:$(setting AIRGAP_PORT)
  MIRROR=$HOST:$(setting AIRGAP_MIRROR_PORT)
}

# Lets one command at a time change OUT, from here to its end; the next one waits.
place_lock() {
  local held
  exec {held}<"$OUT" || fail 73 "$OUT cannot be opened"
  flock --timeout 60 "$held" || fail 75 "another command is changing $OUT: call this again when it has ended"
}

# Notes for which place OUT is; what was noted stays.
settle() { # host[:port]
  local host=${1%:*} port=443 uid=$EUID gid
  [[ $1 != *:* ]] || port=${1##*:}
  [[ ! ${option[mirror]} || ${option[mirror]} =~ ^https://[a-zA-Z0-9.:/_-]+$ ]] ||
    misuse "--mirror wants https://HOST[:PORT] without a password in it: that goes into --mirror-password FILE"
  # Both stand in files that engines and shells read, each with quotes of its own.
  [[ $OUT${option[data]} =~ ^[A-Za-z0-9/._@+-]+$ || -s $OUT/settings.env ]] ||
    misuse "--out and --data want paths of letters, digits and . _ @ + - alone: others are read as something else in the files that are made"
  [[ $host =~ ^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$ && $port =~ ^[1-9][0-9]{0,4}$ ]] || misuse "a place is HOST or HOST:PORT in lower case, not '$1'"
  (umask 077 && mkdir -p "$OUT") || fail 73 "$OUT cannot be made"
  place_lock
  if [[ -s $OUT/settings.env ]]; then
    open_place
    [[ $HOST == "$host" && $(setting AIRGAP_PORT) == "$port" ]] || fail 78 "$OUT is of $REGISTRY: choose another folder for $1"
    [[ ! ${option[mirror]} || ${option[mirror]} == "$(setting MIRROR_UPSTREAM)" ]] ||
      fail 78 "$OUT is of the mirror '$(setting MIRROR_UPSTREAM)': edit MIRROR_UPSTREAM in $OUT/settings.env, then call this again"
    say "$OUT is of $REGISTRY already"
    return
  fi
  gid=$(id -g)
  # Root runs nothing as root.
  if ((uid == 0)); then uid=65532 gid=65532; fi
  chmod 0700 "$OUT"
  cat >"$OUT/settings.env.new" <<ENV || fail 73 "$OUT/settings.env cannot be written"
AIRGAP=$OUT
AIRGAP_DATA=$(realpath -m "${option[data]:-$OUT/data}")
AIRGAP_HOST=$host
AIRGAP_PORT=$port
AIRGAP_MIRROR_PORT=${option[mirror_port]}
AIRGAP_BIND=${option[bind]}
AIRGAP_UID=$uid
AIRGAP_GID=$gid
COMPOSE_PROJECT_NAME=registries-${host//./-}-$port
MIRROR_UPSTREAM=${option[mirror]}
ENV
  mv "$OUT/settings.env.new" "$OUT/settings.env"
  open_place
}

# Makes what the services read, and where they write.
files_make() {
  local name data secret config
  users_behind
  if [[ ! -s $OUT/gateway/server.pem ]]; then authority_server "$HOST"; fi
  files_put "$OUT/gateway/ca.pem" <"$OUT/ca/ca.pem"
  users_render
  if [[ ! -s $OUT/machines/machine.cert ]]; then authority_machine machine "$HOST"; fi
  # Its secret stays; it is no word of a command.
  secret=$(sed -n 's/^  secret: //p' "$OUT/registry/config.yaml" 2>/dev/null || true)
  config=$(<"$ROOT/airgap/registry/config.yaml.in")
  printf '%s\n' "${config/@SECRET@/${secret:-$(users_password)}}" | files_put "$OUT/registry/config.yaml"
  for name in user password; do
    if [[ ${option[mirror_$name]} ]]; then
      files_put "$OUT/secrets/mirror_$name" <"${option[mirror_$name]}"
    elif [[ ! -e $OUT/secrets/mirror_$name ]]; then
      files_put "$OUT/secrets/mirror_$name" </dev/null
    fi
  done
  if [[ ${option[mirror_ca]} ]]; then files_put "$OUT/mirror/upstream-ca.pem" <"${option[mirror_ca]}"; fi
  data=$(setting AIRGAP_DATA)
  for name in registry mirror; do
    mkdir -p "$data/$name" || fail 73 "$data/$name cannot be made"
    # Whoever may not pull may not read the files either.
    chmod 0700 "$data/$name" || fail 73 "$data/$name cannot be closed to others"
    if ((EUID == 0)); then chown "$(setting AIRGAP_UID):$(setting AIRGAP_GID)" "$data/$name"; fi
  done
}
