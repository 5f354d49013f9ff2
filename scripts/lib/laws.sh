# shellcheck shell=bash
# The laws of the house that a search can check. Each prints the lines that break it, and fails if there is one.

# shellcheck disable=SC2034  # read by the lint tier
laws=(
  only_config_reads_the_environment
  only_the_store_speaks_sql
  auth_knows_neither_http_nor_sql
  http_never_touches_a_connection
  http_never_reads_a_password_hash
  user_depends_on_nothing_here
  nothing_is_named_latest
  no_path_of_one_machine
  scripts_are_strict
  links_between_pages_lead_somewhere
)

# Prints the files of the project: tracked, or new and not ignored.
project_files() {
  git -C "$ROOT" ls-files --cached --others --exclude-standard | while IFS= read -r file; do
    if [[ -f $ROOT/$file ]]; then echo "$file"; fi
  done
}

# Fails, and prints where, when a pattern occurs in the code (comments do not count) of the given files.
never_in() { # pattern file…
  local pattern=$1 found
  shift
  (($#)) || return 0
  found=$(grep -nHE "$pattern" "$@" | grep -vE '^[^:]+:[0-9]+:\s*(//|#|--)' || true)
  [[ -z $found ]] || {
    printf '%s\n' "$found"
    return 1
  }
}

# Prints the Rust files below the given paths of src.
sources() { # path…
  local path
  for path in "$@"; do
    find "src/$path" "src/$path.rs" -name '*.rs' 2>/dev/null || true
  done
}

law_only_config_reads_the_environment() {
  local files
  mapfile -t files < <(find src -name '*.rs' -not -path 'src/config*' -not -path src/main.rs -not -path '*/tests/*')
  never_in '\benv::(var|vars|var_os|vars_os)\b' "${files[@]}"
}

law_only_the_store_speaks_sql() {
  local files
  mapfile -t files < <(find src -name '*.rs' -not -path 'src/store*')
  never_in '"[^"]*\b(SELECT .* FROM|SELECT 1|INSERT INTO|UPDATE [a-z_]+ SET|DELETE FROM|CREATE (TABLE|INDEX|UNIQUE)|ALTER TABLE|DROP TABLE)\b' "${files[@]}"
}

law_auth_knows_neither_http_nor_sql() {
  local files
  mapfile -t files < <(sources auth)
  never_in '\b(poem|poem_openapi|hyper|hyper_util|tokio_postgres|deadpool_postgres)::|crate::http\b' "${files[@]}"
}

law_http_never_touches_a_connection() {
  local files
  mapfile -t files < <(sources http)
  never_in '\b(tokio_postgres|deadpool_postgres|refinery|scrypt|bcrypt)::' "${files[@]}"
}

law_http_never_reads_a_password_hash() {
  local files
  mapfile -t files < <(sources http)
  never_in '\bexpose_hash\b' "${files[@]}"
}

law_user_depends_on_nothing_here() {
  local files
  mapfile -t files < <(sources user)
  never_in '\bcrate::|\bsuper::(auth|config|http|store)' "${files[@]}"
}

law_nothing_is_named_latest() {
  local files
  mapfile -t files < <(project_files | grep -E '(^|/)(Containerfile|compose[^/]*|Makefile)$|^(scripts|airgap|k8s|chart|\.github)/' |
    grep -vE '^scripts/lib/laws\.sh$|/corpus/|/tests?/' || true)
  never_in ':latest\b' "${files[@]}"
}

law_no_path_of_one_machine() {
  local files
  mapfile -t files < <(project_files | grep -vE '^scripts/lib/laws\.sh$' || true)
  never_in '(^|[^a-zA-Z0-9_.$}])/(work|root|Users/[a-z]+|home/[a-z]+)/' "${files[@]}"
}

law_scripts_are_strict() {
  local file faults=0
  while IFS= read -r file; do
    [[ -x $file ]] || continue
    head -n 1 "$file" | grep -qa '^#!.*bash$' || continue
    grep -qE '^set -euo pipefail$|/tier\.sh"$' "$file" || {
      echo "$file: no strict mode"
      faults=1
    }
  done < <(project_files)
  return "$faults"
}

law_links_between_pages_lead_somewhere() {
  local file target faults=0
  while IFS= read -r file; do
    while IFS= read -r target; do
      [[ -e $(dirname "$file")/${target%%#*} ]] || {
        echo "$file: no $target"
        faults=1
      }
    done < <(grep -oE '\]\([^)]+\)' "$file" | sed -E 's/^\]\(//; s/\)$//' | grep -vE '^(https?:|#|mailto:)' || true)
  done < <(project_files | grep '\.md$')
  return "$faults"
}
