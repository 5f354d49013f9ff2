# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # import_… are import.sh's, MEDIUM_… medium.sh's, STREAM_HOME mark.sh's
# Which bundle is spoken of when nobody brings one: what this host, or else the registry, kept of what was imported. Needs medium.sh, mark.sh.

# Settles which manifest is meant: that of media or of a file, signed, else that of the newest receipt, or mark, as this host kept it.
status_bundle() { # manifest-file-or-nothing
  if ((${#import_dirs[@]})); then
    [[ ! $1 ]] || misuse "media or --manifest: not both"
    medium_open "${import_dirs[@]}"
    medium_trust
  elif [[ $1 ]]; then
    status_alone "$1"
  else
    status_stream "$import_stream"
    status_kept
    return
  fi
  [[ ! $import_stream || $import_stream == "$MEDIUM_STREAM" ]] || fail 65 "this bundle is of the stream $MEDIUM_STREAM, not of $import_stream"
  status_stream "$MEDIUM_STREAM"
}

# Sets whose stream it is, and where its memory lies; makes nothing.
status_stream() { # stream
  [[ $1 ]] || misuse "which stream? --stream NAME"
  reference_parse "$import_to/airgap/$1" repository || fail 65 "stream '$(trust_plain "$1")' is no name: $REF_WHY"
  import_stream=$1
  mark_place "$import_to" "$import_stream"
}

# Takes a manifest without its media, as a medium that has nothing else. It is for whom it says, if nobody else is named.
status_alone() { # file [audience]
  local alone=$TEMPORARY/alone/medium-1
  mkdir -p "$alone" || fail 73 "$alone cannot be made"
  { cp "$1" "$alone/manifest.json" && cp "$1.sig" "$alone/manifest.json.sig"; } 2>/dev/null || fail 66 "$1 and its signature $1.sig cannot be read"
  medium_open "$alone"
  medium_trust ${2:+"$2"}
  MEDIUM_DIRS=()
}

# Takes the manifest that this host kept when it imported: the receipt, or else the mark, says which, and both are signed.
status_kept() {
  local work=$TEMPORARY/kept name serial digest file why
  mkdir -p "$work" || fail 73 "$work cannot be made"
  for name in receipt mark; do
    status_document "$name" "$work" && break
  done
  [[ -e $work/$name.json ]] || fail 66 "nothing of stream $import_stream was imported into $import_to: neither this host nor the registry has a receipt or a mark"
  IFS=$'\t' read -r serial digest < <(jq -r '[.serial, .manifest] | @tsv' "$work/$name.json")
  if [[ $name == receipt ]] && mark_take mark "$work" && (($(jq .serial "$work/mark.json") > serial)); then
    say "serial $(jq .serial "$work/mark.json") of stream $import_stream was begun and is not whole yet: this is about serial $serial"
  fi
  file=$STREAM_HOME/manifests/$serial.json
  [[ -e $file ]] || fail 66 "this host did not keep the manifest of serial $serial of stream $import_stream: give a medium of it, or --manifest FILE"
  BUNDLE=$TEMPORARY/bundle
  mkdir -p "$BUNDLE" || fail 73 "$BUNDLE cannot be made"
  cp "$file" "$BUNDLE/manifest.json" || fail 74 "$file cannot be read"
  [[ sha256:$(trust_hash "$BUNDLE/manifest.json") == "$digest" ]] ||
    fail 65 "$file is not the manifest that was imported: it was altered. Give a medium of serial $serial, or --manifest FILE"
  # Whoever signed it was believed when it was imported.
  MEDIUM_KEY=$(jq -r .signer "$BUNDLE/manifest.json") MEDIUM_DIRS=()
  why=$(medium_form "$(trust_audience)") || fail 69 "$file cannot be read here: is there room in ${TMPDIR:-/tmp}, and is jq sound?"
  [[ ! $why ]] || fail 65 "$file is not what a bundle has: ${why%%$'\n'*}"
  IFS=$'\t' read -r MEDIUM_STREAM MEDIUM_SERIAL MEDIUM_COUNT MEDIUM_EXPIRES <"$BUNDLE/head"
}

# Gets a document of the stream, from this host or else from the registry, into a folder; returns 66 when nobody has one.
status_document() { # receipt|mark|previous folder
  local code=0 type=$1
  if ! mark_take "$1" "$2"; then
    [[ $1 != previous ]] || return 66
    mark_fetch "$import_to" "$import_stream" "$1" "$2" || code=$?
    ((code == 0)) || return "$code"
  fi
  [[ $1 != previous ]] || type=receipt
  mark_believed "$2/$1.json" "$type/v1" "$import_stream" ever
}
