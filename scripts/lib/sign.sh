# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # SIGN_KEY and SIGN_FOUND are read by callers; registry_largest is registry.sh's
# Signatures of images and what is attested of them: made by cosign with keys, verified by openssl against the trust file,
# many images in three rounds of questions. Needs document.sh, trust.sh, reference.sh and registry.sh; docs/trust.md explains.

SIGN_STATEMENT=https://sigstore.dev/cosign/sign/v1
sign_bundle=application/vnd.dev.sigstore.bundle.v0.3+json
# Nobody needs more; whoever floods an image with referrers shall not keep us busy, nor hide behind them what we look for.
sign_most=256

# Signs an image in its repository, for a purpose. One at a time for each repository: registries without a referrers API keep
# the list in a tag that is read, altered and written.
image_sign() { # reference(pinned) key purpose
  reference_parse "$1" || fail 65 "$1 is refused: $REF_WHY"
  images_sign "$REF_REPOSITORY" "$2" "$3" "$REF_DIGEST"
}

# Signs several images of one repository, which cost little more than one.
images_sign() { # repository key purpose digest…
  local repository=$1 key=$2 purpose=$3
  shift 3
  document_password "$key"
  sign_alone "$repository" "$key" cosign_offline sign --key "$key" -a "purpose=$purpose" -a "repository=$repository" \
    ${REGISTRY_CA:+--registry-cacert "$REGISTRY_CA"} "${@/#/$repository@}"
}

# Attests a predicate of an image; TYPE is a URL.
image_attest() { # reference(pinned) key type predicate-file
  reference_parse "$1" || fail 65 "$1 is refused: $REF_WHY"
  jq -es 'length == 1 and (.[0] | type == "object" and length > 0)' "$4" >/dev/null 2>&1 || fail 65 "$4 says nothing: a predicate is a JSON object with something in it"
  document_password "$2"
  sign_alone "$REF_REPOSITORY" "$2" cosign_offline attest --key "$2" --type "$3" --predicate "$4" \
    ${REGISTRY_CA:+--registry-cacert "$REGISTRY_CA"} "$REF_REPOSITORY@$REF_DIGEST"
}

# Runs cosign, with its words and then --key KEY REFERENCE, while nobody else on this machine attaches to the repository.
sign_alone() { # repository key command…
  local repository=$1 key=$2 log code=0 why
  shift 2
  mkdir -p "$LOCAL/locks" || fail 73 "$LOCAL/locks cannot be made"
  log=$(mktemp)
  (
    exec 7>"$LOCAL/locks/${repository//[^a-z0-9.-]/_}" 8>"$LOCAL/locks/lists" || exit 73
    # Whoever writes lists of many repositories at once has this one for itself.
    flock --timeout 600 --shared 8 || exit 75
    flock --timeout 600 7 || exit 75
    "$@" >"$log" 2>&1 </dev/null || exit 69
  ) || code=$?
  why=$(grep -v '^$' "$log" | tail -n 1 || true)
  rm -f "$log"
  case $code in
    0) return 0 ;;
    73) fail 73 "$LOCAL/locks cannot be written" ;;
    75) fail 75 "somebody else has been attaching to $repository for ten minutes: try again" ;;
  esac
  # Whether it was the key that failed is asked afterwards, since cosign does not tell them apart.
  cosign public-key --key "$key" >/dev/null 2>&1 </dev/null ||
    fail 77 "the key $key does not sign: ${why:-cosign gave no reason} (a password is asked for at a keyboard, else read from COSIGN_PASSWORD)"
  fail 69 "cosign could not attach to $repository: ${why:-it gave no reason}"
}

