# shellcheck shell=bash
# Many requests to one registry, of every kind, by few curls: asks what is there, reads it to its last byte, uploads. Blobs are never
# held in memory, and no program is started for each. Needs registry.sh, whose rules on TLS and credentials hold here too.

# What an answer to these many requests amounts to, as a sentence, and its code.
REGISTRY_FAULT='' REGISTRY_CODE=0
# The fault that was met last and may pass.
registry_passed=''
registry_accepts='Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json'

# Finds out how a registry wants to be spoken to: whether it answers, and what its users show. Fails with 69 or 77.
registry_open() { # registry folder
  registry_at=$1 registry_jobs=$2 registry_bearer=
  mkdir -p "$2"
  registry_begin "$2"
  registry_login=$(registry_user "$1")
  # By repository: its token, where the registry hands out tokens.
  : >"$2/tokens"
  printf '0\tGET\t\t-\t-\n' | registry_run "$2/opened" || true
  local number status
  read -r number status _ <"$2/opened" || true
  if [[ ${status:-000} == 401 ]] && grep -qi '^www-authenticate: *bearer' "$2/headers.${number:-0}" 2>/dev/null; then
    registry_bearer=$2/challenge
    cp "$2/headers.0" "$registry_bearer"
  else
    registry_judge "${status:-000}" 0 || fail "$REGISTRY_CODE" "$1: $REGISTRY_FAULT"
  fi
}

# Gets fresh tokens for writing to repositories, where the registry wants tokens: they end after some minutes.
registry_may() { # path…
  local path token
  [[ $registry_bearer ]] || return 0
  # shellcheck disable=SC2034  # registry_token asks it
  registry_users["$registry_at"]=$registry_login
  for path in "$@"; do
    token=$(registry_token "$registry_at" "$path" "$registry_bearer" pull,push)
    [[ $token ]] || fail 77 "$registry_at hands out no token for $path: docker login $registry_at"
    # The last line of a repository counts.
    (umask 077 && printf '%s\t%s\t%d\n' "$path" "$token" "$SECONDS" >>"$registry_jobs/tokens")
  done
}

