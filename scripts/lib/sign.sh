# shellcheck shell=bash
# shellcheck disable=SC2034  # SIGN_KEY is read by callers
# Signatures of images and what is attested of them: made by cosign with keys, verified by openssl against the trust file,
# many images in three rounds of questions. Needs document.sh, trust.sh, reference.sh and registry.sh; docs/trust.md explains.

SIGN_STATEMENT=https://sigstore.dev/cosign/sign/v1
sign_bundle=application/vnd.dev.sigstore.bundle.v0.3+json
# Nobody needs more; whoever floods an image with referrers shall not keep us busy.
sign_most=64

# Signs an image in its repository, for a purpose. One at a time for each repository: registries without a referrers API keep
# the list in a tag that is read, altered and written.
image_sign() { # reference(pinned) key purpose
  reference_parse "$1" || fail 65 "$1 is refused: $REF_WHY"
  document_password "$2"
  sign_alone "$REF_REPOSITORY" cosign_offline sign --key "$2" -a "purpose=$3" -a "repository=$REF_REPOSITORY" \
    ${REGISTRY_CA:+--registry-cacert "$REGISTRY_CA"} "$REF_REPOSITORY@$REF_DIGEST"
}

# Attests a predicate of an image; TYPE is a URL.
image_attest() { # reference(pinned) key type predicate-file
  reference_parse "$1" || fail 65 "$1 is refused: $REF_WHY"
  jq -es 'length == 1 and (.[0] | type == "object" and length > 0)' "$4" >/dev/null 2>&1 || fail 65 "$4 says nothing: a predicate is a JSON object with something in it"
  document_password "$2"
  sign_alone "$REF_REPOSITORY" cosign_offline attest --key "$2" --type "$3" --predicate "$4" \
    ${REGISTRY_CA:+--registry-cacert "$REGISTRY_CA"} "$REF_REPOSITORY@$REF_DIGEST"
}

# Runs a command while nobody else on this machine attaches to the repository.
sign_alone() { # repository command…
  local repository=$1 log code=0
  shift
  log=$(mktemp)
  mkdir -p "$LOCAL/locks"
  (
    exec 7>"$LOCAL/locks/${repository//[^a-z0-9.-]/_}"
    flock 7
    "$@" >"$log" 2>&1 </dev/null
  ) || code=$?
  if ((code != 0)); then
    local why
    why=$(grep -v '^$' "$log" | tail -n 1 || true)
    rm -f "$log"
    fail 69 "cosign could not attach to $repository: ${why:-it gave no reason}"
  fi
  rm -f "$log"
}

# Gathers what is signed of many images. Below the folder N/ for the N-th reference get:
#   outcome   0, 65 or 69 and a sentence: whether the image is there and what hangs on it could be read
#   found     a line for each statement whose signature holds: key id, predicate type, file with the statement
#   strange   fingerprints of keys that signed and are not in the trust file
#   attested  exists when something other than a signature hangs on it
sign_gather() { # folder reference…
  local folder=$1 reference
  local -i n=0
  shift
  registry_begin "$folder"
  for reference in "$@"; do
    n=$((n + 1))
    mkdir -p "$folder/$n"
    : >"$folder/$n/found"
    : >"$folder/$n/strange"
    reference_parse "$reference" || {
      printf '65 %s' "$REF_WHY" >"$folder/$n/outcome"
      continue
    }
    printf '%s %s %s\n' "$REF_REGISTRY" "${REF_REPOSITORY#*/}" "$REF_DIGEST" >"$folder/$n/image"
    registry_ask "$REF_REGISTRY" "${REF_REPOSITORY#*/}" manifests "$REF_DIGEST" "$folder/$n/manifest"
    registry_ask "$REF_REGISTRY" "${REF_REPOSITORY#*/}" referrers "$REF_DIGEST" "$folder/$n/referrers"
    registry_ask "$REF_REGISTRY" "${REF_REPOSITORY#*/}" manifests "${REF_DIGEST/:/-}" "$folder/$n/fallback"
  done
  registry_answers
  sign_each "$folder" "$n" sign_list
  registry_answers
  sign_each "$folder" "$n" sign_open
  registry_answers
  sign_each "$folder" "$n" sign_check
}

# Does one step for every image that nothing is decided of yet.
sign_each() { # folder count step
  local -i n
  for ((n = 1; n <= $2; n++)); do
    if [[ ! -e $1/$n/outcome ]]; then "$3" "$1/$n"; fi
  done
}

# Notes the outcome of an image.
sign_outcome() { # folder code why
  printf '%s %s' "$2" "$3" >"$1/outcome"
}

# Step 1: the image is there; asks for the manifest of each referrer, which registries list by an API, in a tag, or both.
sign_list() { # folder
  local registry path digest list code=0 referrer
  local -i n=0
  read -r registry path digest <"$1/image"
  registry_outcome "$1/manifest" || code=$?
  case $code in
    65) sign_outcome "$1" 65 "there is no such image in $registry/$path" && return ;;
    69) sign_outcome "$1" 69 "$REGISTRY_WHY" && return ;;
  esac
  registry_is "$1/manifest" "$digest" || { sign_outcome "$1" 65 "the registry serves other bytes under this digest" && return; }
  for list in referrers fallback; do
    code=0
    registry_outcome "$1/$list" || code=$?
    # What has no referrers API says so in several ways.
    if [[ $list == referrers && $(<"$1/$list.status") =~ ^40[05]$ ]]; then code=65; fi
    if ((code == 69)); then sign_outcome "$1" 69 "$REGISTRY_WHY" && return; fi
    if ((code == 0)); then jq -r '.manifests[]?.digest // empty' "$1/$list" 2>/dev/null; fi
  done | grep -xE 'sha256:[0-9a-f]{64}' | sort -u | head -n "$sign_most" >"$1/list" || true
  if [[ -e $1/outcome ]]; then return; fi
  while read -r referrer; do
    n=$((n + 1))
    echo "$referrer" >"$1/referrer.$n.digest"
    registry_ask "$registry" "$path" manifests "$referrer" "$1/referrer.$n"
  done <"$1/list"
}

