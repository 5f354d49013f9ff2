# shellcheck shell=bash
# shellcheck disable=SC2154  # TEMPORARY stands in airgap/bundle, what begins with EXPORT in export.sh
# Which medium carries what, the manifest that says so, and the folders that are the media. airgap/format.md is the contract.
#
# Below TEMPORARY: all.json, the images as a lock has them; rows, a line for each manifest and blob of each image: number of the image,
# hexadecimal digits, size, kind (manifests, blobs), media type, repository inside; files, a line for each file that is no part of an
# image: path, size, SHA-256.

# What a medium is filled with beside blobs and files: a signature, and the first line of SHA256SUMS.
media_signature=128
media_first_line=200

# Writes `carried`, rows in the order of the images, each digest once; and `held`: digest and size of what the base has in every
# repository that needs it.
media_rows() { # base
  jq -r '.images | to_entries[] | .key as $n | .value | .path as $path
    | (.manifests[] | [$n, .digest[7:], .size, "manifests", .mediaType, $path]), (.blobs[] | [$n, .digest[7:], .size, "blobs", .mediaType, $path]) | @tsv' \
    "$TEMPORARY/all.json" >"$TEMPORARY/rows" || fail 73 "$TEMPORARY cannot be written: is there room in ${TMPDIR:-/tmp}?"
  : >"$TEMPORARY/carried" && : >"$TEMPORARY/held"
  awk -F '\t' -v carried="$TEMPORARY/carried" -v held="$TEMPORARY/held" '
    FILENAME == ARGV[1] { base[$0] = 1; next }
    ($2 in size) && size[$2] != $3 { print $2; exit }
    !($2 in size) { size[$2] = $3; order[++count] = $2 }
    !($2 in taken) && !(($6 "\tsha256:" $2) in base) { taken[$2] = 1; print >carried }
    END { for (i = 1; i <= count; i++) if (!(order[i] in taken)) print order[i] "\t" size[order[i]] >held }' "$1" "$TEMPORARY/rows" >"$TEMPORARY/odd" ||
    fail 73 "$TEMPORARY cannot be written: is there room in ${TMPDIR:-/tmp}?"
  [[ ! -s $TEMPORARY/odd ]] || fail 65 "the lock names two sizes of sha256:$(<"$TEMPORARY/odd"): make it anew"
}

