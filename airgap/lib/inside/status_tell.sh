# shellcheck shell=bash
# shellcheck disable=SC2154  # TARGET is target.sh's, import_… import.sh's, MEDIUM_… medium.sh's
# How it is told what of a bundle is inside. Needs status.sh.

# So many faults are told one by one; --json has all.
status_most=20

# Prints a table by image with a verdict each, and the sum; tells the faults one by one.
status_table() { # deep-or-nothing
  status_told
  {
    printf 'IMAGE\tNAME\tVERDICT\n'
    status_verdicts | awk -F '\t' -v OFS='\t' -v registry="$import_to" '{ print registry "/" $2 "@" substr($4, 1, 19) "..", $3, $5 }'
  } | column -t -s $'\t'
  awk -F '\t' -v stream="$import_stream" -v serial="$MEDIUM_SERIAL" -v folder="$TARGET/" -v deep="$1" '
    FILENAME == folder "verdicts" { images++; if ($5 == "whole") whole++; next }
    FILENAME == folder "extra" { extra[$1]++; next }
    { fault[$1]++ }
    END {
      printf "serial %s of stream %s: %d of %d images whole; missing: %d, damaged: %s, not listed: %d, names gone: %d, elsewhere: %d, not countersigned: %d", serial, stream, whole, images,
        fault["missing"], (deep || fault["damaged"] ? fault["damaged"] + 0 : "not looked for (--deep)"), fault["unlisted"], fault["gone"], fault["elsewhere"], fault["unsigned"]
      if (fault["unknown"]) printf ", not known: %d", fault["unknown"]
      printf "; not of ours: %d names, %d things that hang on images\n", extra["tag"], extra["referrer"]
    }' "$TARGET/verdicts" "$TARGET/extra" "$TARGET/faults"
}

# Prints the line of each image with its verdict; leaves them in `verdicts`.
status_verdicts() {
  awk -F '\t' -v OFS='\t' -v folder="$TARGET/" '
    BEGIN { n = split("missing damaged unlisted gone elsewhere unsigned unknown", kinds, " "); split("missing,damaged,not listed,names gone,names elsewhere,not countersigned,not known", words, ",") }
    FILENAME == folder "faults" { fault[$2, $3] = fault[$2, $3] " " $1; next }
    FILENAME == folder "places" { if (($2, $4) in fault) { m = split(fault[$2, $4], some, " "); for (i = 1; i <= m; i++) count[$1, some[i]]++ } next }
    {
      verdict = ""
      for (i = 1; i <= n; i++) if (count[$1, kinds[i]]) verdict = verdict (verdict == "" ? "" : ", ") count[$1, kinds[i]] " " words[i]
      print $1, $2, $3, $4, verdict == "" ? "whole" : verdict
    }' "$TARGET/faults" "$TARGET/places" "$TARGET/images" >"$TARGET/verdicts" || fail 73 "$TARGET cannot be written"
  cat "$TARGET/verdicts"
}

# Tells the faults, the worst first, and then what is extra.
status_told() {
  awk -F '\t' -v most="$status_most" -v folder="$TARGET/" '
    function tell(line) { if (++n <= most) print line }
    FILENAME == folder "extra" { tell($2 ": " ($1 == "tag" ? "the name " $3 " is not of ours" : $3 " hangs on " $4 " and is not of ours")); next }
    $1 == "missing" { tell($2 ": " $3 " is missing"); next }
    $1 == "damaged" { tell($2 ": " $3 " is damaged"); next }
    $1 == "unlisted" { tell($2 ": " $3 " is there, and no list says that it hangs on " $4); next }
    $1 == "gone" { tell($2 ": the name " $4 " is gone"); next }
    $1 == "elsewhere" { split($4, part, " "); tell($2 ": " part[1] " is " part[2] " and not " $3); next }
    $1 == "unsigned" { tell($2 ": " $3 " has no countersignature: " $4); next }
    { tell($2 ": " $3 ": " $4) }
    END { if (n > most) print "and " n - most " more: --json has all of them" }' "$TARGET/faults" "$TARGET/extra" >&2
}

# Prints the same as JSON.
status_json() { # deep-or-nothing
  status_verdicts >/dev/null
  jq -n --arg stream "$import_stream" --argjson serial "$MEDIUM_SERIAL" --arg manifest "sha256:$(trust_hash "$BUNDLE/manifest.json")" --arg registry "$import_to" --arg deep "$1" \
    --slurpfile bundle "$BUNDLE/manifest.json" --rawfile verdicts "$TARGET/verdicts" --rawfile faults "$TARGET/faults" --rawfile extra "$TARGET/extra" '
    def lines: split("\n") | map(select(. != "") | split("\t"));
    ($faults | lines | group_by(.[0]) | map({key: .[0][0], value: .}) | from_entries) as $by | $bundle[0].blobs as $blobs
    | def some($kind; f): [$by[$kind] // [] | .[] | {path: .[1], digest: .[2]} + f];
    def bytes: {kind: .[3]} + $blobs[.[2]];
    {$stream, $serial, $manifest, $registry, deep: ($deep != ""), whole: ($faults == ""),
     images: [$verdicts | lines[] | {reference: "\($registry)/\(.[1])@\(.[3])"} + (if .[2] == "-" then {} else {tag: .[2]} end) + {verdict: .[4]}],
     missing: some("missing"; bytes), damaged: some("damaged"; bytes), unlisted: some("unlisted"; {of: .[3]}), gone: some("gone"; {tag: .[3]}),
     elsewhere: some("elsewhere"; .[3] | split(" ") | {tag: .[0], now: .[1]}), unsigned: some("unsigned"; {why: .[3]}), unknown: some("unknown"; {why: .[3]}),
     extra: {names: [$extra | lines[] | select(.[0] == "tag") | {path: .[1], tag: .[2]}], referrers: [$extra | lines[] | select(.[0] == "referrer") | {path: .[1], digest: .[2], of: .[3]}]}}'
}
