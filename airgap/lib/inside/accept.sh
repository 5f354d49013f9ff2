# shellcheck shell=bash
# shellcheck disable=SC2154  # TARGET is target.sh's, SIGN_WHY sign.sh's
# What is said of images once they are inside: they are read back and verified in place, the inside key countersigns them, and the names
# are moved, last of all.

# Reads back by digest the manifests of all images that are whole, but those of which a receipt says that this was done before, and asks once
# more for their blobs.
accept_read() { # registry
  local wrong=0 path digest why
  awk -F '\t' -v OFS='\t' -v ready="$TARGET/ready" -v ours="$TARGET/ours" -v files="$TARGET/files" '
    FILENAME == ready { whole[$1] = 1; next }
    FILENAME == ours { known[$1, $2] = 1; next }
    FILENAME == files { delete known[$1, $3]; next }
    $1 in whole && $3 == "manifests" && !(($2, $4) in known) { print $2, $3, $4, $5 }' "$TARGET/ready" "$TARGET/ours" "$TARGET/files" "$TARGET/places" |
    registry_read "$TARGET/unread"
  while IFS=$'\t' read -r path digest why; do
    say "$path: $digest is $why after it was written"
    wrong=$((wrong + 1))
  done <"$TARGET/unread"
  # What lay there before and was never acknowledged may be damaged, and nobody has looked.
  awk -F '\t' -v OFS='\t' -v ready="$TARGET/ready" -v ours="$TARGET/ours" -v send="$TARGET/send" '
    FILENAME == ready { whole[$1] = 1; next }
    FILENAME == ours { known[$1, $2] = 1; next }
    FILENAME == send { known[$2, $3] = 1; next }
    $1 in whole && $3 == "blobs" && $6 > 0 && !(($2, $4) in known) { print $2, $3, $4, $5 }' "$TARGET/ready" "$TARGET/ours" "$TARGET/send" "$TARGET/places" |
    registry_read "$TARGET/unread"
  while IFS=$'\t' read -r path digest why; do
    say "$path: $digest, which was there already, is $why: bundle repair mends it"
    wrong=$((wrong + 1))
  done <"$TARGET/unread"
  # Only what was sent just now: the rest was asked for a moment ago.
  cut -f 2,3 "$TARGET/send" | awk -F '\t' -v OFS='\t' '{ print $1, "blobs", $2 }' | registry_have "$TARGET/there-now" "$TARGET/missing-now"
  while IFS=$'\t' read -r path _ digest; do
    say "$path: $digest is missing after it was written"
    wrong=$((wrong + 1))
  done <"$TARGET/missing-now"
  ((wrong == 0)) || fail 69 "$1 does not give back what was written: look at its disk and its log; no name was moved"
}

# Lists every image that is whole, and the images of each index, in `accepting`: path, digest, and what its rule is, as the table of images has it.
accept_list() {
  awk -F '\t' -v OFS='\t' -v ready="$TARGET/ready" -v images="$TARGET/images" '
    FILENAME == ready { whole[$1] = 1; next }
    FILENAME == images { if ($1 in whole) print $2, $4, $7, $8; next }
    $1 in whole && $3 == "manifests" && $8 == "child" { print $2, $4, "-", "-" }' "$TARGET/ready" "$TARGET/images" "$TARGET/places" | awk -F '\t' '!seen[$1, $2]++' >"$TARGET/accepting"
}

