# shellcheck shell=bash
# shellcheck disable=SC2034  # what is found is read by callers
# What this host and the registry remember of a stream: the mark, below which nothing is imported any more, and the receipt of what
# was. Both are signed inside. On the host they lie in HOME_OF_STREAM, in the registry as artifacts of the repository airgap/STREAM.

mark_artifact=application/vnd.mini-api
# The higher of the two marks: serial and manifest, 0 and nothing when there is none; what it followed; and the newest time that was signed.
MARK_SERIAL=0 MARK_MANIFEST='' MARK_TIME='' MARK_STATE=''
# The name of this place in receipts, which go outside.
SITE=''

# Sets where a stream's memory lies on this host.
mark_place() { STREAM_HOME=$AIRGAP_STATE/inside/${1//:/_}/$2; } # registry stream

# The same, and makes the folder.
mark_home() { # registry stream
  mark_place "$1" "$2"
  mkdir -p "$STREAM_HOME" 2>/dev/null || fail 73 "$STREAM_HOME cannot be made: name a folder that can be in AIRGAP_STATE"
  chmod 0700 "$STREAM_HOME"
}

# Nobody else imports this stream here meanwhile.
mark_alone() {
  exec 6>"$STREAM_HOME/lock"
  flock --nonblock 6 || fail 75 "somebody else is importing this stream on this host: wait for them"
}

# Fetches a document of the stream from the registry into a folder (NAME.json, NAME.json.sig, for a reconciled mark a second signature).
# Returns 66 when there is none.
mark_fetch() { # registry stream name folder
  # A receipt of 5,000 images is larger than what else is asked of registries.
  # shellcheck disable=SC2034,SC2154  # registry.sh's, and medium.sh's
  local code=0 work=$4/fetch-$3 digest index=0 registry_largest=$medium_largest
  rm -rf "$work" && mkdir -p "$work"
  registry_begin "$work"
  registry_ask "$1" "airgap/$2" manifests "$3" "$work/manifest"
  registry_answers
  registry_outcome "$work/manifest" || code=$?
  case $code in
    0) ;;
    65) return 66 ;;
    *) fail 69 "what $1 remembers of stream $2 cannot be read: $REGISTRY_WHY" ;;
  esac
  while IFS= read -r digest; do
    registry_ask "$1" "airgap/$2" blobs "$digest" "$work/layer.$index"
    printf '%s' "$digest" >"$work/layer.$index.digest"
    index=$((index + 1))
  done < <(jq -r '.layers[:3][]?.digest | strings | select(test("\\Asha256:[0-9a-f]{64}\\z"))' "$work/manifest" 2>/dev/null || true)
  registry_answers
  for ((code = 0; code < index; code++)); do
    registry_is "$work/layer.$code" "$(<"$work/layer.$code.digest")" || fail 69 "what $1 remembers of stream $2 is not whole: layer $code of airgap/$2:$3 is missing or damaged"
  done
  ((index >= 2)) || fail 65 "airgap/$2:$3 in $1 is no $3: remove that tag after you found out who wrote it, then bundle reconcile"
  cp "$work/layer.0" "$4/$3.json" && cp "$work/layer.1" "$4/$3.json.sig"
  ((index == 2)) || cp "$work/layer.2" "$4/$3.json.second"
}

