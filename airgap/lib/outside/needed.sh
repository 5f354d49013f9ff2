# shellcheck shell=bash
# shellcheck disable=SC2154  # TARGET is target.sh's, MEDIUM_… medium.sh's, import_… import.sh's
# What is needed from outside, as a list that can be dictated by telephone, and read back there against the manifest:
#   mini 7
#   image 4 import/postgres
#   medium 2: b3f a20, 91c 044
#   check 52
# A thing is said by as many digits of its SHA-256, in groups of three, as no other thing of the bundle begins with, six at least; an image of
# which nothing is left, by its number. The check catches any one sign that was misheard, and any two neighbours that were swapped.

# Prints the list of what is missing or damaged.
need_list() {
  local words
  # A manifest that is damaged may be one that a registry cannot even give out.
  awk -F '\t' -v OFS='\t' -v folder="$TARGET/" '
    FILENAME == folder "faults" { if ($1 == "missing" || $1 == "damaged" || $1 == "unknown" && $4 ~ /^it cannot be read \(5/) wanted[$2, $3] = 1; next }
    FILENAME == folder "places" { line[++lines] = $0; image[lines] = $1; if (!(($2, $4) in wanted)) kept[$1] = 1; next }
    { path[$1] = $2; order[++images] = $1 }
    END {
      for (i = 1; i <= images; i++) if (!(order[i] in kept)) print "image", order[i], path[order[i]]
      for (i = 1; i <= lines; i++) { split(line[i], part, "\t"); if (!(image[i] in kept)) told[part[2], part[4]] = 1 }
      for (i = 1; i <= lines; i++) {
        split(line[i], part, "\t")
        if ((part[2], part[4]) in wanted && !((part[2], part[4]) in told) && !once[part[4]]++) print "thing", part[6], substr(part[4], 8)
      }
    }' "$TARGET/faults" "$TARGET/places" "$TARGET/images" >"$TARGET/need"
  if [[ ! -s $TARGET/need ]]; then
    printf '%s %s: nothing is needed\n' "$import_stream" "$MEDIUM_SERIAL"
    return
  fi
  jq -r '.blobs | keys[] | .[7:]' "$BUNDLE/manifest.json" | LC_ALL=C sort >"$TARGET/all"
  need_short | sort -s -t $'\t' -k 1,1 -k 2,2n >"$TARGET/words"
  words=$(need_words "$import_stream" "$MEDIUM_SERIAL" "$TARGET/words")
  printf '%s %s\n' "$import_stream" "$MEDIUM_SERIAL"
  awk -F '\t' '
    function spoken(digits,  out) { for (out = substr(digits, 1, 3); length(digits) > 3; out = out " " substr(digits, 1, 3)) digits = substr(digits, 4); return out }
    $1 == "image" { print "image " $2 " " $3; next }
    $2 != medium || !begun { if (begun) print line; medium = $2; begun = 1; line = ($2 == 0 ? "not carried" : "medium " $2) ": " spoken($3); next }
    { line = line ", " spoken($3) }
    END { if (begun) print line }' "$TARGET/words"
  printf 'check %s\n' "$(need_check "$words")"
}

# Prints the lines of `need`, with things by their first digits.
need_short() {
  LC_ALL=C awk -F '\t' -v OFS='\t' '
    function common(a, b,  i) { for (i = 1; i <= 64 && substr(a, i, 1) == substr(b, i, 1); i++); return i - 1 }
    FILENAME ~ /\/all$/ { all[FNR] = $1; at[$1] = FNR; next }
    $1 == "image" { print; next }
    {
      i = at[$3]; most = common($3, all[i - 1]); other = common($3, all[i + 1])
      if (other > most) most = other
      digits = most + 1
      if (digits < 6) digits = 6
      print $1, $2, substr($3, 1, int((digits + 2) / 3) * 3)
    }' "$TARGET/all" "$TARGET/need"
}

# Prints what the check is of, in the order in which it is said.
need_words() { awk -F '\t' -v line="$1 $2" '{ line = line " " ($1 == "image" ? "image " $2 : $3) } END { print line }' "$3"; } # stream serial words-file

# Prints two digits. The signs are the digits of a number of base 37, and this is what is left of it by 97, a prime: neither another sign
# in one place nor two neighbours swapped give the same.
need_check() { # words
  local signs=0123456789abcdefghijklmnopqrstuvwxyz rest=0 sign before i
  for ((i = 0; i < ${#1}; i++)); do
    sign=${1:i:1} before=${signs%%"${1:i:1}"*}
    [[ $sign == [a-z0-9] ]] && before=${#before} || before=36
    rest=$(((rest * 37 + before) % 97))
  done
  printf '%02d' "$rest"
}

# Understands such a list as it was heard, and says which things it means.
verb_needed() {
  local manifest='' json='' text=''
  while (($#)); do
    case $1 in
      --manifest)
        [[ ${2:-} ]] || misuse "--manifest wants a file, with its signature beside it in FILE.sig"
        manifest=$2
        shift
        ;;
      --json) json=1 ;;
      -*) misuse "needed does not know '$1'" ;;
      *) text+=" $1" ;;
    esac
    shift
  done
  [[ $text ]] || misuse "needed wants what was dictated: STREAM SERIAL, medium N: …, check NN"
  mkdir -p "$TEMPORARY/heard" || fail 73 "$TEMPORARY cannot be written"
  need_heard "$text"
  manifest=${manifest:-$AIRGAP_STATE/exports/$NEED_STREAM/$NEED_SERIAL.json}
  [[ -e $manifest ]] || fail 66 "$manifest is not there: name the manifest of serial $NEED_SERIAL of stream $NEED_STREAM by --manifest"
  trust_open "$TEMPORARY/keys"
  # The exporter may speak for others than are meant by its own trust file.
  status_alone "$manifest" "$(jq -r '.audience // "" | strings' "$manifest" 2>/dev/null || true)"
  [[ $NEED_STREAM == "$MEDIUM_STREAM" && $NEED_SERIAL == "$MEDIUM_SERIAL" ]] ||
    fail 65 "the list is of $NEED_STREAM $NEED_SERIAL, and $manifest is $MEDIUM_STREAM $MEDIUM_SERIAL: ask for the first line once more"
  need_meant
  need_told "$json"
}

# Takes the words apart into `words`: image, number, path or -; thing, medium or -, digits.
need_heard() { # text
  local part='' medium=- digits='' tokens i
  NEED_STREAM='' NEED_SERIAL='' NEED_CHECK=''
  # Lines end what was being said, as commas do.
  read -ra tokens -d '' < <(tr '[:upper:]' '[:lower:]' <<<"$1" | sed 's/[.,;:]/ , /g; s/$/ , /; s/[^ -~]/?/g' && printf '\0') || true
  : >"$TEMPORARY/heard/words"
  for ((i = 0; i < ${#tokens[@]}; i++)); do
    part=${tokens[i]}
    if [[ ! $NEED_STREAM ]]; then
      if [[ $part =~ ^(,|stream)$ ]]; then continue; fi
      [[ $part =~ ^[a-z0-9]+(-[a-z0-9]+)*$ ]] || fail 65 "the list begins with the stream and the serial, as 'mini 7', and not with '$part'"
      NEED_STREAM=$part
    elif [[ ! $NEED_SERIAL ]]; then
      if [[ $part =~ ^(,|serial)$ ]]; then continue; fi
      [[ $part =~ ^[1-9][0-9]{0,8}$ ]] || fail 65 "after the stream $NEED_STREAM comes its serial, a number, and not '$part'"
      NEED_SERIAL=$part
    elif [[ $part =~ ^[0-9a-f]{3}$ ]]; then
      digits+=$part
    else
      need_thing "$medium" "$digits" && digits=
      case $part in
        , | and) ;;
        image | medium | check)
          i=$((i + 1))
          [[ ${tokens[i]:-} =~ ^[0-9]{1,9}$ ]] || fail 65 "after '$part' comes a number, and not '${tokens[i]:-nothing}'"
          need_number "$part" "${tokens[i]}" "${tokens[i + 1]:-}"
          ;;
        not) medium=0 ;;
        carried | *[a-z0-9]/[a-z0-9]*) ;;
        *)
          [[ $part =~ ^[0-9a-f]{6,64}$ ]] || fail 65 "'$part' is no word of such a list: ask for it once more"
          need_thing "$medium" "$part"
          ;;
      esac
    fi
  done
  need_thing "$medium" "$digits"
  [[ $NEED_SERIAL ]] || fail 65 "the list begins with the stream and the serial, as 'mini 7'"
  [[ $NEED_CHECK ]] || fail 65 "the list ends with 'check' and two digits: ask for them"
}

# Notes what a number says.
need_number() { # image|medium|check number next-token
  case $1 in
    image) printf 'image\t%d\t%s\n' "$((10#$2))" "$([[ $3 == */* ]] && echo "$3" || echo -)" >>"$TEMPORARY/heard/words" ;;
    medium) medium=$((10#$2)) ;;
    check) NEED_CHECK=$2 ;;
  esac
}

