# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # import_… are import.sh's, MEDIUM_… medium.sh's, TARGET target.sh's
# What of a bundle is inside now: asked of the registry, of exactly the repositories that the bundle's images are in, and of no other.
# Beside the tables of target.sh, below TARGET, apart by tabs:
#   subjects   path, digest of what something may hang on, import where a countersignature must
#   unlisted   path, digest of what it hangs on, digest      (in no list of what hangs on it)
#   extra      tag or referrer, path, tag or digest, digest of what it hangs on or -
#   faults     kind, path, digest, detail: missing and damaged (manifests or blobs), unlisted (what it hangs on), gone (tag), elsewhere
#              (tag, space, where it points), unsigned and unknown (why)

# Tells what is missing, damaged or not ours.
verb_status() {
  local manifest='' deep='' need='' words=()
  while (($#)); do
    case $1 in
      --manifest)
        [[ ${2:-} ]] || misuse "--manifest wants a file, with its signature beside it in FILE.sig"
        manifest=$2
        shift
        ;;
      --deep) deep=1 ;;
      --need) need=1 ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  import_parse "${words[@]}"
  [[ ! $need || $import_form == table ]] || misuse "--need is read aloud: --json has all of it without"
  trust_open "$TEMPORARY/keys"
  registry_open "$import_to" "$TEMPORARY/registry"
  status_bundle "$manifest"
  status_look "$deep"
  if [[ $need ]]; then
    need_list
  elif [[ $import_form == json ]]; then
    status_json "$deep"
  else
    status_table "$deep"
  fi
  return "$(status_code)"
}

# Looks at everything; leaves the tables.
status_look() { # deep-or-nothing
  target_tables
  import_paths
  target_ask
  target_points
  status_hanging
  status_tags
  status_extra
  : >"$TARGET/wrong"
  if [[ $1 ]]; then
    say "reading all of it: $(awk -F '\t' '!seen[$2, $4]++ { sum += $5; n++ } END { printf "%d things, %.0f", n, sum }' "$TARGET/places" | numfmt --to=si --field=3)B"
    cut -f 2-5 "$TARGET/places" | registry_read "$TARGET/wrong"
  fi
  status_faults
}

