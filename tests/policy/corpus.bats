# One corpus for every engine: each says of each case what the corpus says, in the same words.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/corpus.bash"
}

# Fails, and prints them, when there are lines.
none() {
  local found
  found=$(cat)
  [[ ! $found ]] || {
    printf '%s\n' "$found" >&2
    return 1
  }
}

# Fails unless an engine says what the corpus says.
agrees() { # engine
  local place
  place=$(answers "$1")
  differences "$1" "$place" >&2
}

# The rules that files can break; the others are asked of registries.
rules() { table "$ROOT/policy/rules.tsv" | cut -f 1 | grep -vxE 'image-signed|promoted'; }

@test "the corpus has at least 120 cases, and every line of its table is whole" {
  (($(table "$CORPUS/cases.tsv" | wc -l) >= 120))
  table "$CORPUS/cases.tsv" | awk -F '\t' '
    NF != 6 || $1 !~ /^(accept|reject)$/ || $2 !~ "^" $1 "/[a-z0-9-]+[.](yaml|compose[.]yaml|Containerfile|config[.]json)$" || $6 == "" { print; next }
    ($1 == "accept") != ($3 == "-") { print; next }
    ($4 == "file") != ($2 !~ /[a-z0-9-][.]yaml$/ || $2 ~ /[.]compose[.]yaml$/) || $4 !~ /^(create|update|ephemeral|file)$/ { print; next }
    seen[$2]++ { print }' | none
  table "$CORPUS/cases.tsv" | cut -f 3 | grep -vx -- - | tr ',' '\n' | sort -u | comm -23 - <(rules | sort) | none
  # In order, and each once.
  table "$CORPUS/cases.tsv" | cut -f 3 | grep , | while IFS= read -r line; do
    [[ $(tr ',' '\n' <<<"$line" | LC_ALL=C sort -u | paste -sd ,) == "$line" ]] || echo "$line"
  done | none
}

@test "every file of the corpus is a case, and every case has its files" {
  {
    table "$CORPUS/cases.tsv" | cut -f 2
    table "$CORPUS/cases.tsv" | awk -F '\t' '$4 == "update" { sub(/^[a-z]+/, "old", $2); print $2 }'
    table "$CORPUS/cases.tsv" | awk -F '\t' '$2 ~ /[.]compose[.]yaml$/ { sub(/[.]compose[.]yaml$/, ".images.json", $2); print $2 }' |
      while IFS= read -r file; do if [[ -e $CORPUS/$file ]]; then echo "$file"; fi; done
    printf '%s\n' cases.tsv limits.tsv
  } | sort | diff - <(cd "$CORPUS" && find . -type f -printf '%P\n' | sort)
}

@test "an update changes something, and an ephemeral container is in its Pod" {
  local file
  table "$CORPUS/cases.tsv" | awk -F '\t' '$4 == "update" { print $2 }' | while IFS= read -r file; do
    if cmp --quiet "$CORPUS/$file" "$CORPUS/old/${file#*/}"; then echo "$file"; fi
  done | none
  table "$CORPUS/cases.tsv" | awk -F '\t' '$4 == "ephemeral" { print $2 }' | while IFS= read -r file; do
    grep -q '^  ephemeralContainers:' "$CORPUS/$file" || echo "$file"
  done | none
}

@test "every case is asked of an engine" {
  local engine
  for engine in "${engines[@]}"; do asked "$engine"; done | cut -f 2 | sort -u | diff - <(table "$CORPUS/cases.tsv" | cut -f 2 | sort)
}

@test "every rule has cases that break it alone, and near misses that may run; a file that is called by a rule breaks it" {
  local rule
  for rule in $(rules); do
    table "$CORPUS/cases.tsv" | awk -F '\t' -v rule="$rule" '$3 == rule { alone++ } index($2, "accept/" rule "-") == 1 { near++ } END { if (!alone || !near) print rule, alone + 0, near + 0 }'
    table "$CORPUS/cases.tsv" | awk -F '\t' -v rule="$rule" 'index($2, "reject/" rule "-") == 1 && ("," $3 ",") !~ ("," rule ",")'
  done | none
}

@test "every excuse has its reason, every reason excuses something, and none excuses an engine that lets something pass" {
  table "$CORPUS/cases.tsv" | cut -f 5 | tr ',' '\n' | grep -vx -- - | sort -u | diff - <(table "$CORPUS/limits.tsv" | awk -F '\t' '{ print $1 ":" $2 }' | sort)
  table "$CORPUS/limits.tsv" | awk -F '\t' 'NF != 4 || $3 !~ /^(skip|reject)$/ || $4 !~ /[.]$/' | none
  # What may run is excused from being asked only.
  table "$CORPUS/cases.tsv" | awk -F '\t' 'FNR == NR { if ($3 == "reject") refused[$1 ":" $2]; next } $1 == "accept" { n = split($5, list, ","); for (i = 1; i <= n; i++) if (list[i] in refused) print }' \
    "$CORPUS/limits.tsv" - | none
}

@test "the API server says what the corpus says" { agrees admission; }

# bats test_tags=alone
@test "Kyverno says what the corpus says" { agrees kyverno; }

@test "Gatekeeper says what the corpus says" { agrees gatekeeper; }

@test "conftest says what the corpus says" { agrees conftest; }

@test "policy/admit says what the corpus says" { agrees admit; }

@test "no engine is excused from what it does" {
  local engine place
  for engine in "${engines[@]}"; do
    place=$(answers "$engine")
    corpus_awk "$engine" 'FNR == NR { broken[$1] = $3; next } effect($5) == "reject" && broken[$2] == $3 { print $2 ": " engine " needs no excuse" }' "$place/answers" "$place/cases.tsv"
  done | none
}

@test "every message names object, place, image and rule in the words of POLICY.md, and ends with the remedy of rules.tsv" {
  local engine place faults=0
  for engine in "${engines[@]}"; do
    place=$(answers "$engine")
    misspoken "$engine" "$place" >&2 || faults=1
  done
  ((faults == 0))
}

@test "two engines that refuse a case say the same lines" {
  local engine place
  for engine in "${engines[@]}"; do
    place=$(answers "$engine")
    spoken "$engine" "$place" >"$BATS_TEST_TMPDIR/$engine.lines"
    cut -f 2 "$place/cases.tsv" >"$BATS_TEST_TMPDIR/$engine.asked"
    corpus_awk "$engine" 'effect($5) != "reject" { print $2 }' "$place/cases.tsv" | sort >"$BATS_TEST_TMPDIR/$engine.speaks"
  done
  cd "$BATS_TEST_TMPDIR"
  local other
  for engine in "${engines[@]}"; do
    for other in "${engines[@]}"; do
      [[ $engine != "$other" ]] || continue
      # Lines of one engine, of cases that the other speaks of too, that the other does not say.
      awk -F '\t' -v engine="$engine" -v other="$other" '
        FILENAME == ARGV[1] { asked[$1]; next }
        FILENAME == ARGV[2] { said[$0]; next }
        $1 in asked && !($0 in said) { print $1 ": " engine " says, and " other " does not: " $2 }' "$other.speaks" "$other.lines" "$engine.lines"
    done
  done | none
}
