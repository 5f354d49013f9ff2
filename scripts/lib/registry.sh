# shellcheck shell=bash
# shellcheck disable=SC2034  # REGISTRY_WHY is read by callers
# Reads registries by plain requests, many at once, over TLS only. REGISTRY_CA names a file of authorities beside the system's;
# credentials are those of `docker login` (DOCKER_CONFIG/config.json), as every other tool here takes them. Registries that hand out
# tokens (Harbor, GitLab, Quay) are asked for one, for reading and for the repository at hand alone.

# Answers are small documents; whatever is larger is none of ours.
registry_largest=$((8 * 1024 * 1024))

# By the file an answer lies in: its status code (000: none), and the digest of its bytes if it came.
declare -gA REGISTRY_STATUS=() REGISTRY_DIGEST=()
# By registry: what curl's configuration says of its user.
declare -gA registry_users=()

# By repository: the token its registry handed out, empty when it did not. By the file an answer will lie in: what was asked.
declare -gA registry_tokens=() registry_asked=()

# Forgets all questions and answers; the new ones will lie below the folder.
registry_begin() { # folder
  registry_work=$1
  REGISTRY_STATUS=() REGISTRY_DIGEST=() registry_users=() registry_tokens=() registry_asked=()
  (umask 077 && : >"$registry_work/questions")
}

# Notes a question; its answer will be in OUT, its headers in OUT.headers.
registry_ask() { # registry repository-path kind(manifests|blobs|referrers) digest-or-tag out
  local accept=application/octet-stream types=application/vnd.oci.image
  [[ ${registry_users[$1]+known} ]] || registry_users[$1]=$(registry_user "$1")
  registry_asked["$5"]="$1 $2 $3 $4"
  case $3 in
    manifests) accept="$types.manifest.v1+json, $types.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json" ;;
    referrers) accept=$types.index.v1+json ;;
  esac
  {
    [[ ! -s $registry_work/questions ]] || echo next
    printf 'url = "https://%s/v2/%s/%s/%s"\noutput = "%s"\ndump-header = "%s"\nheader = "Accept: %s"\n' "$1" "$2" "$3" "$4" "$5" "$5.headers" "$accept"
    printf 'silent\nlocation\nproto-redir = "=https"\nconnect-timeout = 5\nmax-time = 30\nmax-filesize = %d\n' "$registry_largest"
    # shellcheck disable=SC1003
    printf 'write-out = "%%{http_code} %%{exitcode} %%{filename_effective}\\n"\n'
    [[ ! ${REGISTRY_CA:-} ]] || printf 'cacert = "%s"\n' "$REGISTRY_CA"
    if [[ ${registry_tokens["$1/$2"]:-} ]]; then
      printf 'header = "Authorization: Bearer %s"\n' "${registry_tokens["$1/$2"]}"
    elif [[ ${registry_users[$1]} ]]; then
      printf 'user = %s\n' "${registry_users[$1]}"
    fi
  } >>"$registry_work/questions"
  REGISTRY_STATUS[$5]=000
}

# Prints NAME:PASSWORD of a registry as curl's configuration quotes it; nothing when nobody logged in.
registry_user() { # registry
  local file=${DOCKER_CONFIG:-${HOME:-/nonexistent}/.docker}/config.json
  [[ -r $file ]] || return 0
  jq -r --arg registry "$1" '.auths[$registry].auth // empty | @base64d | gsub("\\\\"; "\\\\") | gsub("\""; "\\\"") | "\"\(.)\""' "$file" 2>/dev/null || true
}

# Asks everything noted since registry_begin; what a registry wants a token for is asked again with one.
registry_answers() {
  registry_fetch
  registry_knock
  registry_fetch
  registry_asked=()
}

# Gets the tokens that the answers ask for, one a repository, and notes those questions again.
registry_knock() {
  local out registry path kind reference
  for out in "${!registry_asked[@]}"; do
    [[ ${REGISTRY_STATUS["$out"]} == 401 ]] || continue
    read -r registry path kind reference <<<"${registry_asked["$out"]}"
    [[ ${registry_tokens["$registry/$path"]+asked} ]] || registry_tokens["$registry/$path"]=$(registry_token "$registry" "$path" "$out.headers")
    if [[ ${registry_tokens["$registry/$path"]} ]]; then registry_ask "$registry" "$path" "$kind" "$reference" "$out"; fi
  done
}

