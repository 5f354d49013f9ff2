# shellcheck shell=bash
# shellcheck disable=SC2154  # here and TEMPORARY stand in airgap/bundle
# From images.lock to media that can be carried: everything fetched by digest, laid out as airgap/format.md says, signed. Whole or not at
# all: it is gathered in OUT.partial, which the same command goes on from, and appears as OUT by one rename. Needs fetch.sh,
# exported.sh, artifacts.sh, media.sh, export_words.sh and export_ready.sh.

verb_export() {
  local work
  export_words "$@"
  work=$EXPORT_OUT.partial
  export_absent
  export_ready
  export_begin "$work"
  export_make "$work"
  media_rows "$EXPORTED_HOLDS"
  media_place "${EXPORT_SIZES[@]}"
  export_fetch "$work"
  export_publish "$work"
  export_tell
}

# Nothing that is there is written over.
export_absent() { [[ ! -e $EXPORT_OUT && ! -L $EXPORT_OUT ]] || fail 73 "$EXPORT_OUT is there already: name another folder, or remove it"; }

# Opens the work folder, for one at a time.
export_begin() { # work-folder
  local lock
  if [[ -e $1 && ! -e $1/export ]] && { [[ ! -d $1 ]] || [[ $(ls -A "$1") ]]; }; then fail 73 "$1 is there and is no export's: move it out of the way"; fi
  { mkdir -p "$1" && : >>"$1/export"; } 2>/dev/null || fail 73 "$1 cannot be written: it is where the export is gathered"
  exec {lock}<"$1/export"
  # Whoever was killed may have left a curl that ends in a moment.
  flock --timeout 5 "$lock" || fail 75 "another export into $EXPORT_OUT is at work: try again when it has ended"
  export_absent
  [[ $1/export -ef /dev/fd/$lock ]] || fail 75 "another export into $EXPORT_OUT has just ended: try again"
}

