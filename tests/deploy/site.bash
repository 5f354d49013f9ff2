# shellcheck shell=bash
# A site: a copy of what is deployed, with a name and ports of its own, so that tests are in nobody's way.

# shellcheck source=tests/refused.bash
source "$ROOT/tests/refused.bash"
# shellcheck source=tests/client.bash
source "$ROOT/tests/client.bash"
for part in project log network process; do
  # shellcheck source=/dev/null
  source "$ROOT/scripts/lib/$part.sh"
done

# Makes the site, admits its images, and goes there. Words are lines of .env.
new_site() { # NAME=VALUE…
  local line
  SITE=$BATS_TEST_TMPDIR/site
  mkdir -p "$SITE"
  (cd "$ROOT" && git ls-files --cached --others --exclude-standard -- scripts policy deploy docs 'compose*.yaml' .env.example Cargo.toml Containerfile migrations |
    while IFS= read -r file; do [[ ! -f $file ]] || echo "$file"; done | tar --create --files-from=-) | tar --directory "$SITE" --extract
  ln -s "$ROOT/.tools" "$SITE/.tools"
  cd "$SITE" || return
  API_PORT=$(free_port)
  PROJECT=site-$BATS_SUITE_TEST_NUMBER-$API_PORT
  cp .env.example .env
  for line in "API_PORT=$API_PORT" API_BIND=127.0.0.1 "COMPOSE_PROJECT_NAME=$PROJECT" "$@"; do set_env "$line"; done
  scripts/compose init
  policy/admit --write-env images.env "MINI_API_IMAGE=$MINI_API_IMAGE" "POSTGRES_IMAGE=$POSTGRES_IMAGE"
  BASE=http://127.0.0.1:$API_PORT
}

# Sets a line of .env.
set_env() { # NAME=VALUE
  { grep -v "^${1%%=*}=" .env && printf '%s\n' "$1"; } >.env.new
  mv .env.new .env
}

# Takes the site down with its data.
end_site() {
  [[ ! ${SITE:-} ]] || (cd "$SITE" && scripts/compose down --volumes --timeout 5 --remove-orphans >/dev/null 2>&1 || true)
}

# Prints the id of a service's container.
container() { scripts/compose ps --quiet "$1"; } # service

# Runs the n-th block of commands of a page, with short watches and few requests.
page_runs() { # page n
  local script
  script=$(awk -v wanted="$2" '/^```bash$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside && n == wanted' "$ROOT/docs/$1")
  [[ $script ]]
  ROLLOUT_ENOUGH=0 bash -euo pipefail -c "${script//--watch 300/--watch 3}" >page.log 2>&1 || {
    printf '%s\n' "$script" >&2
    cat page.log >&2
    return 1
  }
}