# Fails unless a document of the stream is signed by a believed key for receipts. With `ever` a key that ended serves, too.
mark_believed() { # file type stream [ever]
  local said signer second
  document_is "$1" "$2" "$(trust_audience)" receipt
  said=$(jq -er --arg stream "$3" 'select(.stream == $stream and (.serial | type == "number" and . >= 1 and . == floor and . < 1e9)
    and (.manifest | type == "string" and test("\\Asha256:[0-9a-f]{64}\\z")) and (.time | type == "string" and test("\\A[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z\\z"))
    and (.site | type == "string" and test("\\A[a-z0-9]+(-[a-z0-9]+)*\\z")))
    | [.signer, (.reconciled?.signer? // "")] | map(if type == "string" and test("\\A[!-~]*\\z") then . else "?" end) | join(" ")' "$1") || fail 65 "$1 is not of stream $3, or says nonsense"
  read -r signer second <<<"$said"
  mark_signed "$1" "$1.sig" "$signer" "${4:-}"
  if [[ $second ]]; then mark_signed "$1" "$1.second" "$second" "${4:-}"; fi
}

mark_signed() { # file signature signer [ever]
  if ! trust_judge "$3" receipt ""; then
    [[ ${4:-} && ${TRUST_ROWS[$3]:-} && $(cut -f 3 <<<"${TRUST_ROWS[$3]}") == receipt ]] ||
      fail 65 "$1 is not to be believed: $TRUST_WHY (bundle reconcile signs it anew)"
    TRUST_ID=$3
  fi
  if [[ ! -f $2 ]] || ! document_signed "$1" "$2" "$TRUST_KEYS/$TRUST_ID.pub"; then fail 65 "$1 is not signed by key $TRUST_ID"; fi
}

# Reads both marks and decides. Without the manifest that is to be imported, or when that is another, a difference is a disagreement.
mark_read() { # registry stream folder [manifest-digest]
  local host=$3/host registry=$3/registry code=0 said_host said_registry
  mkdir -p "$host" "$registry"
  MARK_SERIAL=0 MARK_MANIFEST='' MARK_TIME=''
  if mark_take mark "$host"; then mark_believed "$host/mark.json" mark/v1 "$2"; fi
  mark_fetch "$1" "$2" mark "$registry" || code=$?
  ((code == 0 || code == 66)) || exit "$code"
  ((code != 0)) || mark_believed "$registry/mark.json" mark/v1 "$2"
  said_host=$(mark_line "$host/mark.json") said_registry=$(mark_line "$registry/mark.json")
  read -r MARK_SERIAL MARK_MANIFEST MARK_TIME <<<"$said_host"
  if [[ ${said_host% *} == "${said_registry% *}" ]]; then
    MARK_STATE=agreed
  elif [[ ${4:-} && $MARK_MANIFEST == "$4" && $(mark_before "$host/mark.json") == "${said_registry% *}" ]]; then
    # The host's is written first: whoever was stopped between the two goes on.
    MARK_STATE=begun
  else
    fail 65 "this host remembers serial ${said_host%% *} of stream $2 and $1 remembers ${said_registry%% *}, or another manifest: one of them was restored, or lost. Find out which, then bundle reconcile"
  fi
  # Where this host has no receipt, or an older one, the registry's says what this stream brought.
  code=0
  mark_fetch "$1" "$2" receipt "$registry" || code=$?
  ((code == 0 || code == 66)) || exit "$code"
  if ((code == 0)); then
    mark_believed "$registry/receipt.json" receipt/v1 "$2" ever
    if [[ ! -e $3/receipt.json ]] || (($(jq .serial "$registry/receipt.json") > $(jq .serial "$3/receipt.json"))); then cp "$registry/receipt.json" "$registry/receipt.json.sig" "$3/"; fi
  fi
  [[ ! -e $3/receipt.json ]] || mark_believed "$3/receipt.json" receipt/v1 "$2" ever
  # It is never earlier here than the newest thing that was signed here.
  TRUST_FLOOR=$(find "$3" -maxdepth 2 \( -name mark.json -o -name receipt.json \) -exec jq -r .time {} + | sort | tail -n 1)
}

# Prints serial, manifest and time of a mark; those of none when there is no such file.
mark_line() { if [[ -e $1 ]]; then jq -r '"\(.serial) \(.manifest) \(.time)"' "$1"; else echo "0 - -"; fi; } # file

# Prints serial and manifest of the mark before.
mark_before() { jq -r 'if .previous then "\(.previous.serial) \(.previous.manifest)" else "0 -" end' "$1"; } # file

# Fails when a bundle must not be imported after what was.
mark_judge() { # serial manifest-digest previous-digest stream
  if (($1 < MARK_SERIAL)); then
    fail 65 "serial $1 of stream $4 is older than serial $MARK_SERIAL, which was imported here: nothing goes back; take the newest bundle"
  elif (($1 == MARK_SERIAL)) && [[ $2 != "$MARK_MANIFEST" ]]; then
    fail 65 "this is another serial $1 of stream $4 than the one imported here: the exporter's history was forked. Ask who made both; nothing is imported"
  elif (($1 == MARK_SERIAL + 1 && MARK_SERIAL > 0)) && [[ $3 != "$MARK_MANIFEST" ]]; then
    fail 65 "serial $1 of stream $4 does not follow the serial $MARK_SERIAL that was imported here: the exporter's history was forked. Ask who made both; nothing is imported"
  fi
}

# Finds the receipt key's id among the believed ones; fails with 77 when it cannot sign, or may not.
mark_key() { # key purpose
  local work id
  work=$(mktemp -d -p "$TEMPORARY")
  document_public "$1" "$work/key.pub"
  id=$(trust_key "$(document_fingerprint "$work/key.pub")") || fail 77 "the key $1 is not in the trust file: scripts/trust add"
  printf '%s' "$id"
}

# Keeps standard input as a file of the stream's memory on this host, whole or not at all.
mark_keep() { # name
  mkdir -p "$(dirname "$STREAM_HOME/$1")" || fail 73 "$STREAM_HOME cannot be written"
  { cat >"$STREAM_HOME/$1.new" && sync "$STREAM_HOME/$1.new"; } || fail 73 "$STREAM_HOME cannot be written"
  mv "$STREAM_HOME/$1.new" "$STREAM_HOME/$1" || fail 73 "$STREAM_HOME cannot be written"
}

# Writes a document of the stream, signed, to the host. Signatures lie there by the hash of what they sign, so that one rename
# makes it valid.
mark_write() { # name json key [second-key]
  local new=$STREAM_HOME/$1.new hash
  mkdir -p "$STREAM_HOME/signatures" || fail 73 "$STREAM_HOME cannot be written"
  { jq -S . <<<"$2" >"$new" && sync "$new"; } || fail 73 "$STREAM_HOME cannot be written"
  hash=$(trust_hash "$new")
  document_sign "$new" "$3" "$STREAM_HOME/signatures/$hash.sig"
  [[ ! ${4:-} ]] || document_sign "$new" "$4" "$STREAM_HOME/signatures/$hash.second"
  mv "$new" "$STREAM_HOME/$1.json" || fail 73 "$STREAM_HOME cannot be written"
}

# Copies a document of the stream with its signatures from the host into a folder; fails when there is none.
mark_take() { # name folder
  local hash part
  [[ -e $STREAM_HOME/$1.json ]] || return 1
  mkdir -p "$2"
  cp "$STREAM_HOME/$1.json" "$2/$1.json" || fail 74 "$STREAM_HOME cannot be read"
  hash=$(trust_hash "$2/$1.json")
  for part in sig second; do
    [[ ! -e $STREAM_HOME/signatures/$hash.$part ]] || cp "$STREAM_HOME/signatures/$hash.$part" "$2/$1.json.$part"
  done
}

# Brings a document of the stream from the host into the registry.
mark_push() { # registry stream name
  local work=$TEMPORARY/mark-push file names=("$3.json" "$3.json.sig") descriptors=() digest size
  rm -rf "$work" && mkdir -p "$work"
  mark_take "$3" "$work" || fail 74 "$STREAM_HOME has no $3"
  [[ ! -e $work/$3.json.second ]] || names+=("$3.json.second")
  printf '{}' >"$work/config"
  : >"$work/uploads"
  for file in config "${names[@]}"; do
    digest=sha256:$(trust_hash "$work/$file") size=$(stat -c %s "$work/$file")
    printf '%s\tblobs\t%s\t%s\n' "airgap/$2" "$digest" "$work/$file" >>"$work/uploads"
    descriptors+=("$(jq -nc --arg type "$([[ $file == config ]] && echo application/vnd.oci.empty.v1+json || echo "$mark_artifact.$3.v1")" --arg digest "$digest" --argjson size "$size" \
      '{mediaType: $type, digest: $digest, size: $size}')")
  done
  printf '%s\n' "${descriptors[@]}" | jq -cjsS --arg type "$mark_artifact.$3.v1" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", artifactType: $type, config: .[0], layers: .[1:]}' >"$work/manifest"
  registry_may "airgap/$2"
  cut -f 1-3 "$work/uploads" | registry_have "$work/there" "$work/missing"
  # shellcheck disable=SC2094  # another file
  awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { wanted[$3] = 1; next } $3 in wanted { print $1, $3, $4, "-" }' "$work/missing" "$work/uploads" | registry_upload "$work/sent"
  printf '%s\t%s\t%s\t%s\n' "airgap/$2" "$3" application/vnd.oci.image.manifest.v1+json "$work/manifest" | registry_put
}

# Raises the mark to a bundle: on the host, then in the registry.
mark_raise() { # registry stream serial manifest key id
  local previous=null
  if [[ $MARK_STATE == agreed && $MARK_SERIAL == "$3" && $MARK_MANIFEST == "$4" ]]; then return 0; fi
  if [[ $MARK_STATE != begun ]]; then
    ((MARK_SERIAL == 0)) || previous=$(jq -nc --argjson serial "$MARK_SERIAL" --arg manifest "$MARK_MANIFEST" '{$serial, $manifest}')
    mark_write mark "$(jq -n --arg audience "$(trust_audience)" --arg signer "$6" --arg stream "$2" --arg site "$SITE" --argjson serial "$3" --arg manifest "$4" \
      --arg time "$(trust_now)" --argjson previous "$previous" '{type: "mark/v1", purpose: "receipt", $audience, $signer, $stream, $site, $serial, $manifest, $time, $previous}')" "$5"
  fi
  mark_push "$1" "$2" mark
}