# Makes what the export itself makes, and the list of all images.
export_make() { # work-folder
  local made=$1/made n twice
  rm -rf "$made" "$1/files" "$1/kit"
  mkdir -p "$made" || media_full "$1"
  media_take_back "$1"
  : >"$TEMPORARY/made"
  if [[ $EXPORT_WITHOUT != *' chart '* ]]; then
    if ((${#EXPORT_CHARTS[@]} == 0)) && [[ -f $ROOT/chart/mini-api/Chart.yaml ]]; then EXPORT_CHARTS=("$ROOT/chart/mini-api" ""); fi
    for ((n = 0; n < ${#EXPORT_CHARTS[@]}; n += 2)); do artifact_chart "$made" "$TEMPORARY/made" "${EXPORT_CHARTS[@]:n:2}"; done
  fi
  if [[ $EXPORT_WITHOUT != *' policies '* ]]; then
    if ((${#EXPORT_POLICIES[@]} == 0)) && [[ -d $ROOT/policy ]]; then EXPORT_POLICIES=("$ROOT/policy" policies/mini-api); fi
    ((${#EXPORT_POLICIES[@]} == 0)) || artifact_policies "$made" "$TEMPORARY/made" "${EXPORT_POLICIES[@]}"
  fi
  artifact_trust "$1"
  if [[ $EXPORT_REGISTER || -d $REGISTER ]]; then artifact_register "$1"; fi
  [[ ! $EXPORT_TOOLS ]] || artifact_tools "$1"
  artifact_files "$1" "$TEMPORARY/files"
  jq -c --slurpfile made "$TEMPORARY/made" '{images: ([.images[] | . + {kind: "image"}] + $made)}' "$TEMPORARY/lock" >"$TEMPORARY/all.json" || fail 73 "$TEMPORARY cannot be written"
  twice=$(jq -r '[.images[] | select(.tag) | "\(.path):\(.tag) \(.digest)"] | unique | map(split(" ")[0]) | group_by(.)[] | select(length > 1)[0]' "$TEMPORARY/all.json")
  [[ ! $twice ]] || fail 65 "two images are to be ${twice%%$'\n'*} inside: give one another place with 'as PATH'"
}

# Fetches what is carried and is not made here.
export_fetch() { # work-folder
  local free needed
  mkdir -p "$1/blobs" || media_full "$1"
  awk -F '\t' 'FILENAME == ARGV[1] { source[$1] = $2 "\t" $3 "\t" $4; next } $1 in source { print $2 "\t" $3 "\t" $4 "\t" $5 "\t" source[$1] }' "$TEMPORARY/sources" "$TEMPORARY/carried" >"$TEMPORARY/wanted"
  needed=$(awk -F '\t' '{ total += $2 } END { printf "%.0f", total }' "$TEMPORARY/wanted")
  say "fetching $(wc -l <"$TEMPORARY/wanted") manifests and blobs, $(numfmt --to=si "$needed")B"
  free=$(df --output=avail -B1 "$1" | awk 'NR == 2 { printf "%.0f", $1 }')
  ((needed <= free)) || say "there is room for $(numfmt --to=si "$free")B only where $1 lies: it will do if most of it is there already"
  fetch "$1" "$TEMPORARY/wanted"
  [[ ! -d $1/made/blobs ]] || mv -t "$1/blobs" "$1"/made/blobs/sha256/* || media_full "$1"
}

# Gives it a serial, signs it, and lets it appear.
export_publish() { # work-folder
  local manifest=$TEMPORARY/manifest.json
  exported_alone "$EXPORT_STREAM"
  exported_last "$EXPORT_STREAM"
  export_serial
  export_times
  EXPORT_SERIAL=${EXPORT_SERIAL:-$((EXPORTED_SERIAL + 1))}
  media_manifest "$EXPORT_SERIAL" "$MEDIA" "$EXPORTED_DIGEST" >"$manifest"
  document_sign "$manifest" "$EXPORT_KEY" "$manifest.sig"
  media_fill "$1"
  media_seal "$1" "$manifest" "$manifest.sig" "$EXPORT_KEY" "$EXPORT_SERIAL"
  exported_remember "$EXPORT_STREAM" "$EXPORT_SERIAL" "$manifest" "$manifest.sig"
  media_finish "$1" "$manifest" "$manifest.sig"
  # What is called done may be pulled out.
  { sync -f "$1/media" && mv -T "$1/media" "$EXPORT_OUT" && sync -f "$EXPORT_OUT"; } || fail 73 "$EXPORT_OUT cannot be written"
  rm -rf "$1"
}

# Says what there is to carry.
export_tell() {
  local digest all
  digest=sha256:$(trust_hash "$TEMPORARY/manifest.json")
  all=$(jq '.images | length' "$TEMPORARY/all.json")
  media_told "$EXPORT_OUT" >"$TEMPORARY/told"
  {
    printf 'MEDIUM\tSIZE\tIMAGES WHOLE ON IT\n'
    awk -F '\t' -v all="$all" '{ printf "medium-%d\t%s\t%d of %d\n", $1, $2, $3, all }' "$TEMPORARY/told" | numfmt --to=si --suffix=B --field=2 --delimiter=$'\t'
  } | column -t -s $'\t' >&2
  say "export $EXPORT_SERIAL of the stream $EXPORT_STREAM, to be imported until $EXPORT_EXPIRES: $digest"
  if [[ ! $EXPORT_JSON ]]; then
    printf '%s\n' "$EXPORT_OUT"
    return
  fi
  jq -Rn --arg stream "$EXPORT_STREAM" --argjson serial "$EXPORT_SERIAL" --arg manifest "$digest" --arg out "$EXPORT_OUT" \
    '{$stream, $serial, $manifest, media: [inputs | split("\t") | {dir: "\($out)/medium-\(.[0])", size: (.[1] | tonumber)}]}' "$TEMPORARY/told"
}