# Gets new tokens in the place of those that jobs are about to use and that are half a minute old.
registry_renew() { # jobs
  local paths
  [[ $registry_bearer ]] || return 0
  mapfile -t paths < <(awk -F '\t' -v now="$SECONDS" '
    FILENAME == ARGV[1] { made[$1] = $3; next }
    { path = $3; sub(/\?.*$/, "", path); sub(/\/(blobs\/uploads\/.*|(manifests|blobs|referrers|tags)\/[^\/]*)$/, "", path) }
    path in made && now - made[path] > 30 && !seen[path]++ { print path }' "$registry_jobs/tokens" "$1")
  registry_may "${paths[@]}"
}

# Does what the lines on standard input say: number, method, path and query below /v2/ (or a whole address), headers apart by "|" or -,
# file to send or -, apart by tabs. A GET with a file writes to it. Writes a line for each to the file: number, status (000: no answer), exit
# code of curl. The headers of answers to POST and of the very first question lie in headers.NUMBER.
registry_run() { # answers
  local lines part=$registry_jobs/part
  # A curl keeps some kilobytes for every request it was told of.
  while mapfile -t -n 1000 lines && ((${#lines[@]})); do
    printf '%s\n' "${lines[@]}" >"$part" || fail 73 "there is no room in ${TMPDIR:-/tmp}"
    registry_renew "$part"
    registry_config "$part" | curl --disable --parallel --parallel-max "${REGISTRY_PARALLEL:-8}" --config - 2>/dev/null || true
  done >"$1" || fail 73 "there is no room in ${TMPDIR:-/tmp}"
}

# Prints curl's configuration for a file of jobs. The password goes through the environment of awk and a pipe, never through a list of words.
registry_config() { # jobs
  login=$registry_login authority=${REGISTRY_CA:-} awk -F '\t' -v registry="$registry_at" -v folder="$registry_jobs" '
    FILENAME == folder "/tokens" { token[$1] = $2; next }
    {
      if (begun++) print "next"
      address = $3 ~ /^https:/ ? $3 : "https://" registry "/v2/" $3
      print "url = \"" address "\""
      # Media may lie where a name has brackets or braces in it.
      print "globoff\nsilent\nproto = \"=https\"\nconnect-timeout = 5\nspeed-limit = 1\nspeed-time = 60"
      # Nobody is sent elsewhere with our bytes; what is read may lie elsewhere.
      if ($2 == "GET") print "location\nproto-redir = \"=https\""
      if ($2 == "HEAD") print "head"
      if ($2 == "POST") print "request = \"POST\"\ndata = \"\"\ndump-header = \"" folder "/headers." $1 "\""
      if ($2 == "GET" && $3 == "") print "dump-header = \"" folder "/headers." $1 "\""
      if ($2 == "DELETE") print "request = \"DELETE\""
      # A registry that looks through what it got says nothing meanwhile.
      if ($2 == "PUT") print "speed-time = 600"
      # Bytes in frames of HTTP/2 cost curl twenty times the processor time of a plain connection.
      if ($3 ~ /\/blobs\/uploads\/./) print "http1.1"
      if ($2 == "PUT") print "upload-file = \"" $5 "\"\nheader = \"Expect:\""
      print "output = \"" ($2 == "GET" && $5 != "-" ? $5 : "/dev/null") "\""
      if ($4 != "-") { n = split($4, header, "|"); for (i = 1; i <= n; i++) print "header = \"" header[i] "\"" }
      if (ENVIRON["authority"] != "") print "cacert = \"" ENVIRON["authority"] "\""
      path = $3; sub(/^https:\/\/[^\/]*\/v2\//, "", path); sub(/\?.*$/, "", path); sub(/\/(blobs\/uploads\/.*|(manifests|blobs|referrers|tags)\/[^\/]*)$/, "", path)
      # A registry may have its uploads go to another host; the password is for this one.
      if (index(address, "https://" registry "/") == 1) {
        if (path in token) print "header = \"Authorization: Bearer " token[path] "\""
        else if (ENVIRON["login"] != "") print "user = " ENVIRON["login"]
      }
      print "write-out = \"" $1 " %{http_code} %{exitcode}\\n\""
    }' "$registry_jobs/tokens" "$1"
}

# Whether a status is that of success; else sets REGISTRY_CODE and REGISTRY_FAULT.
registry_judge() { # status exit-code-of-curl
  REGISTRY_CODE=69 REGISTRY_FAULT=
  case $1 in
    2??) if (($2 == 0)); then REGISTRY_CODE=0; else REGISTRY_FAULT="the registry's answer broke off: try again"; fi ;;
    # What may be read elsewhere was: nobody is sent elsewhere with what is written.
    3??) REGISTRY_FAULT="the registry sends us elsewhere ($1): name it by the host that it goes by itself, and over TLS" ;;
    400) REGISTRY_CODE=65 REGISTRY_FAULT="the registry refuses these bytes (400): verify the medium" ;;
    401 | 403) REGISTRY_CODE=77 REGISTRY_FAULT="the registry refuses these credentials ($1): docker login with an account that may write there" ;;
    404) REGISTRY_CODE=66 REGISTRY_FAULT="the registry has no such thing (404)" ;;
    405) REGISTRY_FAULT="the registry does not allow that (405): is it a mirror, or read-only?" ;;
    413) REGISTRY_FAULT="a proxy before the registry takes no body of this size (413)" ;;
    429) REGISTRY_CODE=75 REGISTRY_FAULT="the registry has too much to do (429): try again later" ;;
    000)
      case $2 in
        26) REGISTRY_CODE=74 REGISTRY_FAULT="a file of the medium cannot be read: verify the medium" ;;
        23) REGISTRY_CODE=73 REGISTRY_FAULT="there is no room in ${TMPDIR:-/tmp}" ;;
        *) REGISTRY_FAULT="the registry does not answer, or not with a certificate that is believed (REGISTRY_CA)" ;;
      esac
      ;;
    *) REGISTRY_FAULT="the registry answers $1: look at its log, and at the room on its disk" ;;
  esac
  ((REGISTRY_CODE == 0))
}

