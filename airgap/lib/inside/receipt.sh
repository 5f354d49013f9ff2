# shellcheck shell=bash
# shellcheck disable=SC2154  # import_… are import.sh's, MARK_… mark.sh's
# The acknowledgement: what of a stream is inside, signed there and carried back out. And what mends the memory of a stream.

# Writes the receipt of a manifest, unless it is there already.
receipt_make() { # serial manifest
  local json
  if receipt_good "$2"; then
    receipt_pushed || mark_push "$import_to" "$import_stream" receipt
    return
  fi
  if [[ $import_reason ]]; then
    mark_keep "exceptions/$1.json.sig" <"$TEMPORARY/exception.json.sig"
    mark_keep "exceptions/$1.json" <"$TEMPORARY/exception.json"
  fi
  json=$(jq -S --arg audience "$(trust_audience)" --arg signer "$receipt_id" --arg site "$SITE" --arg manifest "$2" --arg time "$(trust_now)" \
    --slurpfile exception <([[ ! $import_reason ]] || cat "$TEMPORARY/exception.json") '
    {type: "receipt/v1", purpose: "receipt", $audience, $signer, stream, $site, serial, $manifest, $time,
     holds: (.images | group_by(.path) | map({key: .[0].path, value: ([.[].manifests[].digest, .[].blobs[]] | unique)}) | from_entries),
     images: [.images[] | {path, digest} + (if .tag then {tag} else {} end)]}
    + (if $exception == [] then {} else {exception: ($exception[0] | {reason, signer, time})} end)' "$BUNDLE/manifest.json")
  # The one before is what a rollback goes to.
  if mark_take receipt "$TEMPORARY/before" && ! jq -e --arg manifest "$2" '.manifest == $manifest' "$TEMPORARY/before/receipt.json" >/dev/null; then
    mark_keep previous.json <"$TEMPORARY/before/receipt.json"
  fi
  mark_write receipt "$json" "$import_receipt_key"
  mark_push "$import_to" "$import_stream" receipt
  say "the receipt is signed: bundle receipt --to $import_to --stream $import_stream --out FOLDER writes it for the way back"
}

# True when this host has a receipt of the manifest, signed by a key that is still believed.
receipt_good() { # manifest
  mark_take receipt "$TEMPORARY/good" && [[ ! $import_reason ]] || return 1
  jq -e --arg manifest "$1" --arg site "$SITE" '.manifest == $manifest and .site == $site' "$TEMPORARY/good/receipt.json" >/dev/null || return 1
  (mark_believed "$TEMPORARY/good/receipt.json" receipt/v1 "$import_stream") 2>/dev/null
}

# True when the registry has the receipt that this host has: it was asked for when the marks were read.
receipt_pushed() {
  cmp -s "$TEMPORARY/marks/registry/receipt.json" "$STREAM_HOME/receipt.json"
}

# Gives out the newest receipt of a stream, for the way back.
verb_receipt() {
  local out='' words=()
  while (($#)); do
    if [[ $1 == --out ]]; then
      [[ ${2:-} ]] || misuse "--out wants a folder"
      out=$2 && shift 2
    else
      words+=("$1") && shift
    fi
  done
  import_parse "${words[@]}"
  [[ $import_stream ]] || misuse "which stream? --stream NAME"
  trust_open "$TEMPORARY/keys"
  import_begin
  if ! mark_take receipt "$TEMPORARY/out"; then
    registry_open "$import_to" "$TEMPORARY/registry"
    mkdir -p "$TEMPORARY/out"
    mark_fetch "$import_to" "$import_stream" receipt "$TEMPORARY/out" || fail 66 "nothing of stream $import_stream was ever whole in $import_to: there is no receipt"
  fi
  mark_believed "$TEMPORARY/out/receipt.json" receipt/v1 "$import_stream" ever
  if [[ $out ]]; then
    receipt_out "$TEMPORARY/out" "$out"
  elif [[ $import_form == json ]]; then
    cat "$TEMPORARY/out/receipt.json"
  else
    jq -r '"serial \(.serial) of stream \(.stream), whole at \(.site) since \(.time), signed by \(.signer)",
      (.images[] | "   \(.path)@\(.digest[:19])..\(if .tag then "  " + .tag else "" end)"), (select(.exception) | "   although it had expired: \(.exception.reason) (\(.exception.signer))")' \
      "$TEMPORARY/out/receipt.json"
  fi
}

# Writes the receipt and its signature into a folder, and prints where.
receipt_out() { # from to
  local name
  mkdir -p "$2" || fail 73 "$2 cannot be made"
  # The signature first: nobody finds a receipt without one.
  for name in receipt.json.sig receipt.json; do
    cp "$1/$name" "$2/$name.new" || fail 73 "$2 cannot be written"
    mv "$2/$name.new" "$2/$name" || fail 73 "$2 cannot be written"
  done
  printf '%s\n' "$2/receipt.json"
}

# Puts names back to where they pointed before the last import of a stream.
verb_undo() {
  import_parse "$@"
  [[ $import_stream ]] || misuse "which stream? --stream NAME"
  trust_open "$TEMPORARY/keys"
  import_begin
  [[ -s $STREAM_HOME/moves ]] || fail 66 "no names were moved by an import of stream $import_stream on this host"
  registry_open "$import_to" "$TEMPORARY/registry"
  TARGET=$TEMPORARY/target
  mkdir -p "$TARGET"
  mapfile -t paths < <(grep -v '^#' "$STREAM_HOME/moves" | cut -f 1 | sort -u)
  registry_may "${paths[@]}"
  accept_back "$STREAM_HOME/moves"
}

# Ends a disagreement between what this host and the registry remember: the higher mark counts, and two people sign that.
verb_reconcile() {
  import_parse "$@"
  [[ $import_stream ]] || misuse "which stream? --stream NAME"
  ((${#import_keys[@]} == 2)) || misuse "reconcile wants two keys of purpose receipt: --key ONE --key OTHER"
  local ids=() key id code=0 host registry higher
  trust_open "$TEMPORARY/keys"
  import_begin
  for key in "${import_keys[@]}"; do
    id=$(mark_key "$key")
    trust_judge "$id" receipt "" || fail 77 "the key $key signs no receipts: $TRUST_WHY"
    ids+=("$id")
  done
  [[ ${ids[0]} != "${ids[1]}" ]] || fail 77 "both keys are ${ids[0]}: two people decide, with a key each"
  registry_open "$import_to" "$TEMPORARY/registry"
  host=$TEMPORARY/host registry=$TEMPORARY/from-registry
  mkdir -p "$host" "$registry"
  if mark_take mark "$host"; then mark_believed "$host/mark.json" mark/v1 "$import_stream" ever; fi
  mark_fetch "$import_to" "$import_stream" mark "$registry" || code=$?
  ((code == 66)) || mark_believed "$registry/mark.json" mark/v1 "$import_stream" ever
  [[ -e $host/mark.json || -e $registry/mark.json ]] || fail 66 "neither this host nor $import_to remembers stream $import_stream"
  higher=$(find "$host" "$registry" -name mark.json -exec cat {} + | jq -cs 'max_by([.serial, .time])')
  say "the mark of stream $import_stream becomes serial $(jq .serial <<<"$higher"), $(jq -r .manifest <<<"$higher")"
  mark_write mark "$(jq --arg signer "${ids[0]}" --arg second "${ids[1]}" --arg time "$(trust_now)" --arg site "$SITE" \
    '. + {$signer, $site, time: ([.time, $time] | max), reconciled: {signer: $second, time: $time}}' <<<"$higher")" "${import_keys[0]}" "${import_keys[1]}"
  registry_may "airgap/$import_stream"
  mark_push "$import_to" "$import_stream" mark
}