# Prints the token that a registry hands out for reading a repository (or for more: pull,push); nothing when it does not, or speaks
# of no such thing.
registry_token() { # registry path headers [actions]
  local challenge realm service
  challenge=$(tr -d '\r' <"$3" 2>/dev/null | sed -nE 's/^[Ww][Ww][Ww]-[Aa]uthenticate: *[Bb]earer +//p' | tail -n 1) || return 0
  realm=$(sed -nE 's/(.*,)? *realm="([^"\\]*)".*/\2/p' <<<"$challenge")
  service=$(sed -nE 's/(.*,)? *service="([^"\\]*)".*/\2/p' <<<"$challenge")
  # Credentials go nowhere without TLS.
  [[ $realm =~ ^https://[^[:space:]]+$ ]] || return 0
  {
    printf 'url = "%s"\nget\nsilent\nfail\nproto = "=https"\nconnect-timeout = 5\nmax-time = 30\nmax-filesize = 1000000\n' "$realm"
    [[ ! $service ]] || printf 'data-urlencode = "service=%s"\n' "$service"
    printf 'data-urlencode = "scope=repository:%s:%s"\n' "$2" "${4:-pull}"
    [[ ! ${REGISTRY_CA:-} ]] || printf 'cacert = "%s"\n' "$REGISTRY_CA"
    [[ ! ${registry_users[$1]} ]] || printf 'user = %s\n' "${registry_users[$1]}"
  } | curl --disable --config - 2>/dev/null | jq -r '.token // .access_token // empty | strings | select(test("\\A[A-Za-z0-9._~+/=-]+\\z"))' 2>/dev/null || true
}

# Asks what is noted, sixteen at a time.
registry_fetch() {
  local status code file part came=()
  [[ -s $registry_work/questions ]] || return 0
  # A curl keeps some kilobytes for every question it was told of. Passwords are in them, as in the file they come from.
  (umask 077 && awk -v part="$registry_work/questions." '$0 == "next" { n++; if (n % 2000 == 0) next } { print > (part int(n / 2000)) }' "$registry_work/questions")
  while read -r status code file; do
    if ((code != 0)) && [[ $status == 2* ]]; then status=000; fi
    REGISTRY_STATUS[$file]=$status
    if [[ $status == 200 && -f $file ]]; then came+=("$file"); fi
  done < <(for part in "$registry_work"/questions.*; do curl --disable --parallel --parallel-max 16 --config "$part" 2>/dev/null || true; done)
  rm -f "$registry_work"/questions.*
  : >"$registry_work/questions"
  ((${#came[@]})) || return 0
  printf '%s\0' "${came[@]}" | xargs -0 sha256sum >"$registry_work/digests" || fail 69 "the answers of a registry cannot be read here: is there room in ${TMPDIR:-/tmp}?"
  while read -r code file; do REGISTRY_DIGEST[$file]=sha256:$code; done <"$registry_work/digests"
  # curl cannot know how long an answer is that comes in pieces.
  while IFS= read -r file; do REGISTRY_STATUS[$file]=000; done < <(printf '%s\0' "${came[@]}" | xargs -0 stat --format='%s %n' | awk -v largest="$registry_largest" '$1 > largest { sub(/^[0-9]+ /, ""); print }')
}

# Says what an answer amounts to: 0 it is there, 65 it is not, 69 nobody can say; REGISTRY_WHY has the sentence.
registry_outcome() { # out
  local status=${REGISTRY_STATUS[$1]:-000}
  REGISTRY_WHY=
  case $status in
    200) return 0 ;;
    404) return 65 ;;
    401 | 403) REGISTRY_WHY="the registry refuses these credentials ($status): docker login" ;;
    429) REGISTRY_WHY="the registry has too much to do (429): try again later" ;;
    000) REGISTRY_WHY="the registry does not answer, or not with a certificate that is believed (REGISTRY_CA)" ;;
    *) REGISTRY_WHY="the registry answers $status: look at its log" ;;
  esac
  return 69
}

# True when an answer came and has this digest.
registry_is() { [[ ${REGISTRY_DIGEST[$1]:-} == "$2" ]]; } # out digest
