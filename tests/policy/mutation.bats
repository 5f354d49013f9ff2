# Every clause of the rules is there for a case: without it, the corpus is judged otherwise. What no case shows stands in survivors.tsv.

# bats file_tags=alone
bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  export PATH=$ROOT/.tools/venv/bin:$ROOT/.tools/bin:$PATH
  source "$BATS_TEST_DIRNAME/corpus.bash"
  cd "$BATS_TEST_TMPDIR"
}

# Fails unless enough clauses are needed by a case, and those that are not are the ones that survivors.tsv lists for these files. Where
# some clauses alone were taken away, the list may have more.
needed() { # least pattern-of-files [some]
  (($(grep -c '^killed ' told) >= $1)) || {
    tail -n 5 told >&2
    echo "only $(grep -c '^killed ' told) clauses were needed by a case" >&2
    return 1
  }
  local only=cat
  if [[ ${3:-} && ! ${FULL:-} ]]; then only="grep ^>"; fi
  # > no case needs it, and it is not listed; < it is listed, and needed or not there.
  diff <(table "$BATS_TEST_DIRNAME/survivors.tsv" | cut -f 1,2 | grep -E "^($2)	" | LC_ALL=C sort -u) \
    <(sed -nE 's/^SURVIVED ([a-z]+\.[a-z]+):[^ ]+ /\1\t/p' told | LC_ALL=C sort -u) | $only >wrong || true
  cat wrong >&2
  [[ ! -s wrong ]]
}

@test "what survives is listed with a reason" {
  table "$BATS_TEST_DIRNAME/survivors.tsv" | awk -F '\t' 'NF != 3 || $3 == ""' >wrong
  [[ ! -s wrong ]]
  [[ ! $(table "$BATS_TEST_DIRNAME/survivors.tsv" | cut -f 1,2 | sort | uniq -d) ]]
}

@test "each clause of policy/admit is needed by a case" {
  python3 "$BATS_TEST_DIRNAME/mutants.py" "$ROOT/policy/lib" "$CORPUS" "$BATS_TEST_DIRNAME/registries.txt" policy kubernetes compose judge >told
  needed 200 '[a-z]+\.py'
}

@test "of the Rego library every second clause, with --full each, is needed by a case" {
  python3 "$BATS_TEST_DIRNAME/mutants_rego.py" "$ROOT/policy" "$CORPUS" "$BATS_TEST_DIRNAME/registries.txt" "$ROOT/.tools/bin/conftest" \
    "$BATS_TEST_DIRNAME/survivors.tsv" >told
  needed 170 '[a-z]+\.rego' some
}

@test "of the API server's policy every third clause, with --full each, is needed by a case" {
  mkdir cluster
  ln -s "$CORPUS"/{accept,reject,old} cluster/
  asked admission | awk -F '\t' '$4 != "create"' >cluster/cases.tsv
  asked admission | awk -F '\t' '$4 == "create"' >>cluster/cases.tsv
  bash "$BATS_TEST_DIRNAME/mutants_cel.bash" "$BATS_TEST_TMPDIR/cluster/cases.tsv" >told
  needed 20 '[a-z]+\.cel' some
}
