# References that are right or nearly so: every engine accepts those that the parser accepts, and no others.

bats_require_minimum_version 1.5.0

setup_file() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  cd "$BATS_FILE_TMPDIR"
  mkdir accept
  python3 "$ROOT/tests/release/near_misses.py" 600 "${SEED:-1}" | python3 "$BATS_TEST_DIRNAME/near_misses.py" "${SEED:-1}" .
  mv list.yaml accept/
  printf 'accept\taccept/list.yaml\t-\tcreate\t-\treferences that are right or nearly so\n' >cases.tsv
  # In a shell of its own: bats looks at every single command.
  bash "$BATS_TEST_DIRNAME/near_misses.bash" <references >parsed
}

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/corpus.bash"
}

# Fails, and prints which references an engine judges otherwise than the parser.
judges_alike() { # engine
  local place=$BATS_FILE_TMPDIR/$1
  mkdir "$place"
  ln -s ../accept ../cases.tsv "$place/"
  ask "$1" "$place" || {
    tail -n 20 "$place/log" >&2
    false
  }
  # A reference may have line ends; what is said of an object begins with its name.
  grep -aoE '^Deployment/r[0-9]+, container api \(|: (image-pinned|image-registry|[a-z-]+): [a-z]' "$place/messages/accept_list.yaml.txt" |
    awk '/^Deployment/ { name = substr($1, 12, length($1) - 12); next } /^: image-/ { print name; next } { print name, "is refused for another reason" }' |
    LC_ALL=C sort -u >"$place/refused"
  LC_ALL=C sort "$BATS_FILE_TMPDIR/parsed" | diff --label parser --label "$1" - "$place/refused" >"$place/differences" || {
    sed 's/^[<>] //' "$place/differences" | grep -E '^r[0-9]+$' | while IFS= read -r name; do
      printf '%s: %q\n' "$name" "$(tr '\n\0' '\1\n' <"$BATS_FILE_TMPDIR/references" | sed -n "$((${name#r} + 1))p" | tr '\1' '\n')"
    done >&2
    cat "$place/differences" >&2
    return 1
  }
}

@test "some hundred references are at hand, and the parser accepts many and refuses many" {
  local all refused
  all=$(tr -dc '\0' <"$BATS_FILE_TMPDIR/references" | wc -c)
  refused=$(wc -l <"$BATS_FILE_TMPDIR/parsed")
  ((all >= 400 && refused >= 100 && all - refused >= 100))
}

@test "the API server judges references as the parser does" { judges_alike admission; }

# bats test_tags=alone
@test "Kyverno judges references as the parser does" { judges_alike kyverno; }

@test "Gatekeeper judges references as the parser does" { judges_alike gatekeeper; }

@test "conftest judges references as the parser does" { judges_alike conftest; }

@test "policy/admit judges references as the parser does" { judges_alike admit; }
