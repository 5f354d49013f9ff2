# shellcheck shell=bash
# shellcheck disable=SC2034  # what it finds is read by callers
# Breaking the glass: a signed document (FILE and FILE.sig) that lets one namespace or one image break named rules until a time, a day
# away at most. It ends by itself. BREAK_GLASS/log.jsonl has every opening and closing, each line with the hash of the one before, and every
# document with the head that it followed, signed. Needs document.sh, trust.sh (trust_open) and register.sh; policy/break-glass.md is the manual.

BREAK_GLASS=${BREAK_GLASS:-$LOCAL/break-glass}
# Longer is no emergency.
break_glass_most=86400

# What covers: a line each, "ID UNTIL namespace|image NAME RULES" with tabs, and by id the reason.
break_glass_lines=()
declare -gA break_glass_reasons=()
# What covered the last one that was asked about, and the words that say so.
BREAK_GLASS_ID='' BREAK_GLASS_WHY=''
# What a log amounts to, once break_glass_log has read it.
BREAK_GLASS_COUNT=0 BREAK_GLASS_HEAD=''

# Prints the rules that can be broken, one a line: what cannot be read is nothing that could be let through.
break_glass_rules() { awk -F '\t' '/^[a-z]/ && $1 != "input" { print $1 }' "$ROOT/policy/rules.tsv"; }

# Prints what is wrong with the form of a document, a sentence a line.
break_glass_form() { # file
  jq -rn -L "$ROOT/scripts/lib" --argjson most "$break_glass_most" --arg rules "$(break_glass_rules)" 'include "break_glass"; [inputs]
    | if length == 1 then .[0] | glass_faults($rules | split("\n"); $most)[] else "it is not one JSON object" end' "$1" 2>/dev/null || echo "it is no JSON"
}

# Fails with 65 unless a document is well-formed and signed by a key for breaking the glass. With `ever` the key may have ended since.
break_glass_believed() { # file signature [ever]
  local why signer
  document_is "$1" break-glass/v1 "$(trust_audience)" break-glass
  why=$(break_glass_form "$1")
  [[ ! $why ]] || fail 65 "$1 opens nothing: ${why%%$'\n'*}"
  signer=$(jq -r .signer "$1")
  if ! trust_judge "$signer" break-glass ""; then
    [[ ${3:-} && ${TRUST_ROWS[$signer]:-} && $(cut -f 3 <<<"${TRUST_ROWS[$signer]}") == break-glass ]] || fail 65 "$1 opens nothing: $TRUST_WHY"
    TRUST_ID=$signer
  fi
  if [[ ! -f $2 ]] || ! document_signed "$1" "$2" "$TRUST_KEYS/$TRUST_ID.pub"; then fail 65 "$1 opens nothing: it is not signed by key $TRUST_ID"; fi
}

