# What this project deploys may run by its own policies; what it came from may not, and the manual shows what is said of it.

bats_require_minimum_version 1.5.0

setup_file() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  export PATH=$ROOT/.tools/venv/bin:$ROOT/.tools/bin:$PATH
  source "$BATS_TEST_DIRNAME/corpus.bash"
  source "$BATS_TEST_DIRNAME/ours.bash"
  ours_lay "$BATS_FILE_TMPDIR/ours"
}

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/corpus.bash"
}

# Fails unless an engine lets all of ours pass that it reads.
passes() { # engine
  local place=$BATS_FILE_TMPDIR/$1
  mkdir -p "$place"
  ln -s ../ours/accept "$place/"
  corpus_awk "$1" 'takes($2)' "$BATS_FILE_TMPDIR/ours/cases.tsv" >"$place/cases.tsv"
  (($(wc -l <"$place/cases.tsv") >= 3))
  ask "$1" "$place" || {
    cat "$place/log" >&2
    false
  }
  differences "$1" "$place" >&2 || {
    cat "$place"/messages/* >&2
    false
  }
}

@test "all that is deployed here is asked, and runs images by digest" {
  cd "$BATS_FILE_TMPDIR/ours/accept"
  for file in chart.yaml chart-with-database.yaml k8s.yaml; do
    (($(grep -c "image: registry.intra/[a-z]*/[a-z-]*@sha256:" "$file") >= 1))
    grep -qE '^kind: Deployment$' "$file"
  done
  for file in *.compose.yaml; do (($(grep -c '^    image: registry.intra/.*@sha256:' "$file") >= 2)); done
  # Every Compose file of the project but that for the desk, where images are built.
  { sed -n 's/^  ours_compose \([^>]*\) >.*/\1/p' "$BATS_TEST_DIRNAME/ours.bash" | tr ' ' '\n' && echo compose.dev.yaml; } | sort -u |
    diff - <(cd "$ROOT" && printf '%s\n' compose*.yaml airgap/compose.yaml | sort)
  jq -e '.config.Labels["org.opencontainers.image.title"] and .config.User' ours.config.json
}

@test "the API server lets chart and manifests pass" { passes admission; }

# bats test_tags=alone
@test "Kyverno lets chart and manifests pass" { passes kyverno; }

@test "Gatekeeper lets chart and manifests pass" { passes gatekeeper; }

@test "conftest lets chart, manifests, Compose files, Containerfile and image pass" { passes conftest; }

@test "policy/admit lets chart, manifests and Compose files pass" { passes admit; }

@test "what this project came from is refused, and the manual shows what is said" {
  local place=$BATS_FILE_TMPDIR/seed
  mkdir -p "$place"
  ln -s "$CORPUS/reject" "$place/"
  table "$CORPUS/cases.tsv" | grep -P '\treject/seed-' >"$place/cases.tsv"
  (($(wc -l <"$place/cases.tsv") >= 7))
  ask conftest "$place"
  [[ $(cut -f 2 "$place/answers" | sort -u) == reject ]]
  awk '/^<!-- messages -->/ { inside = 1 } /^<!-- \/messages -->/ { inside = 0 } inside && /: /' "$ROOT/policy/README.md" | sort >"$place/shown"
  (($(wc -l <"$place/shown") >= 10))
  cat "$place"/messages/reject_seed-{api-deployment.yaml,compose.compose.yaml,containerfile.Containerfile}.txt | sort | diff "$place/shown" -
}

@test "the table of the manual is what policy/table writes of the corpus" {
  "$ROOT/policy/table" --check
}

@test "the manual's lines for each engine stand in its folder as well" {
  local line
  (($(awk '/^```bash$/ { inside = 1; next } /^```$/ { inside = 0 } inside && !/^#/' "$ROOT/policy/README.md" | tee "$BATS_TEST_TMPDIR/lines" | wc -l) >= 12))
  while IFS= read -r line; do
    grep -qF -- "$line" "$ROOT"/policy/{admission,kyverno,gatekeeper,conftest}/README.md || { echo "$line" >&2 && false; }
  done <"$BATS_TEST_TMPDIR/lines"
}
