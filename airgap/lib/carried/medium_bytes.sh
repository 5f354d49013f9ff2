# shellcheck shell=bash
# shellcheck disable=SC2154  # what medium.sh sets
# The bytes of media: every file that should be there is, has its size and SHA-256, and nothing else is. What is looked at first costs
# least, every byte is read once, and two files at a time. Manifests are copied first: what was verified is what is used. Needs medium.sh.

# What is larger has a program to itself, so that no two wait for one that has all the large ones.
medium_large=$((4 * 1024 * 1024))

# Fails unless the media that were given have exactly the files they should; tells all faults of all of them together.
medium_hashes() {
  local n
  mkdir -p "$BUNDLE/manifests" || fail 73 "$BUNDLE/manifests cannot be made"
  for n in "${!MEDIUM_DIRS[@]}"; do
    medium_listed "$n"
    medium_present "$n"
    medium_read "$n"
  done
  medium_told "the media of the bundle $MEDIUM_STREAM $MEDIUM_SERIAL are not whole"
}

# Prints what SHA256SUMS of a medium must say.
medium_listing() { # number
  printf '# bundle %s %s medium %d of %d\n' "$MEDIUM_STREAM" "$MEDIUM_SERIAL" "$1" "$MEDIUM_COUNT"
  {
    printf '%s  manifest.json\n%s  manifest.json.sig\n' "$(trust_hash "$BUNDLE/manifest.json")" "$(trust_hash "$BUNDLE/$1/manifest.json.sig")"
    awk -F '\t' -v n="$1" '$1 == n { print $3 "  " $4 }' "$BUNDLE/entries"
  } | LC_ALL=C sort -k 2
}

# The list for people who check by hand must say what the manifest says, and be signed.
medium_listed() { # number
  local again="copy it again from the original of medium $1" mine=$BUNDLE/$1
  # Without a sound manifest and signature beside it nobody can say what the list should be; those are told already.
  [[ -f $mine/SHA256SUMS && -f $mine/manifest.json.sig && ! ${medium_spoilt[$1]:-} ]] || return 0
  medium_listing "$1" >"$mine/listing" || fail 73 "$mine/listing cannot be written"
  if ! cmp -s "$mine/listing" "$mine/SHA256SUMS"; then
    if [[ ${medium_sums[$1]:-} ]]; then
      medium_fault 65 "medium $1: SHA256SUMS says something else than manifest.json, although both are signed: this bundle is not to be used"
    else
      medium_fault 65 "medium $1: SHA256SUMS is damaged: $again"
    fi
  elif [[ -f $mine/SHA256SUMS.sig && ! ${medium_sums[$1]:-} ]]; then
    medium_fault 65 "medium $1: SHA256SUMS.sig is damaged: $again"
  fi
}

# Compares what lies on a medium, its kinds and sizes, with what should; writes what is to be read, the largest first.
medium_present() { # number
  local mine=$BUNDLE/$1 code why
  # A name may have any sign but a zero byte in it; a line here is one file.
  (cd "${MEDIUM_DIRS[$1]}" && for part in blobs files; do
    if [[ -e $part || -L $part ]]; then find "$part" ! -type d -printf '%y\t%s\t%p\0' || exit; fi
  done) 2>"$mine/why" | tr '\n\0' '\001\n' >"$mine/there" ||
    medium_fault 74 "medium $1: a folder cannot be read ($(trust_plain "$(head -n 1 "$mine/why")")): copy it again from the original of medium $1, to another medium"
  : >"$mine/faults" && : >"$mine/toread" && : >"$mine/tocopy"
  LC_ALL=C awk -F '\t' -v n="$1" -v mine="$mine/" -v again=": copy it again from the original of medium $1" '
    function plain(text) { gsub(/[^ -~]/, "?", text); return substr(text, 1, 200) }
    function fault(code, path, why) { print code "\tmedium " n ": " path " " why >(mine "faults") }
    FILENAME ~ /manifests\.list$/ { manifest["blobs/sha256/" $1] = 1; next }
    FILENAME ~ /entries$/ { if ($1 == n) { size[$4] = $2; hash[$4] = $3 } else elsewhere[$4] = $1; next }
    {
      # The path is all that is left, tabs and all.
      path = substr($0, length($1) + length($2) + 3)
      if ($1 != "f") { fault(65, plain(path), "is " ($1 == "l" ? "a link" : "neither a file nor a folder") ", and a medium has none" again); seen[path] = 1 }
      else if (!(path in size)) fault(65, plain(path), path in elsewhere && elsewhere[path] > 0 ? "belongs on medium " elsewhere[path] ", not here: remove it" : "is nothing the bundle has: remove it, and ask who put it there")
      else {
        seen[path] = 1
        if ($2 != size[path]) fault(65, path, "has " $2 " bytes of " size[path] again)
        else print $2 "\t" hash[path] "\t" path >(mine (path in manifest ? "tocopy" : "toread"))
      }
    }
    END { for (path in size) if (!(path in seen)) fault(66, path, "is missing" again) }' \
    "$BUNDLE/manifests.list" "$BUNDLE/entries" "$mine/there" || fail 69 "the list of files cannot be compared here: is there room in ${TMPDIR:-/tmp}?"
  LC_ALL=C sort -t $'\t' -k 2 "$mine/faults" >"$mine/sorted" || fail 73 "$mine cannot be written"
  while IFS=$'\t' read -r code why; do medium_fault "$code" "$why"; done <"$mine/sorted"
}

# Reads every byte of a medium once, and compares. What has no hash in the end could not be read.
medium_read() { # number
  local mine=$BUNDLE/$1 code why
  say "medium $1: reading $(cat "$mine/toread" "$mine/tocopy" | awk -F '\t' '{ bytes += $1 } END { printf "%d files, %.1f MB", NR, bytes / 1e6 }')"
  # Two at a time, each printing whole lines.
  (
    set +e
    cd "${MEDIUM_DIRS[$1]}" || exit
    cut -f 3 "$mine/tocopy" | tr '\n' '\0' | xargs -0 -r -n 1000 cp -f -t "$BUNDLE/manifests" --
    sort -rn "$mine/toread" | awk -F '\t' -v large="$medium_large" '$1 >= large { print $3 }' | tr '\n' '\0' | xargs -0 -r -n 1 -P 2 openssl dgst -sha256 -r | hash_lines
    awk -F '\t' -v large="$medium_large" '$1 < large { print $3 }' "$mine/toread" | tr '\n' '\0' | xargs -0 -r -n 200 -P 2 sha256sum --
    cd "$BUNDLE/manifests" || exit
    cut -f 3 "$mine/tocopy" | sed 's|.*/||' | tr '\n' '\0' | xargs -0 -r -n 1000 -P 2 sha256sum -- | sed 's|  |  blobs/sha256/|'
  ) >"$mine/hashes" 2>/dev/null || true
  awk -v n="$1" -v again="copy it again from the original of medium $1" '
    FILENAME ~ /hashes$/ { hash[$2] = $1; next }
    !($3 in hash) { print "74\tmedium " n ": " $3 " cannot be read: " again ", to another medium"; next }
    hash[$3] != $2 { print "65\tmedium " n ": " $3 " is damaged: " again }' "$mine/hashes" "$mine/toread" "$mine/tocopy" >"$mine/faults" ||
    fail 69 "the hashes cannot be compared here: is there room in ${TMPDIR:-/tmp}?"
  while IFS=$'\t' read -r code why; do medium_fault "$code" "$why"; done <"$mine/faults"
}