# Asks of every image, of the images of each index and of what has something hanging on it, what hangs there now and who signed it.
status_hanging() {
  local n=0 path digest what references=() list code
  awk -F '\t' -v OFS='\t' 'FILENAME ~ /places$/ { if ($3 == "manifests" && ($8 == "image" || $8 == "child") && !seen[$2, $4]++) print $2, $4, "import"; next }
    !seen[$1, $2]++ { print $1, $2, "-" }' "$TARGET/places" "$TARGET/hanging" >"$TARGET/subjects"
  while IFS=$'\t' read -r path digest what; do references+=("$import_to/$path@$digest"); done <"$TARGET/subjects"
  rm -rf "$TARGET/look" && mkdir -p "$TARGET/look"
  ((${#references[@]} == 0)) || sign_gather "$TARGET/look" "${references[@]}"
  : >"$TARGET/lists-asked" && : >"$TARGET/unsigned"
  while IFS=$'\t' read -r path digest what; do
    n=$((n + 1)) code=0 list=fallback
    # Whoever has a list of its own is asked for no other.
    [[ ${REGISTRY_STATUS["$TARGET/look/$n/referrers"]:-} != 200 ]] || list=referrers
    printf '%s\t%s\t%s\n' "$TARGET/look/$n/$list" "$path" "$digest" >>"$TARGET/lists-asked"
    if [[ $what == import ]]; then
      sign_verdict_of "$TARGET/look/$n" "$import_to/$path" import || code=$?
      if ((code == 65)); then printf 'unsigned\t%s\t%s\t%s\n' "$path" "$digest" "$SIGN_WHY"; fi >>"$TARGET/unsigned"
    fi
    if ((code == 69)) || [[ -s $TARGET/look/$n/unsure ]]; then
      read -r SIGN_WHY < <(cat "$TARGET/look/$n/unsure" && cut -d ' ' -f 2- "$TARGET/look/$n/outcome")
      printf 'unknown\t%s\t%s\twhat hangs on it: %s\n' "$path" "$digest" "$SIGN_WHY" >>"$TARGET/unsigned"
    fi
  done <"$TARGET/subjects"
  awk -F '\t' -v OFS='\t' 'FILENAME ~ /lists-asked$/ { of[$1] = $2 OFS $3; next } $1 in of && $2 != "!" { print of[$1], $2 }' \
    "$TARGET/lists-asked" "$TARGET/look/lists" | sort -u >"$TARGET/listed"
  awk -F '\t' -v OFS='\t' 'FILENAME ~ /listed$/ { listed[$1, $2, $3] = 1; next } !(($1, $2, $3) in listed) { print $1, $2, $3 }' "$TARGET/listed" "$TARGET/hanging" >"$TARGET/unlisted"
}

# Writes down all names in the repositories. Registries give them in pages, or all at once whatever they are asked for: the next page is
# asked for until nothing new comes.
status_tags() {
  local strange
  : >"$TARGET/names"
  awk -F '\t' '{ print $2 }' "$TARGET/images" | sort -u >"$TARGET/names-left"
  while [[ -s $TARGET/names-left ]]; do
    rm -rf "$TARGET/pages" && mkdir -p "$TARGET/pages"
    awk -F '\t' -v OFS='\t' -v folder="$TARGET/pages" '{ print NR, "GET", $1 "/tags/list?n=1000" (NF > 1 ? "&last=" $2 : ""), "-", folder "/" NR }' "$TARGET/names-left" |
      registry_run "$registry_jobs/answers"
    strange=$(awk -v all="$(wc -l <"$TARGET/names-left")" '{ n++ } $2 !~ /^(200|404)$/ || $2 == "200" && $3 != 0 { print $2, $3; exit } END { if (n < all) print "000 0" }' "$registry_jobs/answers" | head -n 1)
    if [[ $strange ]]; then
      # shellcheck disable=SC2086  # status and code
      registry_judge $strange || true
      fail "$REGISTRY_CODE" "the names in $import_to cannot be listed: $REGISTRY_FAULT"
    fi
    awk '$2 == "200" { print $1 }' "$registry_jobs/answers" | sort -n | sed "s|^|$TARGET/pages/|" >"$TARGET/pages-come"
    status_page >"$TARGET/pages-say"
    awk -F '\t' -v OFS='\t' -v left="$TARGET/names-left" -v names="$TARGET/names" '
      FILENAME == left { path[FNR] = $1; next }
      FILENAME == names { known[$1, $2] = 1; next }
      { n = $1; sub(/.*\//, "", n) }
      !((path[n], $2) in known) { known[path[n], $2] = 1; print path[n], $2 }' "$TARGET/names-left" "$TARGET/names" "$TARGET/pages-say" >"$TARGET/names-new"
    cat "$TARGET/names-new" >>"$TARGET/names"
    awk -F '\t' -v OFS='\t' '{ last[$1] = $2 } END { for (path in last) print path, last[path] }' "$TARGET/names-new" >"$TARGET/names-left"
  done
}

status_page() {
  local files
  mapfile -t files <"$TARGET/pages-come"
  sign_read '.tags // [] | .[] | strings | select(test("\\A[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\\z"))' "${files[@]}" || sign_broken
}

# Finds what is in these repositories and neither in the manifest nor made by us: names, and things that hang on our images.
status_extra() {
  # What we signed inside: by repository and digest.
  find "$TARGET/look" -name found -size +0 -print0 | xargs -0r cat | awk -F '\t' -v OFS='\t' -v table="$TRUST_KEYS/table" '
    BEGIN { while ((getline line < table) > 0) { split(line, part, "\t"); purpose[part[1]] = part[3] } }
    ($3 == "import" || $3 == "promotion") && purpose[$1] == $3 { file = $5; sub(/\.bundle$/, ".digest", file); getline digest < file; close(file); print $4, digest }' >"$TARGET/made"
  awk -F '\t' -v OFS='\t' -v to="$import_to/" -v folder="$TARGET/" -v roots="^_$import_stream-[0-9]+$" '
    FILENAME == folder "places" { if ($3 == "manifests") ours[$2, substr($4, 8)] = 1; next }
    FILENAME == folder "hanging" { hung[$1, $2, $3] = 1; next }
    FILENAME == folder "made" { made[$1, $2] = 1; next }
    FILENAME == folder "tags" { tagged[$1, $2] = 1; next }
    FILENAME == folder "listed" { if (!(($1, $2, $3) in hung) && !((to $1, $3) in made)) print "referrer", $1, $3, $2; ours[$1, substr($3, 8)] = 1; next }
    { hex = $2 ~ /^sha256-/ ? substr($2, 8, 64) : "" }
    !(($1, $2) in tagged) && !(($1, hex) in ours && $2 == "sha256-" hex) && $2 !~ roots { print "tag", $1, $2, "-" }' \
    "$TARGET/places" "$TARGET/hanging" "$TARGET/made" "$TARGET/tags" "$TARGET/listed" "$TARGET/names" >"$TARGET/extra"
  [[ ! -s $TARGET/extra ]] || status_before
}

# Takes out of what is extra all that earlier bundles brought, of this stream or of another, as this host remembers them.
status_before() {
  local folder=${STREAM_HOME%/*}
  # shellcheck disable=SC2016  # jq's
  find "$folder" -path '*/manifests/*.json' -type f -print0 2>/dev/null | xargs -0r jq -r '.images[]? | .path as $path | (select(.tag) | "tag\t\($path)\t\(.tag)"),
    (.manifests[]? | "manifest\t\($path)\t\(.digest)", (select(.kind == "referrer") | "referrer\t\($path)\t\(.digest)"), (select(.tag) | "tag\t\($path)\t\(.tag)"))' >"$TARGET/before" 2>/dev/null || true
  find "$folder" -mindepth 1 -maxdepth 1 -type d -printf 'stream\t%f\n' 2>/dev/null >>"$TARGET/before" || true
  awk -F '\t' -v OFS='\t' 'FILENAME ~ /before$/ { if ($1 == "stream") stream[$2] = 1; else known[$1, $2, $3] = 1; next }
    ($1, $2, $3) in known { next }
    $1 == "tag" && $3 ~ /^sha256-[0-9a-f]+$/ && ("manifest", $2, "sha256:" substr($3, 8)) in known { next }
    $1 == "tag" { root = $3; if (sub(/^_/, "", root) && sub(/-[0-9]+$/, "", root) && root in stream) next }
    { print }' "$TARGET/before" "$TARGET/extra" >"$TARGET/extra.new"
  mv "$TARGET/extra.new" "$TARGET/extra"
}

# Writes down all faults together, each once; of what is not there nothing else is said.
status_faults() {
  awk -F '\t' -v OFS='\t' -v folder="$TARGET/" '
    function say(kind, path, digest, detail) { if (!told[kind, path, digest, detail]++) print kind, path, digest, detail }
    FILENAME == folder "places" { what[$2, $4] = $3; next }
    FILENAME == folder "missing" { say("missing", $1, $3, $2); away[$1, $3] = 1; next }
    FILENAME == folder "wrong" {
      if ($3 ~ /^unread/) say("unknown", $1, $2, "it cannot be read (" substr($3, 8) ")")
      else { say($3, $1, $2, what[$1, $2]); away[$1, $2] = 1 }
      next
    }
    FILENAME == folder "unlisted" { if (!(($1, $3) in away) && !(($1, $2) in away)) say("unlisted", $1, $3, $2); next }
    FILENAME == folder "moves" {
      if ($3 == "-") say("gone", $1, $4, $2)
      else if ($3 ~ /^\?/) say("unknown", $1, $4, "where " $2 " points (" substr($3, 2) ")")
      else say("elsewhere", $1, $4, $2 " " $3)
      next
    }
    !(($2, $3) in away) { say($1, $2, $3, $4) }' \
    "$TARGET/places" "$TARGET/missing" "$TARGET/wrong" "$TARGET/unlisted" "$TARGET/moves" "$TARGET/unsigned" >"$TARGET/faults"
}

# Prints what the whole ends with: what was altered counts before what is missing, before what cannot be known. Extra things harm nobody.
status_code() {
  awk -F '\t' '$1 ~ /^(damaged|elsewhere)$/ { code[65] = 1; next } $1 == "unknown" { code[69] = 1; next } { code[66] = 1 }
    END { print 65 in code ? 65 : 66 in code ? 66 : 69 in code ? 69 : 0 }' "$TARGET/faults"
}