# Decides which medium carries what, and writes `placed`: number of the medium, B or F, digest or path, size. An image whose parts fit on
# one medium is never torn apart, and lies on the first that has room.
media_place() { # size…
  local fixed what size n why
  # No medium has a longer manifest than this.
  awk -F '\t' '{ print "9999\tB\t" $2 "\t" $3 }' "$TEMPORARY/carried" >"$TEMPORARY/placed"
  awk -F '\t' '{ print "9999\tF\t" $1 "\t" $2 }' "$TEMPORARY/files" >>"$TEMPORARY/placed"
  media_manifest 999999999 9999 "$(printf 'sha256:%064d' 0)" >"$TEMPORARY/longest"
  # What nobody inside would take is not carried there.
  why=$(jq -r -L "$here/lib/carried" --arg audience "$EXPORT_AUDIENCE" --argjson largest "$medium_manifest_largest" 'include "manifest"; faults($audience; $largest)[:20][]' "$TEMPORARY/longest") ||
    fail 69 "the manifest cannot be judged here: is there room in ${TMPDIR:-/tmp}?"
  [[ ! $why ]] || { say "$why" && fail 65 "nobody inside would take this bundle: see above"; }
  fixed=$(($(stat -c %s "$TEMPORARY/longest") + 2 * media_signature + media_first_line + 160))
  awk -F '\t' -v sizes="$*" -v fixed="$fixed" '
    function capacity(m) { return m <= listed ? size[m] : last }
    function open_to(m) { while (opened < m) { opened++; room[opened] = capacity(opened) - fixed } }
    # The first medium with room, a new one if none has; 0 if none ever will.
    function find(cost, most,   m) {
      for (m = 1; m <= opened; m++) if (room[m] >= cost) return m
      for (m = opened + 1; m <= (most ? most : (opened > listed ? opened : listed) + 1); m++) if (capacity(m) - fixed >= cost) { open_to(m); return m }
      return 0
    }
    function put(i, m) { room[m] -= cost[i]; done[i] = 1; printf "%d\t%s\t%s\t%s\n", m, kind[i], name[i], bytes[i] }
    BEGIN {
      listed = split(sizes, size, " ")
      for (m = 1; m <= listed; m++) { size[m] += 0; if (size[m] <= fixed) { printf "!\tsmall\t%d\t%.0f\n", m, fixed; failed = 1; exit } }
      last = listed ? size[listed] : 2 ^ 52
    }
    { n++; kind[n] = $1; name[n] = $3; bytes[n] = $4
      cost[n] = $4 + (kind[n] == "B" ? 144 : 67 + length($3))
      if (!($2 in total)) group[++groups] = $2
      total[$2] += cost[n]; parts[$2] = parts[$2] " " n }
    END {
      if (failed) exit
      open_to(1)
      # What later media are too small for has the first choice.
      for (i = 1; i <= n; i++) if (cost[i] > last - fixed) {
        if (!(m = find(cost[i], listed))) { printf "!\tlarge\t%s\t%s\n", name[i], bytes[i]; exit }
        put(i, m)
      }
      for (g = 1; g <= groups; g++) {
        count = split(parts[group[g]], part, " "); sum = 0
        for (p = 1; p <= count; p++) if (!done[part[p]]) sum += cost[part[p]]
        m = find(sum)
        for (p = 1; p <= count; p++) if (!done[part[p]]) put(part[p], m ? m : find(cost[part[p]]))
      }
      printf "!\tcount\t%d\n", opened
    }' <(
    awk -F '\t' '{ split($1, part, "/"); print "F\t" (part[2] == "tools" ? "tools" : "files") "\t" $1 "\t" $2 }' "$TEMPORARY/files"
    awk -F '\t' '{ print "B\t" $1 "\t" $2 "\t" $3 }' "$TEMPORARY/carried"
  ) >"$TEMPORARY/placing" || fail 73 "$TEMPORARY cannot be written"
  IFS=$'\t' read -r _ what n size < <(awk '/^!/' "$TEMPORARY/placing")
  case $what in
    count) MEDIA=$n ;;
    small) fail 65 "medium $n is too small: manifest.json and its like alone take $size bytes on every medium; take larger media, or fewer images at once" ;;
    large) fail 65 "no medium is large enough for $(media_name "$n"), $size bytes: take one of at least $((size + fixed + 200)) bytes (--medium-size), or leave that image out" ;;
    *) fail 69 "the media could not be planned: is there room in ${TMPDIR:-/tmp}?" ;;
  esac
  ((MEDIA <= 9999)) || fail 65 "that would be $MEDIA media, and nobody carries more than 9999: take larger ones"
  grep -v '^!' "$TEMPORARY/placing" >"$TEMPORARY/placed" || true
}

# Prints what a digest or path is, for people.
media_name() { # digest-or-path
  local n
  [[ $1 =~ ^[0-9a-f]{64}$ ]] || { echo "$1" && return; }
  n=$(awk -F '\t' -v hex="$1" '$2 == hex { print $1; exit }' "$TEMPORARY/carried")
  jq -r --argjson n "$n" --arg hex "$1" '"sha256:\($hex) of \(.images[$n].reference)"' "$TEMPORARY/all.json"
}

# Prints manifest.json.
media_manifest() { # serial media previous
  jq -cnS --slurpfile all "$TEMPORARY/all.json" --rawfile placed "$TEMPORARY/placed" --rawfile held "$TEMPORARY/held" --rawfile files "$TEMPORARY/files" \
    --argjson serial "$1" --argjson media "$2" --arg previous "$3" --arg audience "$EXPORT_AUDIENCE" --arg signer "$EXPORT_SIGNER" --arg stream "$EXPORT_STREAM" \
    --arg created "$EXPORT_CREATED" --arg expires "$EXPORT_EXPIRES" --argjson base "$EXPORTED_BASE" '
    def rows: split("\n") | map(select(. != "") | split("\t"));
    ($placed | rows) as $placed
    | ($placed | map(select(.[1] == "F") | {key: .[2], value: (.[0] | tonumber)}) | from_entries) as $medium
    | {type: "bundle/v1", purpose: "bundle", $audience, $signer, $stream, $serial, $previous, $created, $expires, $media, $base,
      images: [$all[0].images[] | {reference, path, digest, mediaType, kind, platforms, rule, manifests: [.manifests[] | {digest, size, mediaType, kind} + (if .of then {of} else {} end)
        + (if .tag then {tag} else {} end)], blobs: [.blobs[].digest]} + (if .tag then {tag} else {} end)],
      blobs: ([($placed[] | select(.[1] == "B") | {key: ("sha256:" + .[2]), value: {size: (.[3] | tonumber), medium: (.[0] | tonumber)}}),
        ($held | rows[] | {key: ("sha256:" + .[0]), value: {size: (.[1] | tonumber), medium: 0}})] | from_entries),
      files: [$files | rows[] | {path: .[0], size: (.[1] | tonumber), sha256: .[2], medium: $medium[.[0]]}]}' ||
    fail 73 "the manifest cannot be written: is there room in ${TMPDIR:-/tmp}?"
}