# Asks whether things are there. On standard input a line each: path, manifests or blobs, digest. Writes those that are to the first
# file and those that are not to the second; fails when it cannot be known. What a registry cannot say (5xx) goes to the third, if there is
# one: a disk that was full leaves such things behind, and sending them again mends them.
registry_have() { # there missing [unsure]
  local all=$registry_jobs/asked
  sort -u >"$all"
  : >"$1" && : >"$2" && : >"${3:-/dev/null}"
  [[ -s $all ]] || return 0
  awk -F '\t' -v OFS='\t' -v accept="$registry_accepts" '{ print NR, "HEAD", $1 "/" $2 "/" $3, $2 == "manifests" ? accept : "-", "-" }' "$all" |
    REGISTRY_PARALLEL=16 registry_run "$registry_jobs/answers"
  awk -v OFS='\t' -v there="$1" -v missing="$2" -v unsure="${3:-}" 'FILENAME == ARGV[1] { status[$1] = $2; next }
    { code = (FNR in status) ? status[FNR] : "000" }
    code ~ /^[23]/ { print > there; next }
    code == "404" { print > missing; next }
    unsure != "" && code ~ /^5/ { print > unsure; next }
    { print code; exit }' "$registry_jobs/answers" "$all" >"$registry_jobs/strange"
  if [[ -s $registry_jobs/strange ]]; then
    registry_judge "$(<"$registry_jobs/strange")" 0 || true
    fail "$REGISTRY_CODE" "$registry_at: $REGISTRY_FAULT"
  fi
}

# Reads things to their last byte and compares their digests. On standard input: path, manifests or blobs, digest, size. Writes to
# the file a line for each that is not right: path, digest, what is wrong (missing, damaged, or a sentence).
registry_read() { # wrong
  local all=$registry_jobs/wanted batch=$registry_jobs/batch
  sort -u >"$all"
  : >"$1"
  # Small ones many at a time, through files; large ones through a pipe, which costs two programs each and no room.
  awk -F '\t' -v folder="$batch" -v large="$registry_jobs/large" 'BEGIN { printf "" > large }
    $4 > 4000000 { print > large; next }
    { if (sum + $4 > 64000000 || lines >= 1000) { part++; sum = 0; lines = 0 } sum += $4; lines++; print > (folder "." part + 0) }' "$all"
  local part
  for part in "$batch".[0-9]*; do
    [[ -e $part ]] || continue
    registry_read_small "$part" >>"$1" || return
    rm -f "$part"
  done
  [[ ! -s $registry_jobs/large ]] || registry_read_large "$registry_jobs/large" >>"$1"
}

registry_read_small() { # lines
  local folder=$registry_jobs/bytes
  rm -rf "$folder" && mkdir -p "$folder"
  awk -F '\t' -v OFS='\t' -v accept="$registry_accepts" -v folder="$folder" '{ print NR, "GET", $1 "/" $2 "/" $3, $2 == "manifests" ? accept : "-", folder "/" NR }' "$1" |
    REGISTRY_PARALLEL=16 registry_run "$registry_jobs/answers"
  find "$folder" -type f -print0 | xargs -0r sha256sum >"$registry_jobs/sums" || fail 69 "what the registry answered cannot be read here: is there room in ${TMPDIR:-/tmp}?"
  rm -rf "$folder"
  registry_wrong "$1" "$registry_jobs/answers" "$registry_jobs/sums"
}

