# shellcheck shell=bash
# Making a backup: one pass through pg_dump. What is written is read back on its way by pg_restore, so that the manifest says how
# many rows are in the file, not how many were in the database at another moment.

# Counts what pg_restore prints: rows of each table, the versions it was made with and of, the highest migration.
# shellcheck disable=SC2016  # awk's own
backup_tally='
  table != "" && $0 == "\\." { print "rows\t" table "\t" rows; table = ""; next }
  table != "" { rows++; if (table == "public.refinery_schema_history" && $1 + 0 > schema) schema = $1 + 0; next }
  /^COPY .* FROM stdin;$/ { table = $0; sub(/^COPY /, "", table); sub(/ \(.*$/, "", table); rows = 0; next }
  /^-- Dumped (from database|by pg_dump) version / { split($0, word, " "); print (word[3] == "from" ? "server" : "program") "\t" word[6] }
  END { print "schema\t" schema + 0 }'

# Encrypts for whoever is named in the file; without one, passes on.
backup_sealed() { # [recipients-file]
  if [[ ${1:-} ]]; then age --encrypt --recipients-file "$1"; else cat; fi
}

# Writes the dump and its tally into a folder.
backup_dump() { # folder [recipients-file]
  local reader code=0
  mkfifo "$1/copy"
  database_tool pg_restore --data-only --file=- <"$1/copy" 2>"$TEMPORARY/read.log" | awk -F '\t' "$backup_tally" >"$1/tally" &
  reader=$!
  # A table that a migration holds is waited for, but not for ever.
  database_program "$DATABASE_NAME" pg_dump --format=custom --lock-wait-timeout=60s 2>"$TEMPORARY/dump.log" </dev/null |
    tee "$1/copy" | backup_sealed "${2:-}" >"$1/dump" 2>"$TEMPORARY/write.log" || code=$?
  if ! wait "$reader"; then code=1; fi
  ((code != 0)) || return 0
  [[ ! -s $TEMPORARY/write.log ]] || fail 73 "the backup cannot be written: $(database_why "$TEMPORARY/write.log"); no backup was made"
  [[ ! -s $TEMPORARY/dump.log ]] || fail 69 "pg_dump did not finish: $(database_why "$TEMPORARY/dump.log"); no backup was made"
  fail 69 "what pg_dump wrote could not be read again: $(database_why "$TEMPORARY/read.log"); no backup was made"
}

# Prints the manifest of what lies in a folder.
backup_manifest() { # folder name began database-bytes encrypted
  local sha256
  sha256=$(sha256sum <"$1/dump" | cut -d ' ' -f 1)
  jq -n -R --arg type "$BACKUP_TYPE" --arg file "$2" --arg began "$3" --arg ended "$(backup_now)" --argjson database_bytes "$4" \
    --arg of "$DATABASE_NAME at $DATABASE_WHERE" --argjson encrypted "$5" --argjson size "$(stat -c %s "$1/dump")" --arg sha256 "$sha256" '
    [inputs | split("\t")] as $lines | ($lines | map(select(.[0] != "rows") | {(.[0]): .[1]}) | add) as $said
    | {$type, $file, $began, $ended, $of, server: $said.server, program: $said.program, schema: ($said.schema | tonumber),
      rows: ($lines | map(select(.[0] == "rows") | {(.[1]): (.[2] | tonumber)}) | add // {}),
      $database_bytes, $encrypted, $size, $sha256}' "$1/tally"
}

# Prints the present, as manifests write it.
backup_now() { TZ=UTC0 printf '%(%Y-%m-%dT%H:%M:%SZ)T' -1; }

# Makes a backup in a folder and prints its file.
backup_make() { # folder [recipients-file]
  local folder=$1 partial name began bytes manifest encrypted
  (umask 077 && mkdir -p "$folder") 2>/dev/null || fail 73 "$folder cannot be made"
  [[ -w $folder ]] || fail 73 "$folder cannot be written"
  exec 7>"$folder/.lock" || fail 73 "$folder cannot be written"
  flock --nonblock 7 || fail 75 "another backup is being made in $folder: wait until it has ended"
  # Nobody else is at work here: what begins so was left by somebody who was stopped.
  rm -rf "$folder"/.partial.*
  bytes=$(database_sql "$DATABASE_NAME" 2>"$TEMPORARY/log" <<<'SELECT pg_database_size(current_database());') ||
    fail 69 "the database $DATABASE_NAME of $DATABASE_WHERE does not answer: $(database_why "$TEMPORARY/log"); scripts/doctor tells more"
  while true; do
    began=$(backup_now)
    name=$DATABASE_NAME-${began//[-:]/}.dump${2:+.age}
    # One of this very second: in the next there is another name.
    if [[ ! -e $folder/$name ]]; then break; fi
    sleep 0.1
  done
  partial=$(umask 077 && mktemp -d "$folder/.partial.XXXXXX") || fail 73 "$folder cannot be written"
  # shellcheck disable=SC2034  # the trap of the caller takes it away
  PARTIAL=$partial
  umask 077
  backup_dump "$partial" "${2:-}"
  manifest=$partial/$name.json
  encrypted=$([[ ${2:-} ]] && echo true || echo false)
  backup_manifest "$partial" "$name" "$began" "$bytes" "$encrypted" >"$manifest" ||
    fail 73 "$manifest cannot be written"
  jq -e '.rows | has("public.users")' "$manifest" >/dev/null ||
    fail 65 "$DATABASE_NAME of $DATABASE_WHERE has no table users, and is no database of the service: no backup was made"
  printf '%s  %s\n' "$(jq -r .sha256 "$manifest")" "$name" >"$partial/$name.sha256"
  mv "$partial/dump" "$partial/$name"
  # On the disk, before it is said to be.
  sync -- "$partial"/*.json "$partial"/*.sha256 "$partial/$name" 2>/dev/null ||
    fail 73 "$folder has no room, or its disk is faulty: no backup was made"
  if ! { mv "$partial/$name.json" "$partial/$name.sha256" "$folder/" && mv "$partial/$name" "$folder/" && sync -- "$folder"; }; then
    fail 73 "$folder cannot be written"
  fi
  rm -rf "$partial"
  say "$(jq -r '"\(.rows["public.users"]) users, schema \(.schema), \(.size) bytes, of \(.of)"' "$folder/$name.json")"
  printf '%s\n' "$folder/$name"
}
