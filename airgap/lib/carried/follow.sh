# shellcheck shell=bash
# shellcheck disable=SC2030,SC2031,SC2034,SC2154  # TRUST is another in a subshell on purpose; TEMPORARY stands in airgap/bundle
# Takes over the trust file that a medium carries, if it leads on from the one that is believed here: its roots decide, and nothing else of
# the medium is looked at. Needs trust.sh, trust_show.sh and medium.sh.

# What a trust file with all its past may have.
follow_largest=$((16 * 1024 * 1024))

# Takes it over, or with --check says what would be different.
verb_follow() {
  local check='' dirs=() carried=$TEMPORARY/carried old=0 new pinned
  while (($#)); do
    case $1 in
      --check) check=1 ;;
      -*) misuse "follow does not know '$1'" ;;
      *) dirs+=("$1") ;;
    esac
    shift
  done
  follow_copy "$carried" "${dirs[@]}"
  # The one here counts as well, if it is sound: nobody goes back to what it left behind.
  if [[ -f $TRUST/trust.json ]]; then
    if (trust_copy "$TEMPORARY/here" && trust_follow) 2>"$TEMPORARY/why"; then
      old=$(jq .version "$TEMPORARY/here/trust.json")
    else
      say "the trust file here is not believed any more: $(trust_plain "$(<"$TEMPORARY/why")")"
    fi
  fi
  # What is remembered is altered last of all, so a copy stands in for it.
  [[ ! -f $TRUST_PIN ]] || cp "$TRUST_PIN" "$TEMPORARY/pin" || fail 74 "$TRUST_PIN cannot be read"
  pinned=$TRUST_PIN
  (TRUST=$carried TRUST_PIN=$TEMPORARY/pin && trust_copy "$TEMPORARY/there" && trust_follow) 2>"$TEMPORARY/why" || {
    local code=$?
    # Words of the file may be in it, and those are anybody's.
    LC_ALL=C tr -cd '[:print:]\n' <"$TEMPORARY/why" | sed "s|$TEMPORARY/pin|$pinned|; s|$TEMPORARY/there/|what is carried: |; s|$carried/|what is carried: |" >&2
    exit "$code"
  }
  new=$(jq .version "$TEMPORARY/there/trust.json")
  ((new >= old)) || fail 65 "the trust file that is carried is version $new, older than version $old here: bring the newer one"
  if ((new == old)); then
    say "version $new for $(TRUST_COPY=$TEMPORARY/there && trust_audience) is believed here already"
    return
  fi
  [[ ! -f $TRUST/next.json ]] || cmp -s "$TRUST/next.json" "$TEMPORARY/there/trust.json" ||
    fail 65 "a draft waits for signatures in $TRUST: put it in force, or forget it with scripts/trust drop, then follow"
  follow_changes "$old"
  if [[ $check ]]; then
    say "version $new would be taken over"
    return
  fi
  follow_write "$old" "$new"
  trust_copy "$TEMPORARY/taken"
  trust_follow
  say "version $new for $(trust_audience) is believed from now on"
}

# Copies the trust file of the one medium that has it; nothing but what belongs to one, and no link.
follow_copy() { # folder dir…
  local into=$1 dir found='' file size total=0
  shift
  (($#)) || misuse "follow wants the folder of a medium"
  while IFS= read -r -d '' dir; do
    [[ -e $dir/files/trust || -L $dir/files/trust ]] || continue
    [[ ! $found ]] || fail 65 "$found and $dir both carry a trust file: name one of them"
    found=$dir
  done < <(follow_places "$@")
  [[ $found ]] || fail 66 "no trust file is carried there: files/trust is missing"
  mkdir -p "$into/history" "$into/signatures" || fail 73 "$into cannot be made"
  [[ ! -L $found/files && ! -L $found/files/trust && ! -L $found/files/trust/history && ! -L $found/files/trust/signatures ]] || fail 65 "$found/files/trust has a link, and a medium has none"
  for file in "$found"/files/trust/{trust.json,history/*.json,signatures/*.sig}; do
    [[ -e $file || -L $file ]] || continue
    [[ ${file#"$found/files/trust/"} =~ ^(trust\.json|history/[1-9][0-9]{0,8}\.json|signatures/[1-9][0-9]{0,8}\.[a-z0-9-]{1,63}\.sig)$ ]] || continue
    [[ ! -L $file && -f $file ]] || fail 65 "$file is no file: a medium has no links"
    size=$(stat -c %s "$file") && total=$((total + size))
    ((total <= follow_largest)) || fail 65 "$found/files/trust is larger than any trust file"
    cp "$file" "$into/${file#"$found/files/trust/"}" || fail 74 "$file cannot be read"
  done
  [[ -f $into/trust.json ]] || fail 66 "$found carries no whole trust file: files/trust/trust.json is missing"
}

# Prints the folders that may be media, each with a zero byte after it. No other file of a medium is needed here.
follow_places() { # dir…
  local dir inner
  for dir in "$@"; do
    [[ -d $dir ]] || fail 66 "there is no folder $dir: is the medium mounted?"
    printf '%s\0' "$dir"
    for inner in "$dir"/medium-*; do
      if [[ -d $inner && ! -L $inner && ${inner##*/} =~ ^medium-[1-9][0-9]{0,3}$ ]]; then printf '%s\0' "$inner"; fi
    done
  done
}

# Says what will be different.
follow_changes() { # old-version
  local code=0
  : >"$TEMPORARY/before"
  (($1 == 0)) || trust_list "$TEMPORARY/here/trust.json" >"$TEMPORARY/before"
  trust_list "$TEMPORARY/there/trust.json" >"$TEMPORARY/after"
  diff --unchanged-line-format= --old-line-format='- %L' --new-line-format='+ %L' "$TEMPORARY/before" "$TEMPORARY/after" || code=$?
  ((code < 2)) || fail 69 "what would be different could not be shown, so nothing is taken over"
}

# Puts it in the place of the one here: its past and signatures first, then the file itself. The last rename is the moment.
follow_write() { # old-version new-version
  local part file number
  mkdir -p "$TRUST/history" "$TRUST/signatures" || fail 73 "$TRUST cannot be made"
  for file in "$TEMPORARY/there"/history/*.json "$TEMPORARY/there"/signatures/*.sig; do
    [[ -f $file ]] || continue
    part=${file#"$TEMPORARY/there/"}
    number=${part##*/} && number=${number%%.*}
    # What is remembered of versions that are believed here stays as it is.
    if ((number > $2)) || { [[ -e $TRUST/$part ]] && ((number < $1 || (number == $1 && $1 > 0))); }; then continue; fi
    { cp "$file" "$TRUST/$part.new" && mv "$TRUST/$part.new" "$TRUST/$part"; } 2>/dev/null || fail 73 "$TRUST/$part cannot be written"
  done
  { cp "$TEMPORARY/there/trust.json" "$TRUST/trust.json.new" && mv "$TRUST/trust.json.new" "$TRUST/trust.json"; } 2>/dev/null || fail 73 "$TRUST/trust.json cannot be written"
  rm -f "$TRUST/next.json"
}