# Step 2: asks for the bundle of each referrer that has one.
sign_open() { # folder
  local registry path digest file blob code
  read -r registry path digest <"$1/image"
  for file in "$1"/referrer.*.digest; do
    [[ -e $file ]] || continue
    file=${file%.digest}
    code=0
    registry_outcome "$file" || code=$?
    if ((code == 69)); then sign_outcome "$1" 69 "$REGISTRY_WHY" && return; fi
    registry_is "$file" "$(<"$file.digest")" || continue
    blob=$(jq -r --arg digest "$digest" --arg type "$sign_bundle" 'select(.subject.digest == $digest and .artifactType == $type)
      | .layers | select(length == 1)[0] | select(.mediaType == $type).digest' "$file" 2>/dev/null) || continue
    [[ $blob =~ ^sha256:[0-9a-f]{64}$ ]] || continue
    echo "$blob" >"$file.bundle.digest"
    registry_ask "$registry" "$path" blobs "$blob" "$file.bundle"
  done
}

# Step 3: checks the signature of each bundle.
sign_check() { # folder
  local file code
  for file in "$1"/referrer.*.bundle.digest; do
    [[ -e $file ]] || continue
    file=${file%.digest}
    code=0
    registry_outcome "$file" || code=$?
    if ((code == 69)); then sign_outcome "$1" 69 "$REGISTRY_WHY" && return; fi
    if registry_is "$file" "$(<"$file.digest")"; then sign_statement "$1" "$file"; fi
  done
  sign_outcome "$1" 0 ""
}

# Checks one bundle: a DSSE envelope around an in-toto statement of this very image, signed by a key of the trust file.
sign_statement() { # folder bundle
  local digest type print id
  read -r _ _ digest <"$1/image"
  jq -je '.dsseEnvelope | select(.payloadType == "application/vnd.in-toto+json" and (.signatures | length) == 1).payload' "$2" 2>/dev/null |
    base64 -d >"$2.statement" 2>/dev/null || return 0
  jq -r '.dsseEnvelope.signatures[0].sig' "$2" >"$2.signature"
  # What is signed is the payload with its type and length before it.
  { printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(stat -c %s "$2.statement")" && cat "$2.statement"; } >"$2.signed"
  jq -e --arg digest "${digest#sha256:}" '(._type | IN("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")) and (.subject | length) == 1
    and .subject[0].digest.sha256 == $digest and (.predicateType | type) == "string"' "$2.statement" >/dev/null 2>&1 || return 0
  type=$(jq -r .predicateType "$2.statement")
  [[ $type == "$SIGN_STATEMENT" ]] || : >"$1/attested"
  print=$(jq -r '.verificationMaterial.publicKey.hint // ""' "$2" | base64 -d 2>/dev/null | od -An -vtx1 | tr -d ' \n')
  # The hint is anybody's word; the signature is not.
  for id in $(trust_key "$print" || true) $(cut -f 1 "$TRUST_KEYS/table"); do
    if document_signed "$2.signed" "$2.signature" "$TRUST_KEYS/$id.pub"; then
      printf '%s\t%s\t%s\n' "$id" "$type" "$2.statement" >>"$1/found"
      return
    fi
  done
  [[ $type != "$SIGN_STATEMENT" ]] || echo "${print:-unknown}" >>"$1/strange"
}

# Whether an image that was gathered is signed for one of these purposes. Returns 0, 65 or 69; SIGN_WHY says why not, SIGN_KEY
# by which key. An attestation is no signature, and a signature made for another repository or purpose is none here.
sign_verdict() { # folder reference purpose…
  local folder=$1 code why id type statement purpose
  reference_parse "$2" || true
  shift 2
  SIGN_KEY='' SIGN_WHY=''
  read -r code why <"$folder/outcome" || true
  if ((code != 0)); then
    SIGN_WHY=$why
    return "$code"
  fi
  while IFS=$'\t' read -r id type statement; do
    [[ $type == "$SIGN_STATEMENT" ]] || continue
    for purpose in "$@"; do
      if ! jq -e --arg purpose "$purpose" --arg repository "$REF_REPOSITORY" '.subject[0].annotations
        | .purpose == $purpose and .repository == $repository' "$statement" >/dev/null; then
        SIGN_WHY=${SIGN_WHY:-"key $id signed it for another repository or purpose: $(jq -c '.subject[0].annotations' "$statement")"}
      elif trust_judge "$id" "$purpose" "$REF_REPOSITORY"; then
        SIGN_KEY=$id SIGN_WHY=
        return 0
      else
        SIGN_WHY="it is signed, but $TRUST_WHY"
      fi
    done
  done <"$folder/found"
  if [[ ! $SIGN_WHY && -s $folder/strange ]]; then SIGN_WHY="it is signed by a key that the trust file does not have: $(head -n 1 "$folder/strange")"; fi
  if [[ ! $SIGN_WHY && -e $folder/attested ]]; then SIGN_WHY="it is not signed; what is attested of it is no signature"; fi
  SIGN_WHY=${SIGN_WHY:-"it is not signed"}
  return 65
}
