# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # import_… are import.sh's, MARK_… mark.sh's, registry_… registry_write.sh's
# Looks at everything an import stands on, and says what is to be done. Nothing is changed, but that an upload is begun and called off. The rows
# are those of scripts/doctor.

# What an import needs room for, in KiB: copies of manifests and a batch of small blobs; marks, receipts and manifests.
doctor_temporary=262144 doctor_memory=65536
# Seconds before their end that keys are spoken of.
doctor_soon=$((30 * 86400))

# Looks, prints a table, and ends with the code of the first row that is bad or unknown.
verb_doctor() {
  local part check checks=(believed:trust room:disk)
  for part in row disk trust registry; do
    # shellcheck source=/dev/null
    source "$scripts/lib/doctor/$part.sh"
  done
  doctor_words "$@"
  ROWS=$TEMPORARY/rows
  : >"$ROWS"
  doctor_tools
  if [[ $import_to ]]; then checks+=(answers:registry streams:streams); fi
  # Nothing more can be said without the tools.
  if ! grep -q $'^tools\037bad' "$ROWS"; then
    for check in "${checks[@]}"; do doctor_look "${check%:*}" "${check#*:}"; done
  fi
  rows_read <"$ROWS" >"$TEMPORARY/rows.json"
  rows_print "$TEMPORARY/rows.json" "$import_form"
  return "$(jq -s 'map(select(.state | IN("bad", "unknown"))) | .[0].code // 0' "$TEMPORARY/rows.json")"
}

# Here a registry need not be named.
doctor_words() {
  while (($#)); do
    case $1 in
      --to | --stream)
        [[ ${2:-} ]] || misuse "$1 wants a value, and here is none"
        if [[ $1 == --to ]]; then import_to=$2; else import_stream=$2; fi
        shift
        ;;
      --json) import_form=json ;;
      *) misuse "doctor does not know '$1'" ;;
    esac
    shift
  done
  [[ $import_to || ! $import_stream ]] || misuse "a stream is one of a registry: --to HOST[:PORT]"
}

# Gives a check a folder of its own; it ends without what the whole has to do at its end.
doctor_enter() { # check
  trap - EXIT
  TEMPORARY=$TEMPORARY/$1
  mkdir "$TEMPORARY"
}

# Runs one check by itself; what ends it becomes a row.
doctor_look() { # check name
  local code=0 why
  # In the background a failed step ends it, as it would end a script.
  (doctor_enter "$1" && "doctor_$1") 2>"$TEMPORARY/$1.why" </dev/null &
  wait "$!" || code=$?
  ((code != 0)) || return 0
  why=$(grep -v '^\s*$' "$TEMPORARY/$1.why" | tail -n 1 || true)
  row "$2" unknown "it could not be looked at: ${why#*: }" "airgap/bundle doctor again, once that is mended" "$code"
}

