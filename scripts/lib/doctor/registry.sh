# shellcheck shell=bash
# The registries of images.env: each answers over TLS by a certificate that is believed, takes our credentials, and has our time.

doctor_registry() {
  local registry registries
  if [[ ! -s images.env ]]; then
    row registry warning "images.env names no registry yet" \
      "policy/admit --write-env images.env MINI_API_IMAGE=REFERENCE POSTGRES_IMAGE=REFERENCE"
    return
  fi
  mapfile -t registries < <(compose_images | awk '{ sub(/\/.*/, "", $2); print $2 }' | LC_ALL=C sort -u)
  for registry in "${registries[@]}"; do
    # What is no name of a host is refused by images; nothing is asked of it.
    [[ $registry =~ ^[a-z0-9.-]+(:[0-9]+)?$ ]] || continue
    registry_look "$registry"
  done
}

# Asks one registry who we are, as its clients do first.
registry_look() { # host[:port]
  local user status=000 code=0 before answer=$TEMPORARY/answer
  user=$(registry_user "$1")
  before=$EPOCHSECONDS
  (umask 077 && {
    printf 'url = "https://%s/v2/"\noutput = "/dev/null"\ndump-header = "%s"\n' "$1" "$answer"
    printf 'silent\nwrite-out = "%%{http_code}"\nconnect-timeout = 4\nmax-time = 8\n'
    [[ ! ${REGISTRY_CA:-} ]] || printf 'cacert = "%s"\n' "$REGISTRY_CA"
    [[ ! $user ]] || printf 'user = %s\n' "$user"
  } >"$TEMPORARY/question")
  status=$(curl --config "$TEMPORARY/question" 2>/dev/null) || code=$?
  case $code:$status in
    0:200) row registry ok "$1 answers and takes our credentials" ;;
    0:401)
      if grep -qi '^www-authenticate: *bearer' "$answer"; then
        row registry warning "$1 hands out tokens, which policy/admit does not ask for" "less docs/trust.md"
      else
        row registry bad "$1 refuses our credentials" "docker login $1" 69
      fi
      ;;
    0:403) row registry bad "$1 refuses our credentials (403)" "docker login $1" 69 ;;
    0:*) row registry bad "$1 answers $status to who we are" "curl --head https://$1/v2/, and the registry's own log" 69 ;;
    35:* | 51:* | 58:* | 60:* | 77:*)
      row registry bad "$1 shows no certificate that is believed${REGISTRY_CA:+ by $REGISTRY_CA}" \
        "export REGISTRY_CA=FILE, or renew it (docs/runbooks/certificates.md)" 69
      ;;
    6:*) row registry bad "nobody knows the name $1" "getent hosts ${1%%:*}" 69 ;;
    *) row registry bad "$1 does not answer" "curl https://$1/v2/, or start the registry" 69 ;;
  esac
  [[ $code == 0 && -s $answer ]] || return 0
  registry_clock "$1" "$before"
}

# Compares its clock with ours, from the header that every answer has.
registry_clock() { # registry asked-at
  local said theirs
  said=$(tr -d '\r' <"$TEMPORARY/answer" | sed -n 's/^[Dd]ate: //p' | tail -n 1)
  [[ $said ]] && theirs=$(date -u -d "$said" +%s 2>/dev/null) || return 0
  # It was somewhere between question and answer.
  if ((theirs >= $2 - 1 && theirs <= EPOCHSECONDS + 1)); then theirs=$EPOCHSECONDS; fi
  row_clock clock-registry "the registry $1" $((theirs - EPOCHSECONDS))
}
