# shellcheck shell=bash
# Certificates: the authority that the registry is believed by, and what the service shows if it speaks TLS.

# Judges the certificates of a PEM file.
certificates_judge() { # check what file next
  local part ends soonest='' code=0 good=0 faults=0
  awk -v folder="$TEMPORARY" '/-----BEGIN CERTIFICATE-----/ { n++ } n { print >(folder "/certificate." n) }' "$3"
  for part in "$TEMPORARY"/certificate.*; do
    [[ -e $part ]] || break
    code=0
    openssl x509 -in "$part" -noout -checkend 0 >/dev/null 2>"$TEMPORARY/openssl" || code=$?
    if [[ -s $TEMPORARY/openssl ]] || ! certificates_began "$part"; then faults=$((faults + 1)) && rm "$part" && continue; fi
    ends=$(date -u -d "$(openssl x509 -in "$part" -noout -enddate | cut -d = -f 2)" +%s)
    if ((code == 0)); then good=$((good + 1)); fi
    if [[ ! $soonest ]] || ((ends < soonest)); then soonest=$ends; fi
    rm "$part"
  done
  if ((faults || ! ${soonest:-0})); then
    row "$1" bad "$2 is no certificate in PEM, or not valid yet" "$4" 78
  elif ((soonest <= EPOCHSECONDS)); then
    # Beside a good one an old one does no harm.
    if ((good)); then
      row "$1" warning "$2 has a certificate that expired $(span $((EPOCHSECONDS - soonest))) ago, beside $good that did not" "$4"
    else
      row "$1" bad "$2 expired $(span $((EPOCHSECONDS - soonest))) ago" "$4" 78
    fi
  elif ((soonest - EPOCHSECONDS < 30 * 86400)); then
    row "$1" warning "$2 expires in $(span $((soonest - EPOCHSECONDS)))" "$4"
  else
    row "$1" ok "$2 is valid for $(span $((soonest - EPOCHSECONDS)))"
  fi
}

# True unless a certificate is of the future.
certificates_began() { # file
  local began
  began=$(date -u -d "$(openssl x509 -in "$1" -noout -startdate 2>/dev/null | cut -d = -f 2)" +%s 2>/dev/null) || return 1
  ((began <= EPOCHSECONDS + 60))
}

doctor_certificates() {
  local merged port
  local mend="cat NEW.pem >>${REGISTRY_CA:-} (docs/runbooks/certificates.md)"
  if [[ ! ${REGISTRY_CA:-} ]]; then
    row ca ok "REGISTRY_CA names none: the registry is believed by the system's authorities"
  elif [[ ! -r $REGISTRY_CA ]]; then
    row ca bad "REGISTRY_CA names $REGISTRY_CA, which cannot be read" "export REGISTRY_CA=FILE, with the authority's certificate" 78
  else
    certificates_judge ca "the authority in $REGISTRY_CA" "$REGISTRY_CA" "$mend"
  fi
  merged=$(doctor_merged) || return 0
  jq -e '(.services.api.environment.TLS_CERT_FILE // "") != ""' >/dev/null <<<"$merged" || return 0
  port=$(jq -r '.services.api.ports[0].published // empty' <<<"$merged")
  # What is shown counts, not what lies in a file.
  if timeout 8 openssl s_client -connect "127.0.0.1:$port" </dev/null 2>/dev/null | openssl x509 >"$TEMPORARY/shown" 2>/dev/null; then
    certificates_judge tls "the certificate of port $port" "$TEMPORARY/shown" "less docs/runbooks/certificates.md"
  else
    row tls warning "nobody shows a certificate at port ${port:-?}" "scripts/compose up, or scripts/compose logs api"
  fi
}