# The programs that every step stands on.
doctor_tools() {
  local tool missing=() version
  for tool in curl jq openssl cosign flock tar gzip awk sed split column numfmt sha256sum xargs; do
    type -P "$tool" >/dev/null || missing+=("$tool")
  done
  if ((${#missing[@]})); then
    row tools bad "missing: ${missing[*]}" "install them; cosign and jq: scripts/setup cosign jq, or from the bundle's tools.tar.gz" 69
    return
  fi
  version=$(curl --version | awk 'NR == 1 { print $2 }')
  # Before 7.76 many requests at once do not tell which of them failed.
  if [[ $(printf '7.76\n%s\n' "$version" | sort -V | head -n 1) != 7.76 ]]; then
    row tools bad "curl is $version, and 7.76 is wanted at least" "install a newer curl" 69
  elif [[ ! -s $TOOLS/cosign/signing-config.json || ! -s $TOOLS/cosign/trusted-root.json ]]; then
    row tools bad "cosign has no configuration for a place without internet in $TOOLS/cosign" "scripts/setup cosign, or unpack the bundle's tools.tar.gz" 78
  else
    row tools ok "curl $version, $(jq --version), $(openssl version | cut -d ' ' -f 1-2), cosign and whatever else is wanted are here"
  fi
}

# Whom we believe; and of each purpose that an import needs, the key that lives longest.
doctor_believed() {
  local code=0 why purpose id until age
  trust_aside
  (trust_open "$TEMPORARY/keys") 2>"$TEMPORARY/why" || code=$?
  if ((code != 0)); then
    why=$(tail -n 1 "$TEMPORARY/why")
    row trust bad "${why#*: }" "$( ((code == 78)) && echo "scripts/trust verify --sha256 HASH-OF-THE-SHEET (docs/trust.md)" || echo "airgap/bundle follow DIR, or bring the trust file anew, whole")" "$code"
    return
  fi
  age=$((EPOCHSECONDS - $(jq '.issued | fromdateiso8601' "$TEMPORARY/keys/copy/trust.json")))
  row trust ok "version $(jq .version "$TEMPORARY/keys/copy/trust.json") for $(jq -r .audience "$TEMPORARY/keys/copy/trust.json") is believed, issued $(span "$((age > 0 ? age : 0))") ago"
  while IFS=$'\t' read -r purpose id until; do
    if [[ $id == - ]]; then
      row trust-keys bad "no key of purpose $purpose is valid now${import_to:+$([[ $purpose != import ]] || echo " for $import_to")}" \
        "scripts/trust add PUB --id ID --purpose $purpose$([[ $purpose != import ]] || echo " --repository '${import_to:-REGISTRY}/*'")" 65
    elif ((until - EPOCHSECONDS < doctor_soon)); then
      row trust-keys warning "key $id, the last for $purpose, ends in $(span $((until - EPOCHSECONDS)))" "scripts/trust rotate $id NEW.pub --id NEW (docs/trust.md)"
    else
      row trust-keys ok "key $id for $purpose is valid for $(span $((until - EPOCHSECONDS)))"
    fi
  done < <(jq -r --argjson now "$EPOCHSECONDS" --arg to "$import_to" '.keys as $keys | "bundle", "import", "receipt" | . as $purpose
    | [$keys[] | select(.purpose == $purpose and (has("revoked") | not) and ($purpose != "import" or $to == "" or any(.repositories[]; startswith($to + "/"))))
      | .until |= fromdateiso8601 | select((.from | fromdateiso8601) <= $now and .until > $now)]
    | if length == 0 then "\($purpose)\t-\t0" else max_by(.until) | "\($purpose)\t\(.id)\t\(.until)" end' "$TEMPORARY/keys/copy/trust.json")
}

doctor_room() {
  disk_judge disk-temporary "temporary files (TMPDIR)" "$(disk_there "${TMPDIR:-/tmp}")" "$doctor_temporary"
  disk_judge disk-memory "what this host remembers (AIRGAP_STATE)" "$(disk_there "$AIRGAP_STATE")" "$doctor_memory"
  if [[ -e $LOCAL/locks/lists ]] && ! flock --nonblock --shared "$LOCAL/locks/lists" true; then
    row locks warning "an import on this host is writing lists of what hangs on images" "wait for it (fuser $LOCAL/locks/lists)"
  fi
}

# The registry: whether it is one of ours, answers over TLS, takes our credentials, and has our time.
doctor_answers() {
  if ! reference_registry_known "$import_to"; then
    row registry bad "$import_to is not in $(basename "$REFERENCE_REGISTRIES")" "add it there, if it is one of yours" 78
    return
  fi
  registry_look "$import_to"
}

# The stream that was named, or all that this host remembers.
doctor_streams() {
  local streams=("$import_stream")
  if ! reference_registry_known "$import_to" || grep -q $'^registry\037bad' "$ROWS"; then return 0; fi
  [[ $import_stream ]] || mapfile -t streams < <(find "$AIRGAP_STATE/inside/${import_to//:/_}" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' 2>/dev/null | LC_ALL=C sort)
  ((${#streams[@]})) || row streams ok "this host remembers no import into $import_to"
  trust_aside
  trust_open "$TEMPORARY/keys"
  registry_open "$import_to" "$TEMPORARY/registry"
  for import_stream in "${streams[@]}"; do
    status_stream "$import_stream"
    doctor_marks "$TEMPORARY/$import_stream"
    doctor_write
    doctor_lists
  done
}

# What host and registry remember, whether it waits for more, and whether the clock can be right.
doctor_marks() { # folder
  local code=0 why serial='' manifest time receipt='' next="--to $import_to --stream $import_stream"
  mkdir -p "$1"
  (mark_read "$import_to" "$import_stream" "$1" && printf '%s %s %s\n' "$MARK_SERIAL" "$MARK_MANIFEST" "$MARK_TIME" >"$1/read") 2>"$1/why" || code=$?
  if ((code != 0)); then
    why=$(tail -n 1 "$1/why")
    case $code in
      65) row marks bad "${why#*: }" "airgap/bundle reconcile $next --key ONE --key OTHER" 65 ;;
      *) row marks unknown "${why#*: }" "airgap/bundle doctor again, once the registry is well" "$code" ;;
    esac
    return
  fi
  read -r serial manifest time <"$1/read"
  if ((serial == 0)); then
    row marks ok "nothing of stream $import_stream was imported into $import_to yet"
  else
    row marks ok "this host and $import_to remember serial $serial of stream $import_stream"
    if [[ $(trust_now) < $time ]]; then
      row clock bad "it is said to be $(trust_now), and the mark of stream $import_stream was signed at $time" "chronyc makestep, or date --utc --set=TIME (docs/runbooks/clock.md)" 78
    fi
    if (status_document receipt "$1") 2>"$1/why"; then receipt=$(jq -r .manifest "$1/receipt.json"); fi
    if [[ $receipt != "$manifest" ]]; then
      row half-imports warning "serial $serial of stream $import_stream was begun and is not whole" "airgap/bundle import --to $import_to --key … --receipt-key … DIR…, with all its media"
    fi
  fi
  if [[ -e $STREAM_HOME/lock ]] && ! flock --nonblock "$STREAM_HOME/lock" true; then
    row locks warning "somebody is importing stream $import_stream on this host" "wait for them (fuser $STREAM_HOME/lock)"
  fi
}

# Begins an upload beside the marks of the stream, and calls it off.
doctor_write() {
  local status code place
  if ! (registry_may "airgap/$import_stream") 2>/dev/null; then
    row write bad "$import_to hands out no token for airgap/$import_stream" "docker login $import_to" 77
    return
  fi
  registry_may "airgap/$import_stream"
  rm -f "$registry_jobs/headers.1"
  printf '1\tPOST\tairgap/%s/blobs/uploads/\t-\t-\n' "$import_stream" | registry_run "$registry_jobs/answers"
  read -r _ status code <"$registry_jobs/answers" || true
  if ! registry_judge "${status:-000}" "${code:-0}"; then
    row write bad "airgap/$import_stream cannot be written: ${REGISTRY_FAULT%%: *}" "$([[ $REGISTRY_FAULT == *': '* ]] && echo "${REGISTRY_FAULT#*: }" || echo "curl --head https://$import_to/v2/")" "$REGISTRY_CODE"
    return
  fi
  row write ok "this account may write airgap/$import_stream in $import_to"
  place=$(tr -d '\r' <"$registry_jobs/headers.1" | sed -n 's/^[Ll]ocation: *//p' | tail -n 1)
  case $place in
    /*) place=https://$import_to$place ;;
    https://*) ;;
    *) return 0 ;;
  esac
  # One that cannot be called off is forgotten by the registry some day.
  printf '1\tDELETE\t%s\t-\t-\n' "$place" | registry_run "$registry_jobs/answers"
}

# Whether the registry lists itself what hangs on an image. Some say of a repository that is not there yet what others say of such lists.
doctor_lists() {
  local status
  printf '1\tGET\tairgap/%s/referrers/sha256:%064d\tAccept: application/vnd.oci.image.index.v1+json\t-\n' "$import_stream" 0 | registry_run "$registry_jobs/answers"
  read -r _ status _ <"$registry_jobs/answers" || true
  case ${status:-000} in
    200) row referrers ok "$import_to lists what hangs on an image" ;;
    400 | 404 | 405) row referrers ok "$import_to has no list of what hangs on an image (or nothing of this stream yet): a tag stands in for it, which one import at a time may alter" ;;
    *) row referrers unknown "whether $import_to lists what hangs on an image cannot be known (${status:-000})" "airgap/bundle doctor again, once the registry is well" ;;
  esac
}
