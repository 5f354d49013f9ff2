# docs/kubernetes.md, typed as it stands.

bats_require_minimum_version 1.5.0

setup_file() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/database.bash"
  source "$BATS_TEST_DIRNAME/namespace.bash"
  source "$ROOT/tests/release/registries.bash"
  database_start 3>&-
}

teardown_file() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/database.bash"
  source "$BATS_TEST_DIRNAME/namespace.bash"
  database_end
}

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/namespace.bash"
  source "$BATS_TEST_DIRNAME/database.bash"
  cd "$BATS_TEST_TMPDIR"
  (cd "$ROOT" && git ls-files --cached --others --exclude-standard -- k8s chart deploy scripts policy .env.example | tar --create --files-from=-) | tar --extract
  ln -s "$ROOT/.tools" .tools
  export HELM_CACHE_HOME=$PWD/helm HELM_CONFIG_HOME=$PWD/helm HELM_DATA_HOME=$PWD/helm
}

teardown() {
  [[ ${BATS_TEST_COMPLETED:-} ]] || NAMESPACE=demo what_happened >&2
  kubectl delete namespace demo --ignore-not-found --wait=true --timeout=60s >&2
}

# Runs the n-th block of commands of the page.
page_runs() { # n
  local script
  script=$(awk -v wanted="$1" '/^```bash$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside && n == wanted' "$ROOT/docs/kubernetes.md")
  [[ $script ]]
  bash -euo pipefail -c "$script"
}

@test "the page is true: a database of one's own" {
  page_runs 1
  sql "CREATE ROLE page LOGIN PASSWORD 'only-for-tests'"
  sql "CREATE DATABASE page OWNER page"
  printf only-for-tests >password
  cp "$CLUSTER/database/tls/ca.pem" ca.crt
  DB_HOST=$DATABASE_HOST DB_NAME=page DB_USER=page page_runs 2
}

@test "the page is true: the bundled database, an upgrade, a rollback, and the end" {
  page_runs 1
  page_runs 3
  page_runs 5
}

@test "the page is true: without Helm" {
  page_runs 1
  page_runs 4
}