# Gathers in place what is signed of each of them: accept/N for line N of `accepting`.
accept_gather() { # registry
  local references=() path digest
  while IFS=$'\t' read -r path digest _; do references+=("$1/$path@$digest"); done <"$TARGET/accepting"
  rm -rf "$TARGET/accept" && mkdir -p "$TARGET/accept"
  ((${#references[@]} == 0)) || sign_gather "$TARGET/accept" "${references[@]}"
}

# True when nothing has changed since all of them were verified and countersigned here: neither the manifest, the trust file nor the key, nor what the
# registry lists to hang on any image. What hangs there is named by digest, so its bytes are those that were verified.
accept_unchanged() { # registry manifest key-id
  [[ -e $STREAM_HOME/accepted && ! -s $TARGET/send && ! -s $TARGET/files && ! -s $TARGET/pending ]] || return 1
  accept_lists "$1" "$2" "$3" >"$TARGET/accepted"
  cmp -s "$TARGET/accepted" "$STREAM_HOME/accepted"
}

# Prints what accept_unchanged compares: the hashes of manifest and trust file, the key, and of each image the hashes of the lists of what hangs on
# it.
accept_lists() { # registry manifest key-id
  printf '%s %s %s\n' "$2" "$(trust_hash "$TRUST_COPY/trust.json")" "$3"
  rm -rf "$TARGET/hangs" && mkdir -p "$TARGET/hangs"
  awk -F '\t' -v OFS='\t' -v folder="$TARGET/hangs/" '{ fallback = $2; sub(/:/, "-", fallback)
    print 2 * NR - 1, "GET", $1 "/referrers/" $2, "Accept: application/vnd.oci.image.index.v1+json", folder 2 * NR - 1
    print 2 * NR, "GET", $1 "/manifests/" fallback, "Accept: application/vnd.oci.image.index.v1+json", folder 2 * NR }' "$TARGET/accepting" |
    registry_run "$registry_jobs/answers"
  find "$TARGET/hangs" -type f -print0 | xargs -0r sha256sum >"$registry_jobs/sums"
  awk -F '\t' -v OFS='\t' -v answers="$registry_jobs/answers" -v sums="$registry_jobs/sums" '
    FILENAME == answers { split($0, part, " "); status[part[1]] = part[2] ":" part[3]; next }
    FILENAME == sums { n = $0; sub(/.*\//, "", n); sum[n] = substr($0, 1, 64); next }
    # An answer that failed for once is like no other.
    function told(n) { return status[n] == "200:0" ? sum[n] : status[n] ~ /^40[0145]:0$/ ? substr(status[n], 1, 3) : "?" n rand() }
    BEGIN { srand() }
    { print $1, $2, told(2 * FNR - 1), told(2 * FNR) }' "$registry_jobs/answers" "$registry_jobs/sums" "$TARGET/accepting"
}

# Fails unless every image that must be signed outside still is, as seen in the registry inside.
accept_verify() {
  local n=0 path digest purpose repository code worst=0
  awk -F '\t' -v OFS='\t' '$3 == "keyless" { print NR, $4 }' "$TARGET/accepting" >"$TARGET/certificates"
  keyless_judge "$TARGET/accept" <"$TARGET/certificates"
  while IFS=$'\t' read -r path digest purpose repository; do
    n=$((n + 1)) code=0
    [[ $purpose != - ]] || continue
    keyless_or_signed "$TARGET/accept/$n" "$purpose" "$repository" || code=$?
    if ((code != 0)); then
      say "$path@$digest: $SIGN_WHY"
      if ((worst != 69)); then worst=$code; fi
    fi
  done <"$TARGET/accepting"
  ((worst == 0)) || fail "$worst" "signatures did not arrive whole: no name was moved"
}

# Countersigns whatever the inside key has not signed yet, and looks in the registry whether it did.
accept_sign() { # registry key id
  local n=0 path digest
  # All that was found of all images, each line after the number of its image.
  # shellcheck disable=SC2016  # awk's
  (cd "$TARGET/accept" && find . -mindepth 2 -maxdepth 2 -name found -size +0 -print0 | xargs -0r awk -v OFS='\t' '{ n = FILENAME; sub(/\.\//, "", n); sub(/\/found/, "", n); print n, $0 }') >"$TARGET/accept/all"
  awk -F '\t' -v OFS='\t' -v registry="$1" -v id="$3" -v type="$SIGN_STATEMENT" '
    FILENAME == ARGV[1] { if ($2 == id && $3 == type && $4 == "import") signed[$1, $5] = 1; next }
    !((FNR, registry "/" $1) in signed) { print $1, $2 }' "$TARGET/accept/all" "$TARGET/accepting" >"$TARGET/unsigned"
  [[ -s $TARGET/unsigned ]] || return 0
  say "countersigning $(wc -l <"$TARGET/unsigned") images"
  if document_pem "$2"; then countersign "$1" "$2"; else accept_cosign "$1" "$2"; fi
  accept_gather "$1"
  while IFS=$'\t' read -r path digest _; do
    n=$((n + 1))
    sign_verdict_of "$TARGET/accept/$n" "$1/$path" import || fail 69 "$path@$digest was countersigned, and yet $SIGN_WHY"
  done <"$TARGET/accepting"
}

# Has cosign sign, with a key that openssl cannot read; one repository after another, since lists of what hangs on an image are written
# one at a time, but two repositories at once.
accept_cosign() { # registry key
  local path digest running=0 code=0
  local -A digests=()
  while IFS=$'\t' read -r path digest; do digests[$path]+=" $digest"; done <"$TARGET/unsigned"
  (
    document_password "$2"
    for path in "${!digests[@]}"; do
      if ((running >= 2)); then
        wait -n || code=$?
        running=$((running - 1))
      fi
      ((code == 0)) || break
      # shellcheck disable=SC2086  # digests
      images_sign "$1/$path" "$2" import ${digests[$path]} &
      running=$((running + 1))
    done
    while ((running)); do
      wait -n || code=$?
      running=$((running - 1))
    done
    exit "$code"
  ) || exit
}

# Moves the names of images that are whole. What was there before is written down first; if one cannot be moved, those that were go back.
accept_tags() { # stream serial
  local journal=$STREAM_HOME/moves code=0
  # What was asked before the first write may be long ago.
  target_tags "$TEMPORARY/marks/receipt.json"
  awk -F '\t' -v OFS='\t' -v ready="$TARGET/ready" -v places="$TARGET/places" '
    FILENAME == ready { whole[$1] = 1; next }
    FILENAME == places { if ($1 in whole && $3 == "manifests") inside[$2, $4] = 1; next }
    ($1, $4) in inside' "$TARGET/ready" "$TARGET/places" "$TARGET/moves" >"$TARGET/moving"
  [[ -s $TARGET/moving ]] || return 0
  accept_bytes
  {
    [[ ! -e $STREAM_HOME/named ]] || cat "$STREAM_HOME/named"
    cut -f 1,4 "$TARGET/moving"
  } | sort -u | mark_keep named
  # An import comes in several runs, stopped ones or one for each medium: where a name pointed before the first of them counts.
  {
    printf '# %s %s %s\n' "$1" "$2" "$(trust_now)"
    {
      if [[ -e $journal && $(head -n 1 "$journal") == "# $1 $2 "* ]]; then grep -v '^#' "$journal" || true; fi
      cut -f 1-5 "$TARGET/moving"
    } | awk -F '\t' '!seen[$1, $2]++'
  } | mark_keep moves
  (awk -F '\t' -v OFS='\t' -v folder="$TARGET/tag-new" '{ d = $4; sub(/^sha256:/, "", d); print $1, $2, $5, folder "/" d }' "$TARGET/moving" | registry_put) || code=$?
  if ((code != 0)); then
    say "not every name could be moved: those that were go back"
    (accept_back "$TARGET/moving") || fail "$code" "not all names are back where they were: bundle undo, when the registry is well; everything else is inside"
    fail "$code" "no name was moved; everything else is inside: run the same import again"
  fi
}

# Gets the bytes of manifests that names will point to, by digest from the registry itself.
accept_bytes() {
  mkdir -p "$TARGET/tag-new"
  cut -f 1,4 "$TARGET/moving" | sort -u >"$TARGET/tag-wanted"
  awk -F '\t' -v OFS='\t' -v accept="$registry_accepts" -v folder="$TARGET/tag-new" '{ d = $2; sub(/^sha256:/, "", d); print NR, "GET", $1 "/manifests/" $2, accept, folder "/" d }' \
    "$TARGET/tag-wanted" | registry_run "$registry_jobs/answers"
  local file
  for file in "$TARGET/tag-new"/*; do [[ $(trust_hash "$file") == "${file##*/}" ]] || fail 69 "sha256:${file##*/} cannot be read back"; done
}

# Puts names back where they pointed before the moves of a journal; a name that was not there before stays, since registries cannot take
# away a name alone.
accept_back() { # journal
  local work=$TARGET/back stay
  mkdir -p "$work"
  grep -v '^#' "$1" >"$work/moves"
  stay=$(awk -F '\t' '$3 == "-"' "$work/moves" | wc -l)
  awk -F '\t' '$3 != "-"' "$work/moves" >"$work/lines"
  awk -F '\t' -v OFS='\t' -v accept="$registry_accepts" -v folder="$work" '{ d = $3; sub(/^sha256:/, "", d); print NR, "GET", $1 "/manifests/" $3, accept, folder "/" d }' "$work/lines" |
    registry_run "$registry_jobs/answers"
  local path tag was file
  while IFS=$'\t' read -r path tag was _; do
    file=$work/${was#sha256:}
    [[ -e $file && $(trust_hash "$file") == "${was#sha256:}" ]] || fail 69 "$path: $was, where $tag pointed, cannot be read any more"
    printf '%s\t%s\t%s\t%s\n' "$path" "$tag" "$(jq -r '.mediaType // "application/vnd.oci.image.manifest.v1+json"' "$file")" "$file"
  done <"$work/lines" >"$work/puts"
  registry_put <"$work/puts"
  say "$(wc -l <"$work/puts") names are back where they were$( ((stay == 0)) || printf ', %d were new and stay' "$stay")"
}