registry_read_large() { # lines
  local folder=$registry_jobs/streams count n
  rm -rf "$folder" && mkdir -p "$folder"
  count=$(wc -l <"$1")
  awk -F '\t' -v OFS='\t' '{ print NR, "GET", $1 "/" $2 "/" $3, "-", "/dev/stdout" }' "$1" | split --lines=1 --suffix-length=8 --numeric-suffixes=1 - "$folder/job."
  for ((n = 1; n <= count; n++)); do
    # Two at a time.
    ((n <= 2)) || wait -n || true
    registry_stream "$folder" "$(printf '%08d' "$n")" &
  done
  wait
  cat "$folder"/answer.* >"$registry_jobs/answers"
  cat "$folder"/sum.* >"$registry_jobs/sums"
  registry_wrong "$1" "$registry_jobs/answers" "$registry_jobs/sums"
}

# Streams one thing through openssl.
registry_stream() { # folder number
  local sum status
  registry_renew "$1/job.$2"
  # What curl writes out of its own comes after the bytes, so it goes to a file of its own.
  sum=$(registry_config "$1/job.$2" | sed 's|^write-out = "|write-out = "%{stderr}|' | curl --disable --config - 2>"$1/answer.$2" | openssl dgst -sha256 -r) || true
  read -r _ status _ <"$1/answer.$2" || status=000
  printf '%s  /%d\n' "${sum%% *}" "$((10#$2))" >"$1/sum.$2"
  [[ -s $1/answer.$2 ]] || printf '%d 000 7\n' "$((10#$2))" >"$1/answer.$2"
}