# Gathers what is signed of many images. Below the folder N/ for the N-th reference get:
#   outcome   0, 65 or 69 and a sentence: whether the image is there
#   found     a line for each statement whose signature holds: key id, predicate type, purpose, repository, file with the bundle
#   strange   fingerprints of keys that signed and are not in the trust file
#   forged    ids of keys whose names stand on signatures that are not theirs
#   attested  exists when something other than a signature hangs on it
#   unsure    why something that hangs on it could not be read; a good signature beside it is still one
# Whatever can be done for all images at once is: a program that is started for each would cost more than its work.
sign_gather() { # folder reference…
  local folder=$1 reference file
  local -i n=0
  shift
  registry_begin "$folder"
  sign_folders "$folder" "$#"
  for reference in "$@"; do
    n=$((n + 1))
    for file in found strange forged unsure; do : >"$folder/$n/$file"; done
    reference_parse "$reference" || {
      sign_outcome "$folder/$n" 65 "$REF_WHY"
      continue
    }
    printf '%s %s %s\n' "$REF_REGISTRY" "${REF_REPOSITORY#*/}" "$REF_DIGEST" >"$folder/$n/image"
    registry_ask "$REF_REGISTRY" "${REF_REPOSITORY#*/}" manifests "$REF_DIGEST" "$folder/$n/manifest"
    registry_ask "$REF_REGISTRY" "${REF_REPOSITORY#*/}" referrers "$REF_DIGEST" "$folder/$n/referrers"
    registry_ask "$REF_REGISTRY" "${REF_REPOSITORY#*/}" manifests "${REF_DIGEST/:/-}" "$folder/$n/fallback"
  done
  registry_answers
  sign_listed "$folder" "$n"
  registry_answers
  sign_opened "$folder"
  registry_answers
  sign_checked "$folder" "$n"
}

# The same for images whose signatures lie here already: on standard input a line for each, N, the image's digest, that of the
# bundle and the file with the bundle, apart by tabs. The bytes of the files are not compared with the digests again.
sign_gather_files() { # folder count
  local n digest bundle file place
  local -A numbers=()
  registry_begin "$1"
  sign_folders "$1" "$2"
  for ((n = 1; n <= $2; n++)); do
    for file in found strange forged unsure; do : >"$1/$n/$file"; done
    printf -- '- - -\n' >"$1/$n/image"
  done
  while IFS=$'\t' read -r n digest bundle file; do
    numbers[$n]=$((${numbers[$n]:-0} + 1))
    if ((numbers[$n] > sign_most)); then
      sign_unsure "$1/$n" "more than $sign_most things hang on it"
      continue
    fi
    place=$1/$n/referrer.${numbers[$n]}
    printf -- '- - %s\n' "$digest" >"$1/$n/image"
    printf '%s' "$bundle" >"$place.bundle.digest"
    printf '%s' "$bundle" >"$place.digest"
    ln -s "$file" "$place.bundle"
    REGISTRY_STATUS["$place.bundle"]=200 REGISTRY_DIGEST["$place.bundle"]=$bundle
  done
  sign_checked "$1" "$2"
}

# Makes a folder for each image.
sign_folders() { # folder count
  local -i n
  for ((n = 1; n <= $2; n++)); do printf '%s\0' "$1/$n"; done | xargs -0r mkdir -p
}

# Notes the outcome of an image.
sign_outcome() { printf '%s %s\n' "$2" "$3" >"$1/outcome"; } # folder code why

# Notes that something could not be read.
sign_unsure() { printf '%s\n' "$2" >>"$1/unsure"; } # folder why

