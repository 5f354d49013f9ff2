# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # BUNDLE is medium.sh's; what is found is read by callers
# What a bundle wants to be inside, and what of it is there already: asked of the registry every time, never remembered. Tables below
# TARGET, apart by tabs:
#   images      N, path, tag or -, digest, media type, kind, purpose its signature is for, keyless or -, repository it was signed in or
#               the keyless rule in words
#   places      N, path, manifests or blobs, digest, size, medium, media type, kind    (a line for each image that needs it)
#   levels      level, path, digest, media type                                    (children before their index: higher levels first)
#   hanging     path, digest of what it hangs on, digest, media type, size
#   tags        path, tag, digest, media type
#   send        batch, path, digest, file, size, repository that has it or -      (what must be uploaded, in order)
#   ready       N, batch: images that are whole after that batch                     pending  N: those that are not

# Lays the tables out.
target_tables() { # registry
  TARGET=$TEMPORARY/target
  mkdir -p "$TARGET"
  jq -r -L "$ROOT/airgap/lib/carried" 'include "manifest";
    .blobs as $blobs | .images | to_entries[] | (.key + 1 | tostring) as $n | .value as $image
    | ($image.manifests | map({key: .digest, value: .}) | from_entries) as $by
    | def level($digest; $left): $by[$digest] | if . == null or .kind != "child" or $left == 0 then 0 else 1 + level(.of; $left - 1) end;
      ["images", $n, $image.path, ($image.tag // "-"), $image.digest, $image.mediaType, $image.kind,
        ($image.rule | if .rule == "signed" then .purpose elif .rule == "keyless" then .rule else "-" end),
        (if $image.rule.rule == "keyless" then $image.rule | keyless else $image.reference | repository end)],
      ($image.manifests[] | ["places", $n, $image.path, "manifests", .digest, .size, $blobs[.digest].medium, .mediaType, .kind],
        ["levels", level(.digest; 20), $image.path, .digest, .mediaType],
        (select(.kind == "referrer") | ["hanging", $image.path, .of, .digest, .mediaType, .size]),
        (select(.tag) | ["tags", $image.path, .tag, .digest, .mediaType])),
      ($image.blobs[] | ["places", $n, $image.path, "blobs", ., $blobs[.].size, $blobs[.].medium, "-", "blob"]),
      (select($image.tag) | ["tags", $image.path, $image.tag, $image.digest, $image.mediaType]) | @tsv' "$BUNDLE/manifest.json" |
    awk -F '\t' -v folder="$TARGET" 'BEGIN { for (i = split("images places levels hanging tags", name, " "); i; i--) printf "" > (folder "/" name[i]) }
      { file = folder "/" $1; sub(/^[^\t]*\t/, ""); print > file }'
  sort -u -o "$TARGET/levels" "$TARGET/levels"
  sort -u -o "$TARGET/hanging" "$TARGET/hanging"
  sort -u -o "$TARGET/tags" "$TARGET/tags"
}

# Asks the registry for all of it: there, missing (path, kind, digest).
target_ask() {
  cut -f 2-4 "$TARGET/places" | registry_have "$TARGET/there" "$TARGET/missing" "$TARGET/unsure"
  cat "$TARGET/unsure" >>"$TARGET/missing"
}

# Reads in its repository, to the last byte, everything that the bundle does not carry; fails before anything is written.
target_base() {
  local wrong=0 unread=0 path digest why
  awk -F '\t' -v OFS='\t' '$6 == 0 { print $2, $3, $4, $5 }' "$TARGET/places" | sort -u >"$TARGET/base"
  [[ -s $TARGET/base ]] || return 0
  say "reading what the bundle builds on: $(wc -l <"$TARGET/base") things, $(awk -F '\t' '{ sum += $4 } END { printf "%.0f", sum }' "$TARGET/base" | numfmt --to=si)B"
  registry_read "$TARGET/wrong" <"$TARGET/base"
  while IFS=$'\t' read -r path digest why; do
    say "$path: $digest, on which the bundle builds, is $why inside"
    wrong=$((wrong + 1))
    [[ $why != unread* ]] || unread=$((unread + 1))
  done <"$TARGET/wrong"
  ((wrong == 0 || wrong > unread)) || fail 69 "$unread of the things this bundle builds on cannot be read now: nothing is written; try again when the registry is well"
  ((wrong == 0)) || fail 65 "$wrong of the things this bundle builds on are not whole inside: repair from the medium that brought them, or ask for a bundle that carries all"
}

# Decides what is sent, in which order, and which image is whole after which batch. A manifest that no given medium has may lie in the
# repository as a blob, where the import of another medium left it.
target_plan() {
  local path kind digest
  : >"$TARGET/files"
  while IFS=$'\t' read -r path kind digest; do
    if medium_file "${digest#sha256:}"; then printf '%s\t%s\t%s\t%s\n' "$path" "$kind" "$digest" "$MEDIUM_FILE"; fi
  done <"$TARGET/missing" >>"$TARGET/files"
  target_left
  # batch: a thousand blobs, or a gigabyte.
  awk -F '\t' -v OFS='\t' -v folder="$TARGET" '
    FILENAME ~ /\/there$/ { there[$1, $2, $3] = 1; if ($2 == "blobs" && !($3 in holder)) holder[$3] = $1; next }
    FILENAME ~ /\/files$/ { file[$1, $2, $3] = $4; next }
    {
      n = $1; path = $2; kind = $3; digest = $4
      if (!(n in last)) { last[n] = 0; order[++images] = n }
      if ((path, kind, digest) in there) next
      if (!((path, kind, digest) in file)) { pending[n] = 1; next }
      if (kind == "manifests") next
      if (!((path, digest) in batch_of)) {
        if (lines >= 1000 || bytes + $5 > 1000000000 && lines) { batch++; lines = 0; bytes = 0 }
        lines++; bytes += $5
        batch_of[path, digest] = batch + 1
        print batch + 1, path, digest, file[path, kind, digest], $5, (digest in holder ? holder[digest] : "-") > (folder "/send")
        if (!(digest in holder)) holder[digest] = path
      }
      if (batch_of[path, digest] > last[n]) last[n] = batch_of[path, digest]
    }
    BEGIN { printf "" > (folder "/send"); printf "" > (folder "/ready"); printf "" > (folder "/pending") }
    END { for (i = 1; i <= images; i++) { n = order[i]; if (n in pending) print n > (folder "/pending"); else print n, last[n] > (folder "/ready") } }' \
    "$TARGET/there" "$TARGET/files" "$TARGET/places"
  target_keep
}

# Manifests of images that are not whole yet are sent as blobs, so that a later medium finds them.
target_keep() {
  cp "$TARGET/send" "$TARGET/sending"
  awk -F '\t' -v OFS='\t' -v folder="$TARGET/" '
    FILENAME == folder "pending" { pending[$1] = 1; next }
    FILENAME == folder "left" { left[$1, $3] = 1; next }
    FILENAME == folder "files" { if ($2 == "manifests") file[$1, $3] = $4; next }
    FILENAME == folder "sending" { last = $1; next }
    $1 in pending && $3 == "manifests" && ($2, $4) in file && !(($2, $4) in left) && !seen[$2, $4]++ { print last + 1, $2, $4, file[$2, $4], $5, "-" }' \
    "$TARGET/pending" "$TARGET/left" "$TARGET/files" "$TARGET/sending" "$TARGET/places" >>"$TARGET/send"
}

# Gets the manifests that an earlier medium left as blobs; their bytes are read and compared.
target_left() {
  local path kind digest file
  awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { known[$1, $3] = 1; next } $2 == "manifests" && !(($1, $3) in known) { print $1, "blobs", $3 }' "$TARGET/files" "$TARGET/missing" |
    registry_have "$TARGET/left" "$TARGET/nowhere"
  [[ -s $TARGET/left ]] || return 0
  mkdir -p "$TARGET/left-bytes"
  awk -F '\t' -v OFS='\t' -v folder="$TARGET/left-bytes" '{ d = $3; sub(/^sha256:/, "", d); print NR, "GET", $1 "/blobs/" $3, "-", folder "/" d }' "$TARGET/left" |
    registry_run "$TARGET/left-answers"
  while IFS=$'\t' read -r path kind digest; do
    file=$TARGET/left-bytes/${digest#sha256:}
    if [[ -e $file && $(trust_hash "$file") == "${digest#sha256:}" ]]; then printf '%s\tmanifests\t%s\t%s\n' "$path" "$digest" "$file"; fi
  done <"$TARGET/left" >>"$TARGET/files"
}

# Looks where the names point now: moves (path, tag, digest now, - or ?STATUS, digest then, media type).
target_points() {
  rm -rf "$TARGET/tag-bytes"
  mkdir -p "$TARGET/tag-bytes"
  awk -F '\t' -v OFS='\t' -v accept="$registry_accepts" -v folder="$TARGET/tag-bytes" '{ print NR, "GET", $1 "/manifests/" $2, accept, folder "/" NR }' "$TARGET/tags" |
    registry_run "$TARGET/tag-answers"
  find "$TARGET/tag-bytes" -type f -print0 | xargs -0r sha256sum >"$TARGET/tag-sums"
  awk -F '\t' -v OFS='\t' -v sums="$TARGET/tag-sums" -v answers="$TARGET/tag-answers" '
    FILENAME == answers { split($0, part, " "); status[part[1]] = part[3] == 0 ? part[2] : "000"; next }
    FILENAME == sums { split($0, part, " "); n = $0; sub(/.*\//, "", n); sum[n] = "sha256:" part[1]; next }
    status[FNR] == "404" { print $1, $2, "-", $3, $4; next }
    status[FNR] == "200" { if (sum[FNR] != $3) print $1, $2, sum[FNR], $3, $4; next }
    { print $1, $2, "?" status[FNR], $3, $4 }' "$TARGET/tag-answers" "$TARGET/tag-sums" "$TARGET/tags" >"$TARGET/moves"
}

# The same, before names are moved: one that points to something which this stream did not bring is not taken away from whoever put it there.
target_tags() { # receipt-or-nothing
  local wrong=0 path tag now
  target_points
  : >"$TARGET/ours" && : >"$TARGET/grown"
  [[ ! -e $1 ]] || jq -r '.holds | to_entries[] | .key as $path | .value[] | "\($path)\t\(.)"' "$1" >"$TARGET/ours"
  # What it once gave a name to stays its own: an import may have been stopped before its receipt, or undone.
  [[ ! -e $STREAM_HOME/named ]] || cat "$STREAM_HOME/named" >>"$TARGET/ours"
  while IFS=$'\t' read -r path tag now; do
    case $now in
      '?'*)
        registry_judge "${now#?}" 0 || true
        fail "$REGISTRY_CODE" "where $path:$tag points cannot be known: $REGISTRY_FAULT"
        ;;
      # A signature of old that grew on both sides stays as it is here: it is no name that anybody deploys by.
      *) if [[ $tag == sha256-* ]]; then
        say "$path:$tag grew inside as well: it stays as it is there"
        printf '%s\t%s\n' "$path" "$tag" >>"$TARGET/grown"
      else
        say "$path:$tag is $now inside, which this stream did not bring"
        wrong=$((wrong + 1))
      fi ;;
    esac
  done < <(awk -F '\t' -v OFS='\t' 'FILENAME == ARGV[1] { ours[$1, $2] = 1; next } $3 != "-" && !(($1, $3) in ours) { print $1, $2, $3 }' "$TARGET/ours" "$TARGET/moves")
  awk -F '\t' 'FILENAME == ARGV[1] { grown[$1, $2] = 1; next } !(($1, $2) in grown)' "$TARGET/grown" "$TARGET/moves" >"$TARGET/moves.new"
  mv "$TARGET/moves.new" "$TARGET/moves"
  ((wrong == 0)) || fail 65 "$wrong names belong to somebody else inside, and no name is moved: lock the images 'as' another path, or let their owner remove the tag"
}
