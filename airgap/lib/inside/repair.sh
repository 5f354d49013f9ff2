# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # import_… are import.sh's, MARK_… mark.sh's, MEDIUM_… medium.sh's, TARGET target.sh's
# Brings back what is missing or damaged of what was imported, from the media that brought it. What is sent is compared with the manifest
# first, byte for byte; the rest of the media is not read, so that a medium may have no more than the files that are needed. Needs status.sh.

# Mends what status finds.
verb_repair() {
  local storage='' words=() manifest
  while (($#)); do
    case $1 in
      --storage)
        [[ ${2:-} ]] || misuse "--storage wants the folder where the registry keeps its files"
        storage=$2
        shift
        ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  import_parse "${words[@]}"
  ((${#import_dirs[@]})) || misuse "from which media? Name their folders"
  trust_open "$TEMPORARY/keys"
  status_bundle ""
  manifest=sha256:$(trust_hash "$BUNDLE/manifest.json")
  import_begin
  registry_open "$import_to" "$TEMPORARY/registry"
  repair_same "$manifest"
  [[ ! $storage ]] || repair_storage "$storage"
  status_look deep
  if [[ ! -s $TARGET/faults ]]; then
    say "nothing is to be repaired: all of serial $MEDIUM_SERIAL of stream $import_stream is whole in $import_to"
    return
  fi
  status_told
  repair_key
  repair_sources
  # First the files, since whatever is sent next is read there.
  if [[ $storage && -s $TARGET/rotten ]]; then repair_replace "$storage"; fi
  repair_send
  repair_names
  repair_sign
  repair_outcome "$storage"
}

# Fails unless this is what was imported, and whole then.
repair_same() { # manifest-digest
  local work=$TEMPORARY/same
  mkdir -p "$work"
  mark_read "$import_to" "$import_stream" "$TEMPORARY/marks" "$1"
  [[ $MARK_MANIFEST == "$1" ]] || fail 65 "serial $MEDIUM_SERIAL is not what was imported last of stream $import_stream: that is serial $MARK_SERIAL. Give its media"
  status_document receipt "$work" || fail 66 "serial $MEDIUM_SERIAL of stream $import_stream was never whole in $import_to: bundle import goes on with it"
  [[ $(jq -r .manifest "$work/receipt.json") == "$1" ]] || fail 66 "serial $MEDIUM_SERIAL of stream $import_stream was begun and is not whole in $import_to: bundle import goes on with it"
}

# Fails before anything is written when a countersignature is lost and the key cannot make another.
repair_key() {
  local path
  awk -F '\t' -v OFS='\t' '$1 == "unsigned" { print $2, $3, "-", "-" }' "$TARGET/faults" >"$TARGET/unsigned-now"
  # What comes back as a referrer may be all that is missing of a signature, but ours is never on a medium.
  [[ -s $TARGET/unsigned-now && $import_key ]] || return 0
  key_id=$(mark_key "$import_key")
  while IFS= read -r path; do
    trust_judge "$key_id" import "$import_to/$path" || fail 77 "the key $import_key countersigns nothing in $path: $TRUST_WHY"
  done < <(cut -f 1 "$TARGET/unsigned-now" | sort -u)
}

# Finds the file for everything that is missing or damaged, and compares it; fails when one is on no medium given, before anything is written.
# Leaves rotten: digest, file, for what lies damaged in the registry's storage.
repair_sources() {
  local kind path digest wrong=0 medium
  : >"$TARGET/from" && : >"$TARGET/rotten"
  # A thing that is missing in one repository may be there in another; it is taken from the medium, which is sure to be right.
  while IFS=$'\t' read -r kind path digest medium; do
    if [[ $medium == 0 ]]; then
      say "$path: $digest is $kind and was carried by an earlier bundle: have one exported without --since, and import that"
    elif ! medium_file "${digest#sha256:}"; then
      say "$path: $digest is $kind: give medium $medium, or have blobs/sha256/${digest#sha256:} of it carried again"
    else
      printf '%s\t%s\n' "$digest" "$MEDIUM_FILE" >>"$TARGET/from"
      [[ $kind == missing ]] || printf '%s\t%s\n' "$digest" "$MEDIUM_FILE" >>"$TARGET/rotten"
      continue
    fi
    wrong=$((wrong + 1))
  done < <(awk -F '\t' -v OFS='\t' 'FILENAME ~ /places$/ { medium[$4] = $6; next } $1 == "missing" || $1 == "damaged" || $1 == "unknown" && $4 ~ /^it cannot be read \(5/ { print ($1 == "missing" ? $1 : "damaged"), $2, $3, medium[$3] }' \
    "$TARGET/places" "$TARGET/faults")
  ((wrong == 0)) || fail 66 "$wrong of the things that are needed are on no medium that was given: nothing was written (bundle status --need says it by telephone)"
  sort -u -o "$TARGET/from" "$TARGET/from"
  sort -u -o "$TARGET/rotten" "$TARGET/rotten"
  cut -f 2 "$TARGET/from" | tr '\n' '\0' | xargs -0 -r -n 50 -P 2 sha256sum -- >"$TARGET/from-sums" 2>/dev/null || true
  while IFS=$'\t' read -r medium digest; do
    say "medium ${medium_place[${digest#sha256:}]}: blobs/sha256/${digest#sha256:} is damaged or cannot be read: copy it again from the original"
    wrong=$((wrong + 1))
  done < <(awk -F '\t' -v OFS='\t' 'FILENAME ~ /from-sums$/ { sum[substr($0, 67)] = "sha256:" substr($0, 1, 64); next } sum[$2] != $1 { print "-", $1 }' "$TARGET/from-sums" "$TARGET/from")
  ((wrong == 0)) || fail 65 "$wrong files of the media are not what the manifest says: nothing was written"
}

# Fails unless a folder is where a registry:2 keeps its files.
repair_storage() { # folder
  [[ -d $1/docker/registry/v2/blobs/sha256 ]] || fail 66 "$1 has no docker/registry/v2/blobs/sha256: name the folder where the registry keeps its files, as it is mounted here"
}

# Prints where a registry:2 keeps a thing, below its folder.
repair_place() { printf 'docker/registry/v2/blobs/sha256/%s/%s/data' "${1:7:2}" "${1#sha256:}"; } # digest

# Replaces damaged files in the registry's storage, each whole or not at all, with the owner and rights that it had.
repair_replace() { # folder
  local digest from file again
  while IFS=$'\t' read -r digest from; do
    file=$1/$(repair_place "$digest")
    [[ -f $file && ! -L $file ]] || fail 66 "$file is not there, although $import_to has $digest: is $1 the storage of another registry?"
    [[ $(trust_hash "$file") != "${digest#sha256:}" ]] || fail 69 "$file is whole, although $import_to gives other bytes: is $1 the storage of another registry, or does something stand between?"
    again=$(mktemp "$file.XXXXXX") || fail 73 "$(dirname "$file") cannot be written: run this as the registry's user, or as root"
    if ! { cp "$from" "$again" && chown --reference="$file" "$again" && chmod --reference="$file" "$again" && [[ $(trust_hash "$again") == "${digest#sha256:}" ]] && sync "$again" && mv -f "$again" "$file"; } 2>/dev/null; then
      rm -f "$again"
      fail 73 "$file cannot be replaced: run this as the registry's user, or as root, with room on its disk"
    fi
    say "   replaced: $(repair_place "$digest")"
  done <"$TARGET/rotten"
}

# Sends what is missing, as an import does, and puts what is in no list into its list again.
repair_send() {
  local serial=$MEDIUM_SERIAL
  # What a registry says it has although a read of it failed is not asked for again.
  awk -F '\t' -v OFS='\t' 'FILENAME ~ /faults$/ { if ($1 == "missing") missing[$2, $3] = 1; next } ($2, $4) in missing && !seen[$2, $3, $4]++ { print $2, $3, $4 }' \
    "$TARGET/faults" "$TARGET/places" >"$TARGET/missing"
  awk -F '\t' 'FILENAME ~ /missing$/ { missing[$0] = 1; next } !($0 in missing)' "$TARGET/missing" "$TARGET/there" >"$TARGET/there.new"
  mv "$TARGET/there.new" "$TARGET/there"
  [[ -s $TARGET/missing || -s $TARGET/unlisted ]] || return 0
  target_plan
  # Nothing waits: everything that is missing has its file.
  awk -F '\t' 'FILENAME ~ /unlisted$/ { unlisted[$1, $2, $3] = 1; next } ($1, $2, $3) in unlisted' "$TARGET/unlisted" "$TARGET/hanging" >"$TARGET/hanging.new"
  mv "$TARGET/hanging.new" "$TARGET/hanging"
  push_all "$import_stream" "$serial"
  push_unroot "$import_stream" "$serial"
}

# Gives names that are gone once more; the journal of the last import stays as it is.
repair_names() {
  awk -F '\t' '$3 == "-"' "$TARGET/moves" >"$TARGET/moving"
  [[ -s $TARGET/moving ]] || return 0
  accept_bytes
  awk -F '\t' -v OFS='\t' -v folder="$TARGET/tag-new" '{ d = $4; sub(/^sha256:/, "", d); print $1, $2, $5, folder "/" d }' "$TARGET/moving" | registry_put
}

# Countersigns again what lost that.
repair_sign() {
  local n
  [[ -s $TARGET/unsigned-now && $import_key ]] || return 0
  cp "$TARGET/unsigned-now" "$TARGET/accepting"
  rm -rf "$TARGET/accept"
  for ((n = 1; n <= $(wc -l <"$TARGET/accepting"); n++)); do mkdir -p "$TARGET/accept/$n" && : >"$TARGET/accept/$n/found"; done
  accept_sign "$import_to" "$import_key" "$key_id"
}

# Looks again, at what was damaged as well, and says what is left to do.
repair_outcome() { # storage-or-nothing
  local digest from left
  cp "$TARGET/rotten" "$TEMPORARY/rotten" && cp "$TARGET/from" "$TEMPORARY/from"
  status_look ""
  awk -F '\t' -v OFS='\t' 'FILENAME ~ /from$/ { sent[$1] = 1; next } $4 in sent { print $2, $3, $4, $5 }' "$TEMPORARY/from" "$TARGET/places" | registry_read "$TARGET/wrong"
  status_faults
  if [[ ! -s $TARGET/faults ]]; then
    say "repaired: all of serial $MEDIUM_SERIAL of stream $import_stream is whole in $import_to"
    return
  fi
  say "this is left:"
  status_told
  if [[ -s $TEMPORARY/rotten && ! $1 ]]; then
    say "$import_to does not take again what it believes it has. On its host, below the folder where it keeps its files, replace (or name that folder here: --storage FOLDER):"
    while IFS=$'\t' read -r digest from; do
      say "   $(repair_place "$digest")"
      say "      by $from of medium ${medium_place[${digest#sha256:}]}: copy it beside, with the owner and rights of the old one, and rename it"
    done <"$TEMPORARY/rotten"
  fi
  left=$(awk -F '\t' '$1 == "elsewhere"' "$TARGET/faults" | wc -l)
  ((left == 0)) || say "$left names point to what somebody else put there, and are not moved: let whoever did remove them"
  if [[ ! $import_key ]] && awk -F '\t' '$1 != "unsigned" { other = 1 } END { exit other }' "$TARGET/faults"; then
    fail 77 "countersignatures are lost: the same again with --key KEY, of purpose import"
  fi
  fail "$(status_code)" "not all of serial $MEDIUM_SERIAL of stream $import_stream is whole in $import_to"
}
