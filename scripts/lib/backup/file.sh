# shellcheck shell=bash
# A backup on disk: NAME.dump (with .age behind it when it is encrypted), NAME.dump.sha256 for `sha256sum --check`, and
# NAME.dump.json, which says what is in it. The dump gets its name last: where it is, all is.

BACKUP_TYPE=mini-api-backup/v1

# Prints the folder of the backups.
backup_folder() { realpath -m "${OUT:-$(compose_setting BACKUPS ./backups)}"; }

# Prints the backups of a folder, oldest first, one a line.
backup_files() { # folder
  [[ -d $1 ]] || return 0
  find "$1" -maxdepth 1 -type f \( -name '*.dump' -o -name '*.dump.age' \) -printf '%f\n' | LC_ALL=C sort | while IFS= read -r file; do
    printf '%s\t%s\n' "$(jq -r '.began // empty' "$1/$file.json" 2>/dev/null || true)" "$file"
  done | LC_ALL=C sort -s -k 1,1 | cut -f 2
}

# Fails with a sentence unless a backup is whole: its manifest, its size and, unless told to be quick, its SHA-256.
backup_check() { # file [quick]
  local manifest=$1.json size sha256
  [[ -f $1 && -r $1 ]] || fail 66 "there is no backup $1: scripts/backup list shows those that are"
  [[ -r $manifest ]] || fail 66 "there is no $manifest, which belongs to the backup: bring it from where the backup came from"
  jq -es --arg type "$BACKUP_TYPE" 'length == 1 and (.[0] | .type == $type and (.size | type) == "number"
    and (.sha256 | type == "string" and test("\\A[0-9a-f]{64}\\z")) and (.rows | type) == "object" and (.server | test("\\A[0-9]+")))' \
    "$manifest" >/dev/null 2>&1 || fail 65 "$manifest is no manifest of a backup: bring it anew from where the backup came from"
  size=$(jq .size "$manifest") sha256=$(jq -r .sha256 "$manifest")
  [[ $(stat -L -c %s "$1") == "$size" ]] ||
    fail 65 "$1 is damaged: it has $(stat -L -c %s "$1") bytes, and its manifest says $size; use another: scripts/backup list"
  [[ ! ${2:-} ]] || return 0
  [[ $(sha256sum <"$1" | cut -d ' ' -f 1) == "$sha256" ]] ||
    fail 65 "$1 is damaged or was altered: its SHA-256 is not that of its manifest; use another: scripts/backup list"
  if [[ -r $1.sha256 ]]; then
    [[ $(cut -d ' ' -f 1 <"$1.sha256") == "$sha256" ]] ||
      fail 65 "$1.sha256 and $manifest disagree: one was altered; use another: scripts/backup list"
  fi
}

# Prints the backups as a table, or as JSON.
backup_list() { # folder table|json
  local file state
  while IFS= read -r file; do
    state=whole
    (backup_check "$1/$file" quick) >/dev/null 2>&1 || state=damaged
    jq -c --arg file "$1/$file" --arg state "$state" '. + {$file, $state}' "$1/$file.json" 2>/dev/null ||
      jq -nc --arg file "$1/$file" --arg state "$state" '{$file, $state}'
  done < <(backup_files "$1") | if [[ $2 == json ]]; then jq -s .; else backup_table; fi
}

# Prints JSON lines as a table.
backup_table() {
  {
    printf 'BEGAN\tSTATE\tUSERS\tSCHEMA\tSERVER\tBYTES\tFILE\n'
    jq -r '[.began // "-", .state, (.rows["public.users"] // "-"), .schema // "-", .server // "-", .size // "-", .file] | @tsv'
  } | awk -F '\t' '
    {
      for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) }
      columns = NF
    }
    END {
      for (row = 1; row <= NR; row++) {
        for (i = 1; i < columns; i++) printf "%-" width[i] "s  ", cell[row, i]
        print cell[row, columns]
      }
    }'
}

# Prints the newest whole backup of a folder; fails when there is none.
backup_newest() { # folder
  local file
  while IFS= read -r file; do
    if (backup_check "$1/$file" quick) >/dev/null 2>&1; then
      echo "$1/$file"
      return
    fi
  done < <(backup_files "$1" | tac)
  return 1
}

# Removes all whole backups but the newest N; what is damaged is told, and stays for whoever wants to know why.
backup_prune() { # folder keep [rehearsal]
  local file whole=()
  local -i n
  while IFS= read -r file; do
    if (backup_check "$1/$file" quick) >/dev/null 2>&1; then whole+=("$1/$file"); else say "$1/$file is damaged, and does not count"; fi
  done < <(backup_files "$1")
  for ((n = 0; n < ${#whole[@]} - $2; n++)); do
    printf '%s\n' "${whole[n]}"
    [[ ! ${3:-} ]] || continue
    # In the opposite order of its making.
    rm -f "${whole[n]}" || fail 73 "${whole[n]} cannot be removed"
    rm -f "${whole[n]}.sha256" "${whole[n]}.json"
  done
}

# Writes the dump of an encrypted backup, or of a plain one, to standard output.
backup_open() { # file [identity]
  if [[ $1 == *.age ]]; then age --decrypt --identity "$2" -- "$1"; else cat -- "$1"; fi
}