# Moves every blob and file into the folder of its medium. No manifest is there yet.
media_fill() { # work-folder
  local n medium
  LC_ALL=C sort -s -t $'\t' -k 1,1n -k 2,2 "$TEMPORARY/placed" |
    awk -F '\t' -v list="$TEMPORARY/on." '{ file = list $1 "." $2; if (file != last) close(last); last = file; print $3 >file }' || media_full "$TEMPORARY"
  for ((n = 1; n <= MEDIA; n++)); do
    medium=$1/media/medium-$n
    mkdir -p "$medium/blobs/sha256" "$medium/files" || media_full "$1"
    [[ ! -e $TEMPORARY/on.$n.B ]] || (cd "$1/blobs" && xargs -d '\n' mv -t "$medium/blobs/sha256" <"$TEMPORARY/on.$n.B") || media_full "$1"
    [[ ! -e $TEMPORARY/on.$n.F ]] || (cd "$1" && xargs -d '\n' cp --parents -t "$medium" <"$TEMPORARY/on.$n.F") || media_full "$1"
    rmdir "$medium/files" 2>/dev/null || true
  done
}

# Takes back what a killed export had moved already.
media_take_back() { # work-folder
  [[ -d $1/media ]] || return 0
  (mkdir -p "$1/blobs" && find "$1/media" -path '*/blobs/sha256/*' -type f -print0 | xargs -0 -r mv -t "$1/blobs" && rm -rf "${1:?}/media") || media_full "$1"
}

media_full() { fail 73 "$1 cannot be written: is the disk full? What came is kept there, so the same command goes on from it"; } # work-folder

# Writes SHA256SUMS of every medium and signs it.
media_seal() { # work-folder manifest signature key serial
  local n sums manifest signature
  read -r manifest _ < <(sha256sum "$2")
  read -r signature _ < <(sha256sum "$3")
  for ((n = 1; n <= MEDIA; n++)); do
    sums=$1/media/medium-$n/SHA256SUMS
    {
      printf '# bundle %s %s medium %d of %d\n' "$EXPORT_STREAM" "$5" "$n" "$MEDIA"
      {
        printf '%s  manifest.json\n%s  manifest.json.sig\n' "$manifest" "$signature"
        [[ ! -e $TEMPORARY/on.$n.B ]] || awk '{ print $1 "  blobs/sha256/" $1 }' "$TEMPORARY/on.$n.B" || exit 1
        [[ ! -e $TEMPORARY/on.$n.F ]] || awk -F '\t' 'FILENAME == ARGV[1] { here[$1] = 1; next } $1 in here { print $3 "  " $1 }' "$TEMPORARY/on.$n.F" "$TEMPORARY/files"
      } | LC_ALL=C sort -k 2
    } >"$sums" || media_full "$1"
    document_sign "$sums" "$4" "$sums.sig"
  done
}

# Puts the manifest on every medium: the last thing, and what makes it one.
media_finish() { # work-folder manifest signature
  local n
  for ((n = 1; n <= MEDIA; n++)); do
    (cp "$3" "$1/media/medium-$n/manifest.json.sig" && cp "$2" "$1/media/medium-$n/manifest.json") || media_full "$1"
  done
  chmod -R u=rwX,go=rX "$1/media" || media_full "$1"
}

# Prints a line for each medium: its number, its bytes, and how many images are whole on it.
media_told() { # folder
  (cd "$1" && find . -type f -printf '%P\t%s\n') | awk -F '\t' -v media="$MEDIA" '
    FILENAME == ARGV[1] { if ($2 == "B") medium[$3] = $1; next }
    FILENAME == ARGV[2] { if ($2 in medium) { if ($1 in at && at[$1] != medium[$2]) torn[$1] = 1; at[$1] = medium[$2] } next }
    { n = $1; sub("/.*", "", n); sub(".*-", "", n); bytes[n] += $2 }
    END { for (i in at) if (!(i in torn)) whole[at[i]]++; for (n = 1; n <= media; n++) printf "%d\t%.0f\t%d\n", n, bytes[n], whole[n] }' "$TEMPORARY/placed" "$TEMPORARY/rows" /dev/stdin
}