# Notes a thing, if there is one.
need_thing() { # medium digits
  [[ $2 ]] || return 0
  ((${#2} >= 6)) || fail 65 "'$2' is too short: a thing is said by six digits or more. Ask for it once more"
  printf 'thing\t%s\t%s\n' "$1" "$2" >>"$TEMPORARY/heard/words"
}

# Finds out which things are meant; writes them to `meant` (medium, size, digits), images to `images`. Refuses what could be misheard.
need_meant() {
  local heard=$TEMPORARY/heard why words
  jq -r '(.images | to_entries[] | ["I", .key + 1, .value.path] | @tsv), (.images | to_entries[] | .key as $n | .value | (.manifests[].digest, .blobs[]) | ["B", $n + 1, .[7:]] | @tsv),
    (.blobs | to_entries[] | ["A", .value.medium, .value.size, .key[7:]] | @tsv)' "$BUNDLE/manifest.json" >"$heard/all"
  : >"$heard/meant"
  why=$(LC_ALL=C awk -F '\t' -v OFS='\t' -v bundle="$MEDIUM_STREAM $MEDIUM_SERIAL" -v out="$heard/meant" '
    function spoken(digits,  s) { for (s = substr(digits, 1, 3); length(digits) > 3; s = s " " substr(digits, 1, 3)) digits = substr(digits, 4); return s }
    $1 == "I" { path[$2] = $3; next }
    $1 == "B" { of[$2] = of[$2] " " $3; next }
    $1 == "A" { medium[$4] = $2; size[$4] = $3; six = substr($4, 1, 6); begins[six] = begins[six] " " $4; next }
    $1 == "image" {
      if (!($2 in path)) print "there is no image " $2 " in the bundle " bundle
      else if ($3 != "-" && $3 != path[$2]) print "image " $2 " of the bundle " bundle " is " path[$2] ", not " $3
      else { n = split(of[$2], some, " "); for (i = 1; i <= n; i++) meant[some[i]] = 1 }
      next
    }
    {
      n = split(begins[substr($3, 1, 6)], some, " "); found = ""; count = 0
      for (i = 1; i <= n; i++) if (index(some[i], $3) == 1) { found = some[i]; count++ }
      if (count == 0) print "nothing in the bundle " bundle " begins with " spoken($3)
      else if (count > 1) print count " things in the bundle " bundle " begin with " spoken($3) ": ask for more digits of it"
      else if ($2 != "-" && $2 != medium[found]) print spoken($3) " is " (medium[found] == 0 ? "not carried" : "on medium " medium[found]) ", and " ($2 == 0 ? "not carried" : "medium " $2) " was heard"
      else meant[found] = 1
    }
    END { for (hex in meant) print medium[hex], size[hex], hex > out }' "$heard/all" "$heard/words")
  [[ ! $why ]] || { say "$why" && fail 65 "the list was not understood: ask for the words above once more"; }
  words=$(need_words "$NEED_STREAM" "$NEED_SERIAL" "$heard/words")
  [[ $(need_check "$words") == "$NEED_CHECK" ]] || fail 65 "the check $NEED_CHECK does not belong to what was heard: ask for the list once more"
}

# Tells which files of which media these are.
need_told() { # json-or-nothing
  local heard=$TEMPORARY/heard
  sort -t $'\t' -k 1,1n -k 3,3 -o "$heard/meant" "$heard/meant"
  if [[ $1 ]]; then
    jq -n --arg stream "$MEDIUM_STREAM" --argjson serial "$MEDIUM_SERIAL" --rawfile meant "$heard/meant" '{$stream, $serial,
      needed: [$meant | split("\n")[] | select(. != "") | split("\t") | {digest: "sha256:\(.[2])", size: (.[1] | tonumber), medium: (.[0] | tonumber)} | if .medium > 0 then .file = "blobs/sha256/\(.digest[7:])" else . end]}'
    return
  fi
  {
    printf 'MEDIUM\tFILE\tSIZE\n'
    awk -F '\t' -v OFS='\t' '{ print $1 == 0 ? "none" : $1, ($1 == 0 ? "sha256:" : "blobs/sha256/") $3, $2 }' "$heard/meant"
  } | column -t -s $'\t'
  awk -F '\t' '$1 > 0 { n++; sum += $2 } $1 == 0 { inside++ } END {
    printf "%d things, %.0f bytes: carry the media again, or manifest.json, manifest.json.sig, SHA256SUMS, SHA256SUMS.sig of each with these files\n", n, sum
    if (inside) printf "%d were carried by an earlier bundle: export without --since\n", inside }' "$heard/meant"
}