# Prints what is wrong with what was read: path, digest, why.
registry_wrong() { # lines answers sums
  awk -v OFS='\t' -v sums="$3" -v answers="$2" '
    FILENAME == answers { status[$1] = $2; broke[$1] = $3; next }
    FILENAME == sums { n = $2; sub(/.*\//, "", n); sum[n] = "sha256:" $1; next }
    { split($0, part, "\t"); n = FNR; code = (n in status) ? status[n] : "000" }
    code == "404" { print part[1], part[3], "missing"; next }
    code == "200" && broke[n] == 0 && sum[n] == part[3] { next }
    code == "200" && broke[n] == 0 { print part[1], part[3], "damaged"; next }
    { print part[1], part[3], "unread " code " " broke[n] + 0 }' "$2" "$3" "$1"
}

# Uploads blobs. On standard input: path, digest, file, and a repository that has it already or -. What a registry can take over from
# another repository of its own is not sent. Writes to the file how many bytes were sent, a line for each that was.
registry_upload() { # sent
  local all=$registry_jobs/uploads
  cat >"$all"
  : >"$1"
  registry_passed='the registry did not answer'
  for _ in 1 2 3; do
    [[ -s $all ]] || return 0
    registry_upload_some "$all" "$1" || fail "$REGISTRY_CODE" "$registry_at: $REGISTRY_FAULT"
    mv "$registry_jobs/again" "$all"
  done
  [[ ! -s $all ]] || fail 69 "$registry_at: $registry_passed"
}

# Opens a session for each blob, then sends the bytes. What met a fault that may pass is left in `again`.
registry_upload_some() { # lines sent
  local number status code
  local -A answers=()
  : >"$registry_jobs/again"
  rm -f "$registry_jobs"/headers.*
  awk -F '\t' -v OFS='\t' '{ print NR, "POST", $1 "/blobs/uploads/" ($4 == "-" ? "" : "?mount=" $2 "&from=" $4), "-", "-" }' "$1" | registry_run "$registry_jobs/answers" || { REGISTRY_CODE=73 REGISTRY_FAULT="there is no room in ${TMPDIR:-/tmp}" && return 1; }
  registry_unmounted "$1" "$registry_jobs/answers" || return
  # Where each session is; 201 means that nothing needs to be sent.
  awk -v OFS='\t' -v registry="https://$registry_at" -v folder="$registry_jobs" '
    function place(n,  line, at) {
      at = ""
      while ((getline line < (folder "/headers." n)) > 0) { sub(/\r$/, "", line); if (tolower(line) ~ /^location: /) at = substr(line, 11) }
      close(folder "/headers." n)
      if (at ~ /^\//) at = registry at
      return at
    }
    FILENAME == ARGV[1] { status[$1] = $2; next }
    { split($0, part, "\t") }
    status[FNR] == "202" { at = place(FNR); print FNR, "PUT", at (at ~ /\?/ ? "&" : "?") "digest=" part[2], "Content-Type: application/octet-stream", part[3] }' \
    "$registry_jobs/answers" "$1" >"$registry_jobs/puts"
  REGISTRY_PARALLEL=4 registry_run "$registry_jobs/answers" <"$registry_jobs/puts"
  while read -r number status code; do answers[$number]="$status $code"; done <"$registry_jobs/answers"
  local file
  while IFS=$'\t' read -r number _ _ _ file; do
    read -r status code <<<"${answers[$number]:-000 0}"
    if registry_judge "$status" "$code"; then
      printf '%s\n' "$file" >>"$2"
    elif registry_may_pass "$status" "$code"; then
      registry_passed=$REGISTRY_FAULT
      sed -n "${number}p" "$1" >>"$registry_jobs/again"
    else
      return 1
    fi
  done <"$registry_jobs/puts"
}

# True for faults that another attempt may not meet.
registry_may_pass() { [[ $2 != 26 && $2 != 23 && $1 =~ ^(000|404|416|429|5..|2..)$ ]]; } # status exit-code

# Leaves in `again` those uploads that were not begun: a registry need not take anything over from another repository, nor let this account
# read there; then the bytes are sent. Fails at a fault that will not pass.
registry_unmounted() { # lines answers
  local number path digest file from status code
  local -A answers=()
  while read -r number status code; do answers[$number]="$status $code"; done <"$2"
  number=0
  while IFS=$'\t' read -r path digest file from; do
    number=$((number + 1))
    read -r status code <<<"${answers[$number]:-000 0}"
    if [[ $status =~ ^20[12]$ && $code == 0 ]]; then continue; fi
    if registry_judge "$status" "$code"; then REGISTRY_CODE=69 REGISTRY_FAULT="the registry answers $status where uploads begin: is it one?"; fi
    [[ $from != - ]] || registry_may_pass "$status" "$code" || return 1
    registry_passed=$REGISTRY_FAULT
    printf '%s\t%s\t%s\t-\n' "$path" "$digest" "$file" >>"$registry_jobs/again"
  done <"$1"
}

# Leaves in `again` those lines whose answer is a fault that may pass; fails at one that will not.
registry_passing() { # lines answers
  local number status code
  while read -r number status code; do
    registry_judge "$status" "$code" && continue
    registry_may_pass "$status" "$code" || return 1
    registry_passed=$REGISTRY_FAULT
    sed -n "${number}p" "$1" >>"$registry_jobs/again"
  done <"$2"
}

# Puts manifests under names. On standard input: path, digest or tag, media type, file. All of them, or it fails.
registry_put() {
  local all=$registry_jobs/manifests
  cat >"$all"
  for _ in 1 2 3; do
    [[ -s $all ]] || return 0
    : >"$registry_jobs/again"
    awk -F '\t' -v OFS='\t' '{ print NR, "PUT", $1 "/manifests/" $2, "Content-Type: " $3, $4 }' "$all" | registry_run "$registry_jobs/answers"
    registry_passing "$all" "$registry_jobs/answers" || fail "$REGISTRY_CODE" "$registry_at: $REGISTRY_FAULT"
    (($(wc -l <"$registry_jobs/answers") == $(wc -l <"$all"))) || fail 69 "$registry_at: not every manifest was answered for: try again"
    mv "$registry_jobs/again" "$all"
  done
  [[ ! -s $all ]] || fail 69 "$registry_at: $registry_passed"
}
