# shellcheck shell=bash
# A Sigstore in small, by openssl alone: authorities whose certificates name an identity and the issuer who vouched for it, one that signs
# times, a log of one entry; and bundles as cosign attaches them when it signs without keys.

ISSUER=https://issuer.example.org
SIGNED=https://sigstore.dev/cosign/sign/v1
BUNDLE_TYPE=application/vnd.dev.sigstore.bundle.v0.3+json

# Makes a key.
authority_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" && openssl pkey -in "$1.key" -pubout -out "$1.pub"; } 2>/dev/null # name

# Makes an authority; it is some days old.
authority_make() { authority_issue "$1" "7 days ago" "7 days" -selfsign -keyfile "$1.key" -- basicConstraints=critical,CA:true keyUsage=critical,keyCertSign,cRLSign; } # name

# Makes a key and a certificate for it, valid between two times as date understands them.
authority_certify() { # name authority from until extension…
  authority_issue "$1" "$3" "$4" -cert "$2.pem" -keyfile "$2.key" -- keyUsage=critical,digitalSignature "${@:5}"
}

authority_issue() { # name from until openssl-words… -- extension…
  local name=$1 from=$2 until=$3 words=()
  shift 3
  while [[ $1 != -- ]]; do words+=("$1") && shift; done
  shift
  mkdir "$name.issued"
  : >"$name.issued/index"
  printf '%s\n' '[ca]' default_ca=it '[it]' "database=$name.issued/index" "new_certs_dir=$name.issued" rand_serial=yes default_md=sha256 policy=any unique_subject=no \
    '[any]' commonName=optional '[own]' "$@" >"$name.conf"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$name.key" -out "$name.csr" -subj "/CN=$name" 2>/dev/null
  openssl ca -batch -notext -config "$name.conf" -extensions own "${words[@]}" -in "$name.csr" -out "$name.pem" \
    -startdate "$(date -u -d "$from" +%y%m%d%H%M%SZ)" -enddate "$(date -u -d "$until" +%y%m%d%H%M%SZ)" 2>/dev/null
}

# The same for a signer: an identity, and who says that it is.
signer() { # name authority from until [identity] [issuer]
  authority_certify "$1" "$2" "$3" "$4" extendedKeyUsage=codeSigning "subjectAltName=critical,email:${5:-ada@example.org}" \
    "1.3.6.1.4.1.57264.1.1=DER:$(printf %s "${6:-$ISSUER}" | od -An -v -tx1 | tr -d ' \n')" "1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:${6:-$ISSUER}"
}

# Prints a bundle: a statement about a digest, signed with the key of a certificate. Leaves the signature and the payload beside.
signed_bundle() { # signer digest [type] [extra verification material]
  local payload
  payload=$(jq -cjn --arg hex "${2#sha256:}" --arg type "${3:-$SIGNED}" '{_type: "https://in-toto.io/Statement/v1", subject: [{digest: {sha256: $hex}}], predicateType: $type, predicate: {}}')
  printf '%s' "$payload" >"$1.payload"
  [[ ${4:-} ]] || printf 'DSSEv1 28 application/vnd.in-toto+json %d %s' "${#payload}" "$payload" | openssl dgst -sha256 -sign "$1.key" >"$1.signature"
  jq -cjn --arg payload "$(base64 -w 0 "$1.payload")" --arg signature "$(base64 -w 0 "$1.signature")" --arg type "$BUNDLE_TYPE" \
    --arg certificate "$(openssl x509 -in "$1.pem" -outform DER | base64 -w 0)" --argjson more "${4:-{\}}" '{mediaType: $type,
      verificationMaterial: ({certificate: {rawBytes: $certificate}} + $more),
      dsseEnvelope: {payload: $payload, payloadType: "application/vnd.in-toto+json", signatures: [{sig: $signature}]}}'
}

# Prints the material by which the signature that was made last is older than now: what the authority of times says of it.
stamped() { # signer authority-of-times
  cat >"$2.ts.conf" <<CONF
[tsa]
default_tsa=it
[it]
serial=$2.serial
default_policy=1.2.3.4
digests=sha256
signer_digest=sha256
ess_cert_id_alg=sha256
CONF
  [[ -e $2.serial ]] || echo 01 >"$2.serial"
  openssl ts -query -data "$1.signature" -sha256 -cert -out "$1.query" 2>/dev/null
  openssl ts -reply -config "$2.ts.conf" -queryfile "$1.query" -signer "$2.pem" -inkey "$2.key" -out "$1.reply" 2>/dev/null
  jq -cn --arg reply "$(base64 -w 0 "$1.reply")" '{timestampVerificationData: {rfc3161Timestamps: [{signedTimestamp: $reply}]}}'
}

# Prints the material by which the signature that was made last stands in a log, written there at a time.
logged() { # signer log time
  local body id time root checkpoint
  time=$(date -u -d "$3" +%s)
  body=$(jq -cjnS --arg signature "$(base64 -w 0 "$1.signature")" --arg verifier "$(base64 -w 0 "$1.pem")" --arg payload "$(sha256sum "$1.payload" | cut -d ' ' -f 1)" '
    {apiVersion: "0.0.1", kind: "dsse", spec: {envelopeHash: {algorithm: "sha256", value: $payload}, payloadHash: {algorithm: "sha256", value: $payload}, signatures: [{signature: $signature, verifier: $verifier}]}}' | base64 -w 0)
  id=$(openssl pkey -pubin -in "$2.pub" -outform DER | sha256sum | cut -d ' ' -f 1)
  root=$({ printf '\0' && base64 -d <<<"$body"; } | openssl dgst -sha256 -binary | base64 -w 0)
  printf 'log.example.org - 1\n1\n%s\n' "$root" >"$1.checkpoint"
  checkpoint=$({ printf '%s' "${id:0:8}" | sed 's/../\\x&/g' | xargs -0 printf '%b' && openssl dgst -sha256 -sign "$2.key" "$1.checkpoint"; } | base64 -w 0)
  printf '\n— log.example.org %s\n' "$checkpoint" >>"$1.checkpoint"
  jq -cjnS --arg body "$body" --argjson time "$time" --arg id "$id" '{body: $body, integratedTime: $time, logID: $id, logIndex: 0}' | openssl dgst -sha256 -sign "$2.key" >"$1.promise"
  jq -cn --arg body "$body" --arg time "$time" --arg id "$(openssl pkey -pubin -in "$2.pub" -outform DER | openssl dgst -sha256 -binary | base64 -w 0)" --arg root "$root" \
    --rawfile checkpoint "$1.checkpoint" --arg promise "$(base64 -w 0 "$1.promise")" '{tlogEntries: [{logIndex: "0", logId: {keyId: $id}, kindVersion: {kind: "dsse", version: "0.0.1"},
      integratedTime: $time, inclusionPromise: {signedEntryTimestamp: $promise}, canonicalizedBody: $body,
      inclusionProof: {logIndex: "0", rootHash: $root, treeSize: "1", hashes: [], checkpoint: {envelope: $checkpoint}}}]}'
}

# Hangs a bundle on an image.
hang() { # reference(pinned) bundle-file
  oras attach --artifact-type "$BUNDLE_TYPE" --disable-path-validation "$1" "$2:$BUNDLE_TYPE" >&2
}

# Makes a trusted root: the authority whose certificates count, and what else is asked for (cosign's options).
trusted_root() { # file authority option…
  cosign trusted-root create --fulcio="url=https://authority.example.org,certificate-chain=$2.pem" "${@:3}" --out "$1" 2>/dev/null
}
