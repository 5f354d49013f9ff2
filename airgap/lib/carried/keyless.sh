# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154  # what begins with $ is jq's; lock_… and SIGN_… are others', TEMPORARY stands in airgap/bundle
# Images that no key signed but a certificate, which an authority made for an identity on the word of an issuer. Which authorities, logs
# and time stamps count is said by a Sigstore trusted root: the file TRUST_ROOTS/NAME.json, which came to this host by another way. Either
# side has its own copy, and rules name it with its SHA-256; in words a rule is NAME SHA-256 IDENTITY ISSUER. Needs sign.sh and trust.sh.

TRUST_ROOTS=${TRUST_ROOTS:-$ROOT/policy/roots}

# By name: the SHA-256 of a root, and what it has, each between spaces: tlogs, ctlogs, timestampAuthorities.
declare -gA KEYLESS_SHA=() KEYLESS_HAS=()
# Why a root was refused.
KEYLESS_WHY=''

# Takes a copy of a root, once: what was hashed is what is used. Returns 78 for one that is not here or is none, 65 for another than is
# wanted, with KEYLESS_WHY.
keyless_root() { # name [sha256]
  local from=$TRUST_ROOTS/$1.json file=$TEMPORARY/roots/$1.json
  if [[ ! ${KEYLESS_SHA[$1]:-} ]]; then
    if [[ ! -f $from ]]; then
      KEYLESS_WHY="the root $1 is not here: bring this Sigstore trusted root by another way than a bundle, compare its SHA-256${2:+ ($2)}, and put it at $from"
      return 78
    fi
    { mkdir -p "$TEMPORARY/roots" && cp "$from" "$file"; } 2>/dev/null || fail 74 "$from cannot be read"
    if ! KEYLESS_HAS[$1]=$(keyless_has "$file" 2>/dev/null); then
      KEYLESS_WHY="$from is no Sigstore trusted root with a certificate authority: bring the file that cosign trusted-root create writes, or that a Sigstore instance gives out"
      return 78
    fi
    KEYLESS_SHA[$1]=$(trust_hash "$file")
  fi
  [[ ! ${2:-} || $2 == "${KEYLESS_SHA[$1]}" ]] && return
  KEYLESS_WHY="the root $1 here is another (SHA-256 ${KEYLESS_SHA[$1]}) than the rule wants ($2): find out which is right, then bring that one by another way, or lock anew outside"
  return 65
}

# Prints what a root has. A field we do not know could be one that cosign knows, and reads otherwise.
keyless_has() { # file
  jq -en '[inputs] | if length == 1 then .[0] else error("not one document") end
    | ["tlogs", "ctlogs", "timestampAuthorities"] as $parts
    | if type == "object" and (.mediaType | type == "string" and startswith("application/vnd.dev.sigstore.trustedroot"))
        and keys - ["mediaType", "certificateAuthorities"] - $parts == [] and all(.[$parts[]]; . == null or type == "array")
        and (.certificateAuthorities | type == "array" and length > 0) then . as $root | " \([$parts[] | select($root[.] // [] | length > 0)] | join(" ")) "
      else error("no root") end' -r "$1"
}