# Reads documents that shall let something through from now on. Fails with 65 for one that is not to be believed, is over, or was closed here.
break_glass_load() { # file…
  local file copy id from until now closed
  for file in "$@"; do
    [[ -f $file && -f $file.sig ]] || fail 66 "there is no $file with its signature $file.sig"
    # What was verified is what is used.
    copy=$(mktemp -d)
    if ! cp "$file" "$copy/${file##*/}" || ! cp "$file.sig" "$copy/sig"; then fail 74 "$file cannot be read"; fi
    break_glass_believed "$copy/${file##*/}" "$copy/sig"
    read -r id from until < <(jq -r '"\(.id) \(.from) \(.until)"' "$copy/${file##*/}")
    now=$(trust_now)
    [[ ! $now < $from ]] || fail 65 "$file opens nothing before $from (here it is $now)"
    [[ $now < $until ]] || fail 65 "$file opens nothing since $until: its time is over"
    closed=$(jq -rR --arg id "$id" 'fromjson? | select(.event == "close" and .id == $id) | .time' "$BREAK_GLASS/log.jsonl" 2>/dev/null | head -n 1) || true
    [[ ! $closed ]] || fail 65 "$file opens nothing: $id was closed at $closed"
    break_glass_lines+=("$(jq -r '[.id, .until, (.covers | to_entries[0] | .key, .value), (.rules | join(","))] | join("\t")' "$copy/${file##*/}")")
    break_glass_reasons[$id]=$(jq -r .reason "$copy/${file##*/}")
    rm -rf "$copy"
  done
}

# Whether a rule may be broken by an image (empty for what is said of no image) in a namespace (empty where there is none) at this moment.
# Returns 1 when not; sets BREAK_GLASS_ID and BREAK_GLASS_WHY when it may.
break_glass_covers() { # reference rule [namespace]
  local line id until kind name rules now
  BREAK_GLASS_ID='' BREAK_GLASS_WHY=''
  now=$(trust_now)
  for line in "${break_glass_lines[@]}"; do
    IFS=$'\t' read -r id until kind name rules <<<"$line"
    [[ $now < $until && $2 != *,* && ,$rules, == *",$2,"* ]] || continue
    if [[ ($kind == namespace && $name == "${3:-}") || ($kind == image && $name == "$1") ]]; then
      BREAK_GLASS_ID=$id BREAK_GLASS_WHY="the glass is broken until $until: ${break_glass_reasons[$id]} ($id)"
      return 0
    fi
  done
  return 1
}

# Prints what break_glass_load read, for programs: a list of {id, until, namespace or image, rules, reason}.
break_glass_json() {
  local line
  for line in "${break_glass_lines[@]}"; do printf '%s\t%s\n' "$line" "${break_glass_reasons[${line%%$'\t'*}]}"; done |
    jq -Rnc '[inputs | split("\t") | {id: .[0], until: .[1], (.[2]): .[3], rules: (.[4] | split(",")), reason: .[5]}]'
}

# Fails with 65 unless every line of a log follows the one before, and every document in it is signed and followed the line before it. A head
# known from elsewhere (one that was printed) must be one of its lines. Sets BREAK_GLASS_COUNT and BREAK_GLASS_HEAD.
break_glass_log() { # file [known-head]
  local work line n why=''
  BREAK_GLASS_COUNT=0 BREAK_GLASS_HEAD=''
  if [[ -s $1 ]]; then
    [[ $(tail -c 1 "$1" | od -An -tx1) == ' 0a' ]] || fail 65 "the last line of $1 is cut off"
    work=$(mktemp -d)
    register_hashes "$1" >"$work/hashes" || fail 69 "$1 cannot be read here: is there room in ${TMPDIR:-/tmp}?"
    jq -rc '[.n, .previous, (.event | IN("open", "close")), (.id | type == "string")] | tojson' "$1" >"$work/said" 2>/dev/null || fail 65 "$1 was altered: a line is no JSON"
    why=$(paste -d ' ' "$work/hashes" "$work/said" | awk '{ wanted = sprintf("[%d,\"%s\",true,true]", NR, before) }
      NF != 3 || $3 != wanted { printf "line %d does not follow the one before it", NR; exit } { before = "sha256:" $2 }')
    [[ ! $why ]] || fail 65 "$1 was altered: $why"
    BREAK_GLASS_COUNT=$(wc -l <"$work/hashes")
    BREAK_GLASS_HEAD=$(awk 'END { print "sha256:" $2 }' "$work/hashes")
    while IFS= read -r line; do
      n=$(jq -r .n <<<"$line")
      jq -r .document <<<"$line" | base64 -d >"$work/line-$n" 2>/dev/null || fail 65 "$1 was altered: line $n has no document"
      jq -r .signature <<<"$line" >"$work/line-$n.sig"
      (break_glass_believed "$work/line-$n" "$work/line-$n.sig" ever) 2>"$work/why" || fail 65 "$1 was altered: the document of line $n is not to be believed: $(sed "s|$work/||" "$work/why")"
      jq -e --argjson line "$line" '.id == $line.id and .follows == {lines: ($line.n - 1), head: $line.previous}' "$work/line-$n" >/dev/null ||
        fail 65 "$1 was altered: the document of line $n followed another line than the one before it"
    done < <(jq -c 'select(.event == "open")' "$1")
    if [[ ${2:-} ]] && ! grep -qx "[0-9]* ${2#sha256:}" "$work/hashes"; then fail 65 "the head $2, known from elsewhere, is no line of $1: it was rewritten or shortened"; fi
    rm -rf "$work"
  elif [[ ${2:-} ]]; then
    fail 65 "$1 is empty, and the head $2 was known: it was rewritten or shortened"
  fi
}

# Appends a line to the log that break_glass_log has read: JSON without number and predecessor. The caller holds the lock.
break_glass_append() { # json
  local log=$BREAK_GLASS/log.jsonl
  {
    { [[ ! -s $log ]] || cat "$log"; } &&
      jq -cS --argjson n $((BREAK_GLASS_COUNT + 1)) --arg previous "$BREAK_GLASS_HEAD" --arg time "$(trust_now)" '. + {n: $n, previous: $previous, time: $time}' <<<"$1"
  } >"$log.new" || fail 73 "$log.new cannot be written: nothing was opened or closed"
  mv "$log.new" "$log" || fail 73 "$log cannot be written: nothing was opened or closed"
  BREAK_GLASS_COUNT=$((BREAK_GLASS_COUNT + 1))
  BREAK_GLASS_HEAD=sha256:$(tail -n 1 "$log" | sha256sum | cut -d ' ' -f 1)
}

# Runs a command while nobody else on this machine reads or writes the log.
break_glass_locked() { # command…
  mkdir -p "$BREAK_GLASS" || fail 73 "$BREAK_GLASS cannot be made"
  (
    exec 8>"$BREAK_GLASS/lock" || fail 73 "$BREAK_GLASS/lock cannot be written"
    flock --timeout 60 8 || fail 75 "somebody else has been at $BREAK_GLASS for a minute"
    "$@"
  )
}

# Prints a line of JSON for each that was opened: the document, its state (open, over, closed), and where it lies.
break_glass_state() {
  [[ -s $BREAK_GLASS/log.jsonl ]] || return 0
  jq -sc --arg now "$(trust_now)" --arg folder "$BREAK_GLASS" '(map(select(.event == "close") | {(.id): .}) | add // {}) as $closed
    | .[] | select(.event == "open") | (.document | @base64d | fromjson) | . + {file: "\($folder)/\(.id).json", state: (if $closed[.id] then "closed" elif $now >= .until then "over" else "open" end)}
    + if $closed[.id] then {closed: ($closed[.id] | {time, by, reason})} else {} end' "$BREAK_GLASS/log.jsonl"
}