# Reads many files by one jq program; prints FILE and what the program makes of each, apart by tabs. What is not exactly one JSON
# document is null to the program.
sign_read() { # program file…
  local program=$1 file words=()
  shift
  for file in "$@"; do
    words+=(--rawfile "$file" "$file")
    if ((${#words[@]} >= 1500)); then
      sign_read_some "$program" "${words[@]}" || return
      words=()
    fi
  done
  ((${#words[@]} == 0)) || sign_read_some "$program" "${words[@]}"
}

# What fails here is this machine, not the image: nothing can be known.
sign_broken() { fail 69 "what a registry answered cannot be read here: is there room in ${TMPDIR:-/tmp}, and is jq sound?"; }

sign_read_some() { # program jq-options…
  local program=$1
  shift
  jq -rn --arg bundle "$sign_bundle" --argjson largest "$registry_largest" "$@" 'def plain: type == "string" and test("\\A[!-~]{1,512}\\z");
    def sha: type == "string" and test("\\Asha256:[0-9a-f]{64}\\z");
    $ARGS.named | to_entries[] | select(.key | startswith("/")) | .key as $file | (.value | try fromjson catch null)
    | (try ('"$program"') catch "!") | "\($file)\t\(.)"'
}

# Step 1: the image is there; asks for the manifest of each referrer, which registries list by an API, in a tag, or both.
sign_listed() { # folder count
  local registry path digest list code file image lists=()
  local -i n
  local -A seen=() asked=()
  for ((n = 1; n <= $2; n++)); do
    if [[ -e $1/$n/outcome ]]; then continue; fi
    read -r registry path digest <"$1/$n/image"
    code=0
    registry_outcome "$1/$n/manifest" || code=$?
    case $code in
      0) registry_is "$1/$n/manifest" "$digest" || { sign_outcome "$1/$n" 65 "the registry serves other bytes under this digest" && continue; } ;;
      65) sign_outcome "$1/$n" 65 "there is no such image in $registry/$path" && continue ;;
      *) sign_outcome "$1/$n" 69 "$REGISTRY_WHY" && continue ;;
    esac
    for list in referrers fallback; do
      code=0
      registry_outcome "$1/$n/$list" || code=$?
      # What has no referrers API says so in several ways.
      if [[ $list == referrers && ${REGISTRY_STATUS["$1/$n/$list"]} =~ ^40[05]$ ]]; then code=65; fi
      case $code in
        0) lists+=("$1/$n/$list") ;;
        65) ;;
        *) sign_unsure "$1/$n" "$REGISTRY_WHY" ;;
      esac
    done
  done
  sign_read 'if type == "object" and (.manifests | type) == "array" then .manifests[] | .digest | if sha then . else error("no digest") end else error("no list") end' \
    "${lists[@]}" >"$1/lists" || sign_broken
  # The types that stand in such lists are not to be relied on: clients and registries write others than the manifests have.
  while IFS=$'\t' read -r file digest; do
    image=${file%/*} && n=${image##*/}
    if [[ $digest == '!' ]]; then
      sign_unsure "$1/$n" "the registry's list of what hangs on it makes no sense"
    elif [[ ! ${seen["$n/$digest"]:-} ]]; then
      seen["$n/$digest"]=1
      asked[$n]=$((${asked[$n]:-0} + 1))
      if ((asked[$n] > sign_most)); then
        sign_unsure "$1/$n" "more than $sign_most things hang on it"
        continue
      fi
      read -r registry path _ <"$1/$n/image"
      printf '%s' "$digest" >"$1/$n/referrer.${asked[$n]}.digest"
      registry_ask "$registry" "$path" manifests "$digest" "$1/$n/referrer.${asked[$n]}"
    fi
  done <"$1/lists"
  while IFS= read -r file; do
    sign_unsure "${file%/*}" "the registry lists what hangs on it in pages, which are not read here"
  done < <(((${#lists[@]} == 0)) || printf '%s.headers\0' "${lists[@]}" | xargs -0 grep -li '^link:.*rel="\?next' 2>/dev/null || true)
}

# Prints the files below a folder that came with the digest they were asked for by; notes those that could not be had.
sign_arrived() { # folder .digest|.bundle.digest
  local file code
  for file in "$1"/*/referrer.*"$2"; do
    [[ -e $file && ($2 == .bundle.digest || $file != *.bundle.digest) ]] || continue
    file=${file%.digest} code=0
    registry_outcome "$file" || code=$?
    if ((code == 69)); then sign_unsure "${file%/*}" "$REGISTRY_WHY"; fi
    if ((code == 0)) && registry_is "$file" "$(<"$file.digest")"; then printf '%s\n' "$file"; fi
  done
}

# Step 2: asks for the bundle of each referrer that has one. What is larger than any signature is none.
sign_opened() { # folder
  local registry path digest file subject blob files
  sign_arrived "$1" .digest >"$1/arrived" || sign_broken
  mapfile -t files <"$1/arrived"
  # shellcheck disable=SC2016  # $bundle and $largest are jq's
  sign_read 'select(.artifactType == $bundle and (.layers | length) == 1 and .layers[0].mediaType == $bundle and .layers[0].size <= $largest
    and (.subject.digest | sha) and (.layers[0].digest | sha)) | "\(.subject.digest)\t\(.layers[0].digest)"' "${files[@]}" >"$1/manifests" || sign_broken
  while IFS=$'\t' read -r file subject blob; do
    [[ $subject != '!' ]] || continue
    read -r registry path digest <"${file%/*}/image"
    [[ $subject == "$digest" ]] || continue
    printf '%s' "$blob" >"$file.bundle.digest"
    registry_ask "$registry" "$path" blobs "$blob" "$file.bundle"
  done <"$1/manifests"
}

# Step 3: checks every bundle: a DSSE envelope around an in-toto statement of this very image, signed by a key of the trust file.
# Everything in it is anybody's word until the signature holds.
sign_checked() { # folder count
  local files hint pid pids=()
  local -i n workers
  local -A hinted=()
  sign_arrived "$1" .bundle.digest >"$1/arrived" || sign_broken
  mapfile -t files <"$1/arrived"
  # shellcheck disable=SC2016  # what begins with $ is jq's
  sign_read '.dsseEnvelope as $e | select($e.payloadType == "application/vnd.in-toto+json" and ($e.signatures | length) == 1
    and all($e.signatures[0].sig, $e.payload; type == "string" and test("\\A([A-Za-z0-9+/]{4})+([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\\z")))
    | ($e.payload | @base64d | fromjson) as $s
    | select(($s._type | IN("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")) and ($s.subject | length) == 1
      and ($s.subject[0].digest.sha256 | type) == "string" and ("sha256:" + $s.subject[0].digest.sha256 | sha) and ($s.predicateType | plain))
    | ["base64:" + $e.signatures[0].sig, (.verificationMaterial.publicKey.hint | if type == "string" and test("\\A[A-Za-z0-9+/=]{1,200}\\z") then . else "-" end),
      ($e.payload | (length / 4 * 3 - (capture("(?<end>=*)$").end | length) | tostring), if length < 16384 then "base64:" + . else "-" end),
      $s.subject[0].digest.sha256, $s.predicateType, ($s.subject[0].annotations | .purpose?, .repository? | if plain then . else "-" end)] | join("\t")' \
    "${files[@]}" >"$1/bundles" || sign_broken
  # What key a statement names, in hexadecimal; mostly all name one.
  while IFS=$'\t' read -r _ _ hint _; do
    [[ ! $hint || ${hinted[$hint]+known} ]] || hinted[$hint]=$(base64 -d <<<"$hint" 2>/dev/null | od -An -v -tx1 | tr -d ' \n' || true)
  done <"$1/bundles"
  # Two and more at once; those of one image by one, so that they stay in order.
  workers=$(nproc 2>/dev/null || echo 1)
  ((workers <= 8)) || workers=8
  for ((n = 0; n < workers; n++)); do
    sign_some "$1" "$n" "$workers" &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do wait "$pid" || sign_broken; done
  for ((n = 1; n <= $2; n++)); do
    [[ -e $1/$n/outcome ]] || sign_outcome "$1/$n" 0 ""
  done
}

# Checks the bundles of every WORKERS-th image.
sign_some() { # folder which workers
  local file signature hint size payload subject type purpose repository digest image
  while IFS=$'\t' read -r file signature hint size payload subject type purpose repository; do
    image=${file%/*}
    if [[ $signature == '!' ]] || ((${image##*/} % $3 != $2)); then continue; fi
    read -r _ _ digest <"$image/image"
    [[ sha256:$subject == "$digest" ]] || continue
    printf '%b' "$signature" >"$file.signature" || { sign_unsure "$image" "a signature could not be written down" && continue; }
    # What is signed is the payload with its type and length before it.
    {
      printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$size"
      if [[ $payload == - ]]; then jq -j .dsseEnvelope.payload "$file" | base64 -d; else printf '%b' "$payload"; fi
    } >"$file.signed" || { sign_unsure "$image" "a statement could not be written down" && continue; }
    sign_signer "$file" "$type" "$purpose" "$repository" "${hinted[$hint]}"
  done < <(document_bytes <"$1/bundles")
}

# Finds the key that signed a statement; the one that is named is tried first, and that is all its name is good for.
sign_signer() { # bundle type purpose repository fingerprint
  local folder=${1%/*} hinted id
  hinted=$(trust_key "$5" || true)
  [[ $2 == "$SIGN_STATEMENT" ]] || : >"$folder/attested"
  for id in $hinted "${!TRUST_ROWS[@]}"; do
    if openssl dgst -sha256 -verify "$TRUST_KEYS/$id.pub" -signature "$1.signature" "$1.signed" >/dev/null 2>&1; then
      printf '%s\t%s\t%s\t%s\t%s\n' "$id" "$2" "$3" "$4" "$1" >>"$folder/found"
      return
    fi
  done
  [[ $2 == "$SIGN_STATEMENT" ]] || return 0
  if [[ $hinted ]]; then
    echo "$hinted" >>"$folder/forged"
  else
    echo "${5:-unknown}" >>"$folder/strange"
  fi
}

# Prints the predicate of a statement that was found.
sign_predicate() { jq -r .dsseEnvelope.payload "$1" | base64 -d | jq -S .predicate; } # bundle

# Whether an image that was gathered is signed for one of these purposes. Returns 0, 65 or 69; SIGN_WHY says why not, SIGN_KEY
# and SIGN_FOUND by which key and signature. An attestation is no signature, and a signature made for another repository or
# purpose is none here.
sign_verdict() { # folder reference purpose…
  reference_parse "$2" || true
  sign_verdict_of "$1" "$REF_REPOSITORY" "${@:3}"
}

# The same for an image that was signed in this repository, wherever it lies now.
sign_verdict_of() { # folder repository purpose…
  local folder=$1 repository=$2 id type for_purpose for_repository bundle purpose
  shift 2
  sign_known "$folder" || return
  while IFS=$'\t' read -r id type for_purpose for_repository bundle; do
    [[ $type == "$SIGN_STATEMENT" ]] || continue
    for purpose in "$@"; do
      if [[ $for_purpose != "$purpose" || $for_repository != "$repository" ]]; then
        SIGN_WHY=${SIGN_WHY:-"key $id signed it for another repository or purpose: $for_purpose in $for_repository"}
      elif trust_judge "$id" "$purpose" "$repository"; then
        SIGN_KEY=$id SIGN_WHY='' SIGN_FOUND=$(<"${bundle%.bundle}.digest")
        return 0
      else
        SIGN_WHY="it is signed, but $TRUST_WHY"
      fi
    done
  done <"$folder/found"
  sign_sure "$folder" || return
  if [[ ! $SIGN_WHY && -s $folder/strange ]]; then SIGN_WHY="it is signed by a key that the trust file does not have: $(sign_few "$folder/strange")"; fi
  if [[ ! $SIGN_WHY && -s $folder/forged ]]; then SIGN_WHY="the signature that names key $(sign_few "$folder/forged") was not made by it"; fi
  if [[ ! $SIGN_WHY && -e $folder/attested ]]; then SIGN_WHY="it is not signed; what is attested of it is no signature"; fi
  SIGN_WHY=${SIGN_WHY:-"it is not signed"}
  return 65
}

# Whether an image that was gathered is there. Returns 0, 65 or 69, and forgets what was said of another; SIGN_WHY says why not.
sign_known() { # folder
  local code why
  SIGN_KEY='' SIGN_WHY='' SIGN_FOUND=''
  read -r code why <"$1/outcome" || true
  [[ $code != 0 ]] || return 0
  SIGN_WHY=${why:-"nothing is known of it"}
  [[ $code != 65 ]] || return 65
  return 69
}

# Returns 69, and SIGN_WHY says why, when something that hangs on an image could not be read: it may be what is missed.
sign_sure() { # folder
  [[ -s $1/unsure ]] || return 0
  SIGN_WHY=$(sort -u "$1/unsure")
  SIGN_WHY=${SIGN_WHY%%$'\n'*}
  return 69
}

# Prints the first three lines of a file, sorted, with commas between them.
sign_few() { sort -u "$1" | awk 'NR <= 3 { printf "%s%s", NR == 1 ? "" : ", ", $0 }'; } # file
