# shellcheck shell=bash
# shellcheck disable=SC2154  # registry_users and registry_tokens are registry.sh's
# Gets manifests and blobs of any size by their digests, many at a time by one curl, into a work folder that outlives whoever is
# stopped: what lies there with the right hash is not asked for again, what lies there in part is continued. Over TLS only, with the
# credentials and tokens of registry.sh, which it needs.
#
# fetch FOLDER WANTED: WANTED has a line for each digest: its hexadecimal digits, size, kind (manifests, blobs), media type, registry,
# repository there, and the image it is part of. Below the folder are then blobs/HEX for each; partial/ has what did not come whole.

# How many are asked for by one curl, and how much is hashed at a time, beside curl.
fetch_batch=1000
fetch_most=256
fetch_much=$((32 * 1024 * 1024))
# How often it is tried again after nothing came.
fetch_patience=2

# By digest, of the batch at hand: its line, and how much of it lay there before.
declare -gA fetch_line=() fetch_begun=()
# By repository: whether its token is one that has not served yet; an answer that asked for one.
declare -gA fetch_new_token=() fetch_denied=()

fetch() { # folder wanted
  local round=0 idle=0 best now
  FETCH_FOLDER=$1 FETCH_WANTED=$2 FETCH_WHY='' FETCH_PID=''
  mkdir -p "$1"/{blobs,partial,headers} 2>/dev/null || fail 73 "$1 cannot be written"
  # Relative words of curl's configuration are below the folder.
  FETCH_CA=${REGISTRY_CA:+$(realpath "$REGISTRY_CA")}
  FETCH_TOTAL=$(awk -F '\t' '{ total += $2 } END { printf "%.0f", total }' "$2")
  registry_users=() registry_tokens=() fetch_new_token=() fetch_denied=()
  fetch_settle
  fetch_left "$TEMPORARY/left"
  best=$(fetch_bytes)
  FETCH_SAID=-1
  while [[ -s $TEMPORARY/left ]]; do
    # The first round asks each repository for one thing: whether it answers, and whom it wants to see.
    if ((round++ == 0)); then
      awk -F '\t' '!seen[$5 "/" $6]++' "$TEMPORARY/left" >"$TEMPORARY/round"
    else
      mv "$TEMPORARY/left" "$TEMPORARY/round"
    fi
    fetch_round "$TEMPORARY/round"
    fetch_left "$TEMPORARY/left"
    now=$(fetch_bytes)
    # More than ever before: a registry that breaks off and cannot continue would keep us for ever.
    if ((now > best || ${#fetch_denied[@]})); then
      idle=0
    elif [[ -s $TEMPORARY/left ]]; then
      ((idle++ < fetch_patience)) || fail 69 "${FETCH_WHY:-a registry sends nothing}: what came is kept in $1; try again later"
      sleep "$idle"
    fi
    fetch_knock
    ((now <= best)) || best=$now
  done
  rm -rf "$1/headers"
  fetch_say "$FETCH_TOTAL"
}

# Prints the lines of what is wanted and not there.
fetch_left() { # file
  { find "$FETCH_FOLDER/blobs" -type f -printf '%f\n' | awk -F '\t' 'FILENAME == ARGV[1] { there[$1] = 1; next } !($1 in there)' /dev/stdin "$FETCH_WANTED" >"$1"; } 2>/dev/null ||
    fail 73 "$1 cannot be written"
}

# Prints how many bytes lie in the folder, whole or not.
fetch_bytes() { find "$FETCH_FOLDER/blobs" "$FETCH_FOLDER/partial" -type f -printf '%s\n' | awk '{ total += $1 } END { printf "%.0f", total }'; }

# Says how far it is, at most every three seconds.
fetch_say() { # bytes
  if (($1 == FETCH_TOTAL)); then FETCH_SAID=-9; fi
  ((SECONDS >= FETCH_SAID + 3)) || return 0
  FETCH_SAID=$SECONDS
  say "   $(numfmt --to=si "$1")B of $(numfmt --to=si "$FETCH_TOTAL")B"
}

# Looks at what somebody left in the folder who was stopped: what is whole is kept, what is too large or has another hash is thrown
# away, and what is too small stays to be continued.
fetch_settle() {
  local file hex list=$TEMPORARY/settle
  (cd "$FETCH_FOLDER" && find blobs partial -type f -printf '%p\t%f\t%s\n') | awk -F '\t' 'FILENAME == ARGV[1] { size[$1] = $2; next }
    ($2 in size) && $3 == size[$2] { print "hash\t" $1; next } ($2 in size) && ($1 ~ /^blobs/ || $3 > size[$2]) { print "remove\t" $1 }' "$FETCH_WANTED" /dev/stdin >"$list"
  awk -F '\t' '$1 == "hash" { print $2 }' "$list" | (cd "$FETCH_FOLDER" && xargs -r -d '\n' -P 2 -n 16 openssl dgst -sha256 -r) | hash_lines |
    awk '{ file = $2; sub(".*/", "", file); print (file == $1 ? "keep" : "remove") "\t" $2 }' >"$list.hashed" || fail 74 "$FETCH_FOLDER cannot be read"
  while IFS=$'\t' read -r file hex; do
    if [[ $file == remove ]]; then say "   ${hex##*/} lay here damaged: it is fetched anew"; fi
  done <"$list.hashed"
  cat "$list" "$list.hashed" | awk -F '\t' '$1 == "remove" { print $2 }' | (cd "$FETCH_FOLDER" && xargs -r -d '\n' rm -f)
  awk -F '\t' '$1 == "keep" && $2 ~ /^partial/ { print $2 }' "$list.hashed" | (cd "$FETCH_FOLDER" && xargs -r -d '\n' mv -t blobs) || fail 73 "$FETCH_FOLDER cannot be written"
}

# Asks once for each line, batch after batch, until a registry is away.
fetch_round() { # file
  local lines line
  fetch_denied=()
  exec {FETCH_ROUND}<"$1"
  while mapfile -t -n "$fetch_batch" -u "$FETCH_ROUND" lines && ((${#lines[@]})); do
    fetch_line=() fetch_begun=()
    for line in "${lines[@]}"; do fetch_line[${line%%$'\t'*}]=$line; done
    fetch_ask || break
  done
  exec {FETCH_ROUND}<&-
}

# Runs one curl for the batch, and hashes what came while more comes. Returns 1 when nobody seems to be there.
fetch_ask() {
  local answers line rest='' status code sent file hex size pending=() failed=0
  local -i bytes=0 came=0
  local guard=()
  # Sizes of what lies there in part, in one look.
  while IFS=$'\t' read -r hex size; do
    if [[ ${fetch_line[$hex]:-} ]] && ((size > 0)); then fetch_begun[$hex]=$size; fi
  done < <(find "$FETCH_FOLDER/partial" -type f -printf '%f\t%s\n')
  came=$(fetch_bytes)
  # Whoever is killed takes curl along: nobody else may write to the folder then.
  ! type -P setpriv >/dev/null || guard=(setpriv --pdeathsig KILL)
  # On stderr curl keeps nothing back.
  exec {answers}< <(cd "$FETCH_FOLDER" && exec "${guard[@]}" curl --disable --silent --no-progress-meter --parallel --parallel-max 16 --config <(fetch_questions) 2>&1 >/dev/null)
  FETCH_PID=$!
  while true; do
    code=0
    IFS= read -r -t 3 -u "$answers" line || code=$?
    if ((code > 128)); then
      rest+=$line
      fetch_say "$(fetch_bytes)"
      continue
    fi
    line=$rest$line rest=
    [[ $line || $code == 0 ]] || break
    read -r _ status code sent file <<<"$line"
    if [[ $line == "@ "* ]]; then
      hex=${file##*/}
      if [[ ! ${fetch_line[$hex]:-} ]]; then continue; fi
      if fetch_judge "$hex" "$status" "$code" "$sent"; then
        IFS=$'\t' read -r _ size _ <<<"${fetch_line[$hex]}"
        pending+=("$hex") bytes+=size came+=size-${fetch_begun[$hex]:-0} failed=0
      elif ((++failed >= 64)); then
        # Sixty-four in a row: the rest would fare no better.
        fetch_stop
        break
      fi
      if ((bytes >= fetch_much || ${#pending[@]} >= fetch_most)); then
        fetch_hash "${pending[@]}"
        pending=() bytes=0
        fetch_say "$came"
      fi
    elif [[ $line ]]; then
      FETCH_WHY="curl says: $line"
    fi
  done
  exec {answers}<&-
  fetch_stop
  ((${#pending[@]} == 0)) || fetch_hash "${pending[@]}"
  ((failed < 64)) || return 1
}

# Ends curl, if it still runs.
fetch_stop() {
  [[ $FETCH_PID ]] || return 0
  kill -KILL "$FETCH_PID" 2>/dev/null || true
  wait "$FETCH_PID" 2>/dev/null || true
  FETCH_PID=
}

# Ends the export with a sentence, and curl before it.
fetch_fail() { # code sentence
  fetch_stop
  fail "$@"
}

# Prints curl's configuration for the batch. Nobody but curl sees it: it has credentials.
fetch_questions() {
  local hex size kind type registry path first=1
  for hex in "${!fetch_line[@]}"; do
    IFS=$'\t' read -r _ size kind type registry path _ <<<"${fetch_line[$hex]}"
    [[ ${registry_users[$registry]+known} ]] || registry_users["$registry"]=$(registry_user "$registry")
    [[ $first ]] || echo next
    first=
    [[ $kind == manifests ]] || type=application/octet-stream
    printf 'url = "https://%s/v2/%s/%s/sha256:%s"\noutput = "partial/%s"\ndump-header = "headers/%s"\n' "$registry" "$path" "$kind" "$hex" "$hex" "$hex"
    printf 'header = "Accept: %s"\nfail\nhttp1.1\nlocation\nproto-redir = "=https"\nconnect-timeout = 10\n' "$type"
    # It may take as long as it likes while something comes. Whoever sends us on to another place may say so in some words.
    printf 'speed-limit = 1\nspeed-time = 60\nmax-filesize = %s\n' $((size + 65536))
    printf 'write-out = "%%{stderr}@ %%{http_code} %%{exitcode} %%{size_download} %%{filename_effective}\\n"\n'
    [[ ! ${fetch_begun[$hex]:-} ]] || printf 'continue-at = %s\n' "${fetch_begun[$hex]}"
    [[ ! $FETCH_CA ]] || printf 'cacert = "%s"\n' "$FETCH_CA"
    if [[ ${registry_tokens["$registry/$path"]:-} ]]; then
      printf 'header = "Authorization: Bearer %s"\n' "${registry_tokens["$registry/$path"]}"
    elif [[ ${registry_users[$registry]} ]]; then
      printf 'user = %s\n' "${registry_users[$registry]}"
    fi
  done
}

# Says what an answer amounts to: 0 it came, 1 it may come yet. What cannot be mended by asking again ends the export.
fetch_judge() { # hex status curl's-code bytes
  local size kind registry path image what
  IFS=$'\t' read -r _ size kind _ registry path image <<<"${fetch_line[$1]}"
  what="sha256:$1, part of $image,"
  if [[ $3 == 0 && $2 == 20[06] ]]; then
    fetch_new_token["$registry/$path"]=
    # The right hash of another number of bytes is the lock's fault; what was continued is hashed.
    (($4 + ${fetch_begun[$1]:-0} == size)) || fetch_fail 65 "$registry has $4 bytes under $what and the lock says $size: lock anew"
    return 0
  fi
  case $3:$2 in
    23:*) fetch_fail 73 "$FETCH_FOLDER cannot be written: is the disk full? $(fetch_room); what came is kept there, so the same command goes on from it" ;;
    63:*) fetch_fail 65 "$registry serves other bytes under $what than the lock says: more than $size" ;;
    60:* | 77:*) fetch_fail 69 "$registry does not show a certificate that is believed: name its authority in REGISTRY_CA" ;;
    *:404) fetch_fail 66 "$registry has no $what in $path any more: it was collected there since; push it again, or lock anew" ;;
    *:401)
      # A token that was handed out just now, and refused, is an answer.
      [[ ! ${fetch_new_token["$registry/$path"]:-} ]] || fetch_fail 77 "$registry refuses these credentials for $path ($2): docker login"
      fetch_denied["$registry/$path"]=$1
      return 1
      ;;
    *:403) fetch_fail 77 "$registry refuses these credentials for $path ($2): docker login" ;;
    # It does not continue where we stopped: from the beginning, then.
    33:* | *:416) rm -f "$FETCH_FOLDER/partial/$1" ;;
    *:429) FETCH_WHY="$registry has too much to do (429)" ;;
    22:*) FETCH_WHY="$registry answers $2" ;;
    *) FETCH_WHY="$registry does not answer, or breaks off (curl $3)" ;;
  esac
  return 1
}

# Prints how much room there is.
fetch_room() { df --output=avail -B1 "$FETCH_FOLDER" 2>/dev/null | awk 'NR == 2 { printf "%.0f MB are free there", $1 / 1e6 }'; }

# Puts what came whole, and has its hash, where it belongs.
fetch_hash() { # hex…
  local digest file right=() size registry image
  while read -r digest file; do
    file=${file##*/}
    if [[ $digest == "$file" ]]; then
      right+=("partial/$file")
      continue
    fi
    rm -f "$FETCH_FOLDER/partial/$file"
    IFS=$'\t' read -r _ size _ _ registry _ image <<<"${fetch_line[$file]}"
    # What was continued may have been damaged before.
    [[ ${fetch_begun[$file]:-} ]] || fetch_fail 65 "$registry serves other bytes under sha256:$file, part of $image: look at that registry's disk"
  done < <(cd "$FETCH_FOLDER/partial" && hash_files "$@")
  ((${#right[@]} == 0)) || (cd "$FETCH_FOLDER" && mv -t blobs "${right[@]}" && rm -f "${right[@]/#partial/headers}") || fetch_fail 73 "$FETCH_FOLDER cannot be written"
}

# Gets tokens for repositories that asked for one.
fetch_knock() {
  local repository registry
  for repository in "${!fetch_denied[@]}"; do
    registry=${repository%%/*}
    # fetch_questions ran elsewhere.
    [[ ${registry_users[$registry]+known} ]] || registry_users["$registry"]=$(registry_user "$registry")
    registry_tokens["$repository"]=$(registry_token "$registry" "${repository#*/}" "$FETCH_FOLDER/headers/${fetch_denied[$repository]}")
    [[ ${registry_tokens[$repository]} ]] || fail 77 "$registry refuses these credentials for ${repository#*/} (401): docker login"
    fetch_new_token[$repository]=1
  done
}