# Adds to each keyless rule of a list which root it means (lock.sh).
lock_roots() {
  local n name identity issuer code worst=0
  local -A told=()
  for ((n = 1; n < ${#lock_rules[@]}; n++)); do
    [[ ${lock_rules[n]} == '{"rule":"keyless",'* ]] || continue
    read -r name identity issuer < <(jq -r '"\(.root) \(.identity) \(.issuer)"' <<<"${lock_rules[n]}")
    code=0
    keyless_root "$name" || code=$?
    if ((code == 0)); then
      lock_keyless[n]="$name ${KEYLESS_SHA[$name]} $identity $issuer"
      lock_rules[n]=$(jq -c --arg sha256 "${KEYLESS_SHA[$name]}" '. + {$sha256}' <<<"${lock_rules[n]}")
    else
      worst=$code
      [[ ${told[$name]:-} ]] || say "$KEYLESS_WHY"
      told[$name]=1
    fi
  done
  ((worst == 0)) || fail "$worst" "images are signed by what no root here vouches for: nothing is locked"
}

# Judges images of which sign_gather or sign_gather_files gathered in a folder what is signed of them. On standard input a line for each:
# N, the rule in words, apart by a tab. FOLDER/N/keyless gets 0, 65, 69 or 78, and a sentence.
keyless_judge() { # folder
  local n file root sha certificate bundle pid pids=() files=()
  cat >"$1/rules" || fail 73 "$1 cannot be written"
  [[ -s $1/rules ]] || return 0
  say "asking cosign about the certificates of $(wc -l <"$1/rules") images"
  # Once for all workers.
  while read -r _ root sha _; do keyless_root "$root" "$sha" || true; done <"$1/rules"
  mapfile -t files < <(awk -F '\t' -v statement="$SIGN_STATEMENT" 'FILENAME == ARGV[1] { wanted[$1] = 1; next }
    $2 != "!" && $7 == statement { n = $1; sub(/\/[^\/]*$/, "", n); sub(/.*\//, "", n); if (n in wanted) print $1 }' "$1/rules" "$1/bundles")
  # Written anew of what was looked at, so that cosign cannot see another envelope in the same file.
  sign_read '.verificationMaterial as $material | select($material | has("certificate")) | [($material.certificate.rawBytes | if type == "string" and test("\\A[A-Za-z0-9+/]+=*\\z") then . else "-" end),
    ({mediaType, verificationMaterial: $material, dsseEnvelope} | tojson)] | join("\t")' \
    "${files[@]}" >"$1/certified" || sign_broken
  while IFS=$'\t' read -r file certificate bundle; do
    [[ $certificate != '!' ]] || continue
    { printf '%s' "$bundle" >"$file.certified" && printf '%s\n' "$certificate" >"$file.certificate"; } || sign_broken
  done <"$1/certified"
  for n in 0 1; do
    keyless_some "$1" "$n" 2 &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do wait "$pid" || sign_broken; done
}

# Judges every WORKERS-th image.
keyless_some() { # folder which workers
  local n root sha identity issuer line=0
  while read -r n root sha identity issuer; do
    line=$((line + 1))
    ((line % $3 == $2)) || continue
    keyless_one "$1/$n" "$root" "$sha" "$identity" "$issuer" >"$1/$n/keyless" || return
  done <"$1/rules"
}

# Prints the verdict on one image.
keyless_one() { # folder root sha256 identity issuer
  local code why file digest
  read -r code why <"$1/outcome" || true
  if [[ $code != 0 ]]; then
    [[ $code == 65 ]] || code=69
    printf '%s %s\n' "$code" "${why:-nothing is known of it}"
    return
  fi
  code=0
  keyless_root "$2" "$3" || code=$?
  if ((code != 0)); then
    printf '%s %s\n' "$code" "$KEYLESS_WHY"
    return
  fi
  why=
  read -r _ _ digest <"$1/image"
  for file in "$1"/referrer.*.certified; do
    [[ -e $file ]] || continue
    code=0
    keyless_cosign "$file" "$2" "$4" "$5" "$digest" || code=$?
    if ((code == 0)); then
      printf '0 -\n'
      return
    fi
    why=$KEYLESS_WHY
    if ((code != 65)); then
      printf '%s %s\n' "$code" "$why"
      return
    fi
  done
  if [[ -s $1/unsure ]]; then
    printf '69 %s\n' "$(sort -u "$1/unsure" | head -n 1)"
    return
  fi
  if [[ ! $why && (-s $1/found || -s $1/strange || -s $1/forged) ]]; then why="it is signed by a key, and by no certificate"; fi
  if [[ ! $why && -e $1/attested ]]; then why="it is not signed; what is attested of it is no signature"; fi
  printf '65 %s\n' "${why:-"it is not signed"}"
}

# Whether a bundle is a signature of this digest, by a certificate of the root for this identity and issuer. Whatever the root has is
# asked for: an entry in a log, the log's proof for the certificate, a signed time. Without a log or a time the certificate must be valid now.
# Returns 65, 78 when the root is of no use, or 69 when cosign did not get so far. Nothing is asked over a network: all there is to know is in bundle and root.
keyless_cosign() { # bundle root identity issuer digest
  local words=() ended has=${KEYLESS_HAS[$2]} code=0
  [[ $has == *' ctlogs '* ]] || words+=(--insecure-ignore-sct)
  # With a log, the time may be the log's or a signed one.
  if [[ $has != *' tlogs '* ]]; then
    words+=(--insecure-ignore-tlog)
    [[ $has != *' timestampAuthorities '* ]] || words+=(--use-signed-timestamps)
  fi
  # Variables could name other roots.
  env -i PATH="$PATH" HOME=/nonexistent cosign verify-blob-attestation --type "$SIGN_STATEMENT" --bundle "$1" --trusted-root "$TEMPORARY/roots/$2.json" \
    --certificate-identity="$3" --certificate-oidc-issuer="$4" --digest "${5#sha256:}" --digestAlg sha256 "${words[@]}" >"$1.log" 2>&1 </dev/null || code=$?
  if ((code != 0)); then
    KEYLESS_WHY=$(sed -n 's/^Error: //p' "$1.log" | tail -n 1 | LC_ALL=C tr -cd '[:print:]' | cut -c 1-300)
    if ((code != 1)) || [[ ! $KEYLESS_WHY ]]; then
      KEYLESS_WHY="cosign cannot say who signed it: it ended with $code${KEYLESS_WHY:+ ($KEYLESS_WHY)}"
      return 69
    fi
    if [[ $KEYLESS_WHY == 'setting trusted material'* ]]; then
      KEYLESS_WHY="$TRUST_ROOTS/$2.json cannot be used: ${KEYLESS_WHY##*trusted root: }"
      return 78
    fi
    KEYLESS_WHY="it is not signed by $3 of $4, as the root $2 has it: $KEYLESS_WHY"
    return 65
  fi
  [[ $has == *' tlogs '* || $has == *' timestampAuthorities '* ]] && return
  # cosign asks the clock, which may have been set back.
  ended=$(base64 -d <"${1%.certified}.certificate" 2>/dev/null | openssl x509 -inform DER -noout -enddate -dateopt iso_8601 2>/dev/null | sed -n 's/^notAfter=//p')
  ended=${ended/ /T}
  [[ $ended && ! $ended < $(trust_now) ]] && return
  KEYLESS_WHY="it is signed by $3 of $4, with a certificate that ended at ${ended:-no known time}, and nothing proves that it was signed before"
  return 65
}

# The verdict on an image that was judged: 0, 65, 69 or 78, with SIGN_WHY.
keyless_verdict() { # folder/N
  local code=69
  SIGN_WHY=''
  read -r code SIGN_WHY 2>/dev/null <"$1/keyless" || SIGN_WHY="nothing is known of it"
  return "$code"
}

# The verdict by whichever rule it is, as the tables of target.sh have it: a purpose and the repository that was signed in, or keyless.
keyless_or_signed() { # folder/N purpose|keyless repository
  if [[ $2 == keyless ]]; then keyless_verdict "$1"; else sign_verdict_of "$1" "$3" "$2"; fi
}
