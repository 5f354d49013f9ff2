# shellcheck shell=bash
# The trust file for people: a table, and a sheet to print for whoever meets it first.

# Prints the version in force, or the draft.
trust_show() {
  local file=$TRUST_COPY/trust.json form=table
  while (($#)); do
    case $1 in
      --draft) file=$TRUST_COPY/next.json ;;
      --json | --sheet) form=${1#--} ;;
      *) misuse "show does not know '$1'" ;;
    esac
    shift
  done
  if [[ $file == */trust.json && $form == sheet && ! -e $TRUST_PIN ]]; then
    [[ -f $file ]] || fail 66 "there is no $TRUST/trust.json"
    trust_sound "$file"
    say "this machine believes no trust file yet: compare what follows with the sheet on paper, then scripts/trust verify --sha256 HASH"
  elif [[ $file == */trust.json ]]; then trust_follow; else
    [[ -f $file ]] || fail 66 "there is no draft"
    trust_sound "$file"
  fi
  case $form in
    json) cat "$file" ;;
    sheet) trust_sheet "$file" ;;
    table) trust_table "$file" ;;
  esac
}

# Prints what is said of each key, apart by tabs: id, purpose, state, from, until, fingerprint, repositories, remark.
trust_rows() { # file
  local id work
  work=$(mktemp)
  while IFS= read -r id; do
    jq -j --arg id "$id" '[.roots.keys[], .keys[]][] | select(.id == $id).public' "$1" >"$work"
    jq -r --arg id "$id" --arg print "$(document_fingerprint "$work")" --arg now "$(trust_now)" '
      (.roots.keys[] | select(.id == $id) | [.id, "root", "-", "-", "-", $print, "-", "-"]),
      (.keys[] | select(.id == $id) | [.id, .purpose,
        if .revoked then "revoked \(.revoked.since)" elif .until <= $now then "ended" elif .from > $now then "not yet" else "valid" end,
        .from, .until, $print, (.repositories | join(" ") | if . == "" then "-" else . end), .revoked.reason // "-"]) | @tsv' "$1"
  done < <(jq -r '[.roots.keys[], .keys[]][].id' "$1")
  rm -f "$work"
}

# Prints the first line of a table or list.
trust_title() { # file
  jq -r '"version \(.version) for \(.audience), issued \(.issued); \(.roots.threshold) of \(.roots.keys | length) roots may change it"' "$1"
}

# Prints the file whole, a line a key: what changed is then what differs.
trust_list() { # file
  trust_title "$1"
  trust_rows "$1" | sed 's/\t/  /g'
}

# Prints the file as a table, fingerprints shortened.
trust_table() { # file
  trust_title "$1"
  {
    printf 'ID\tPURPOSE\tSTATE\tFROM\tUNTIL\tFINGERPRINT\tREPOSITORIES\tREMARK\n'
    trust_rows "$1"
  } | awk -F '\t' '
    {
      if (NR > 1) $6 = substr($6, 1, 16) ".."
      for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) }
      columns = NF
    }
    END {
      for (row = 1; row <= NR; row++) {
        line = ""
        for (i = 1; i < columns; i++) line = line sprintf("%-" width[i] "s  ", cell[row, i])
        line = line cell[row, columns]
        sub(/ +$/, "", line)
        print line
      }
    }'
}

# A fingerprint in groups that an eye can compare.
trust_groups() { sed -E 's/.{8}/& /g; s/ $//' <<<"$1"; } # hexadecimal digits

trust_sheet() { # file
  local id purpose print
  cat <<TEXT
TRUST SHEET of $(jq -r .audience "$1"), version $(jq .version "$1"), issued $(jq -r .issued "$1")

Compare by eye what the machine prints with what is printed here; carry this sheet by another way than the file.

SHA-256 of trust.json
    $(trust_groups "$(trust_hash "$1")")

TEXT
  while IFS=$'\t' read -r id purpose _ _ _ print _; do
    printf '%s (%s)\n    %s\n' "$id" "$purpose" "$(trust_groups "$print")"
  done < <(trust_rows "$1")
  printf '\nOn a machine that never met it:  scripts/trust verify --sha256 %s\n' "$(trust_hash "$1")"
}

# Fails with 65 unless the file in force leads on from what was believed here; with a hash, believes that file first.
trust_verify() {
  local hash='' why
  while (($#)); do
    case $1 in
      --sha256)
        hash=$(tr -d ' \n' <<<"${2:-}") && shift
        [[ ${hash,,} =~ ^[0-9a-f]{64}$ ]] || misuse "--sha256 wants the 64 hexadecimal digits of the printed sheet"
        ;;
      *) misuse "verify does not know '$1'" ;;
    esac
    shift || misuse "the last option wants a value"
  done
  if [[ $hash ]]; then
    [[ ! -s $TRUST_PIN ]] || fail 65 "this machine believes version $(cut -d ' ' -f 1 "$TRUST_PIN") already: newer ones are followed without a hash; to begin anew remove $TRUST_PIN"
    [[ -f $TRUST_COPY/trust.json ]] || fail 66 "there is no $TRUST/trust.json"
    [[ $(trust_hash "$TRUST_COPY/trust.json") == "${hash,,}" ]] ||
      fail 65 "this is not the trust file of the sheet: its SHA-256 is $(trust_hash "$TRUST_COPY/trust.json")"
    trust_sound "$TRUST_COPY/trust.json"
    why=$(trust_short "$TRUST_COPY/trust.json" "$TRUST_COPY/trust.json")
    [[ ! $why ]] || fail 65 "the trust file cannot be believed: ${why%%$'\n'*}"
    trust_pin "$TRUST_COPY/trust.json"
  fi
  trust_follow
  say "version $(jq .version "$TRUST_COPY/trust.json") for $(trust_audience) is believed"
}
