# shellcheck shell=bash
# A client of the API at BASE, in every test that deploys it.

# Asks the API; prints the answer, fails for a status of 400 or more.
ask() { # path curl-words…
  local path=$1
  shift
  curl --silent --show-error --fail-with-body --max-time 10 "$BASE$path" "$@"
}

register() { ask /auth/register --json "{\"email\":\"$1\",\"password\":\"correct horse battery\"}"; } # email

# Prints a token.
login() { ask /auth/login --json "{\"email\":\"$1\",\"password\":\"correct horse battery\"}" | jq -er .access_token; } # email

me() { ask /users/me --header "Authorization: Bearer $1"; } # token
