#!/usr/bin/env bash
# lint: form and laws. Nothing is built but what clippy reads.
# shellcheck source=scripts/lib/tier.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"
# shellcheck source=scripts/lib/laws.sh
source "$lib/laws.sh"

# Prints every shell script of the project, one a line.
shell_files() {
  project_files | while IFS= read -r file; do
    case $file in
      *.sh | *.bats) echo "$file" ;;
      *) if head -c 64 "$file" 2>/dev/null | head -n 1 | grep -aqE '^#!.*\b(ba)?sh$'; then echo "$file"; fi ;;
    esac
  done
}

# Checks every script with shellcheck, warnings and hints included.
shellcheck_all() { shell_files | grep -v '\.bats$' | xargs shellcheck; }

# Checks that every script is laid out as shfmt would.
shfmt_all() { shell_files | xargs shfmt --diff --indent 2 --case-indent; }

# Checks the YAML files; one of them is the frame of a script, which may be wider, and cases of the corpus are as they are.
yamllint_all() {
  local files
  mapfile -t files < <(project_files | grep -E '\.ya?ml$' | grep -Ev '/templates/|^k8s/postgres-configmap.yaml$|^policy/corpus/' || true)
  ((${#files[@]} == 0)) || yamllint --strict -d '{extends: default, rules: {line-length: {max: 140}, document-start: disable}}' "${files[@]}"
}

main() {
  "$scripts/setup" rust lint
  check "cargo fmt has nothing to change" cargo fmt --check
  check "clippy has no warning" cargo clippy --quiet --locked --all-targets -- -D warnings
  check "shellcheck has no remark" shellcheck_all
  check "shfmt has nothing to change" shfmt_all
  check "yamllint has no remark" yamllint_all
  check "hadolint has no remark" hadolint Containerfile
  local law
  for law in "${laws[@]}"; do check "law: ${law//_/ }" "law_$law"; done
}

main
