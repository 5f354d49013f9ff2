#!/usr/bin/env bats
# What scripts/test and scripts/setup promise.

setup() {
  load support
  make_copy
}

teardown() { remove_copy; }

# Replaces a tier of the copy.
tier() { # name body
  printf '#!/usr/bin/env bash\nsource "$(dirname "${BASH_SOURCE[0]}")/../tier.sh"\n%s\n' "$2" >"$COPY/scripts/lib/tiers/$1.sh"
}

# Makes two tiers of the copy run beside the others: one such tier is all the project has.
two_beside() {
  sed -i 's/^beside=(reproduce)$/beside=(reproduce fuzz)/; /^order=/s/ fuzz / /' "$COPY/scripts/test"
  grep -qx 'beside=(reproduce fuzz)' "$COPY/scripts/test"
}

@test "the last line sums what the tiers counted" {
  tier unit 'count passed 3'
  tier lint 'check "yes" true'
  run "$COPY/scripts/test" unit lint
  [ "$status" -eq 0 ]
  [ "${lines[-1]}" = "4 passed, 0 failed" ]
}

@test "a failed check fails the whole, its output is shown, and the others still run" {
  tier unit 'check "no" sh -c "echo because; exit 3"; check "yes" true'
  tier lint 'check "yes" true'
  run "$COPY/scripts/test" unit lint
  [ "$status" -eq 1 ]
  [ "${lines[-1]}" = "2 passed, 1 failed" ]
  [[ $output == *"| because"* ]]
}

@test "a check whose first step fails does not pass by its last" {
  tier unit 'steps() { false; true; }; check "steps" steps'
  run "$COPY/scripts/test" unit
  [ "${lines[-1]}" = "0 passed, 1 failed" ]
}

@test "a tier that cannot run is a failure with its reason" {
  rm -rf "$COPY/tests/browser"
  run "$COPY/scripts/test" browser
  [ "$status" -eq 1 ]
  [[ $output == *"tests/browser/run is missing"* ]]
  [ "${lines[-1]}" = "0 passed, 1 failed" ]
}

@test "a tier that tests nothing is a failure" {
  tier unit 'true'
  run "$COPY/scripts/test" unit
  [ "$status" -eq 1 ]
  [ "${lines[-1]}" = "0 passed, 1 failed" ]
}

@test "cargo's counts are read, and a build that fails counts" {
  tier unit 'cargo_tests "good" --lib'
  printf '#!/bin/sh\necho "test result: ok. 7 passed; 0 failed; 0 ignored"\necho "test result: ok. 2 passed; 0 failed; 0 ignored"\n' >"$COPY/stub/cargo"
  run "$COPY/scripts/test" unit
  [ "${lines[-1]}" = "9 passed, 0 failed" ]
  printf '#!/bin/sh\nexit 101\n' >"$COPY/stub/cargo"
  run "$COPY/scripts/test" unit
  [ "${lines[-1]}" = "0 passed, 1 failed" ]
}

@test "tiers nobody asked for are named" {
  tier unit 'count passed 1'
  run "$COPY/scripts/test" unit
  [[ $output == *"not asked for: lint"*"image"* ]]
}

@test "an unknown tier is refused before anything runs" {
  run "$COPY/scripts/test" unit nonsense
  [ "$status" -eq 64 ]
  [[ $output == *"no tier is called 'nonsense'"* ]]
}

@test "an interrupted test stops its cluster and takes its folder away" {
  tier unit 'test_cluster held; sleep 300 & echo "$WORK" >"$ROOT/work"; wait'
  TMPDIR=$COPY setsid env --default-signal=INT "$COPY/scripts/test" unit >"$COPY/out" 2>&1 3>&- &
  run_pid=$!
  wait_until 60 test -s "$COPY/work"
  [[ $(processes_of_copy) == *postgres* ]]
  end_run INT
  [ "$exit_code" -eq 130 ]
  [ "$(processes_of_copy)" = "" ]
  [ ! -e "$(<"$COPY/work")" ]
}

@test "tiers that compile for minutes run beside the others, one after another, and count" {
  two_beside
  tier unit 'count passed 1; touch "$ROOT/early"'
  # Each waits for the other, so that neither would end alone.
  tier postgres 'touch "$ROOT/before"; check "meets" wait_until 150 test -e "$ROOT/beside"'
  tier reproduce '[[ -e $ROOT/early ]]; touch "$ROOT/beside"; check "meets" wait_until 150 test -e "$ROOT/before"; check "low" test "$(nice)" = 19'
  tier fuzz 'check "after the other" test -e "$ROOT/beside"; check "no" sh -c "echo because; exit 3"'
  run "$COPY/scripts/test" fuzz reproduce unit postgres
  [ "$status" -eq 1 ]
  [ "${lines[-1]}" = "5 passed, 1 failed" ]
  [[ $output == *">> reproduce"*"reproduce    ok      low"*">> fuzz"*"fuzz            | because"* ]]
  # Alone they are tiers like any other.
  touch "$COPY/before"
  run "$COPY/scripts/test" unit
  [ "${lines[-1]}" = "1 passed, 0 failed" ]
  tier fuzz 'check "loud" test "$(nice)" = 0'
  run "$COPY/scripts/test" fuzz
  [ "${lines[-1]}" = "1 passed, 0 failed" ]
}

@test "tiers that wait run two at a time, every line says whose it is, and the table has them all" {
  # The first two wait for one another, so that neither would end alone; the third finds both gone on.
  tier postgres 'touch "$ROOT/one"; check "meets" wait_until 150 test -e "$ROOT/two"'
  tier rollout 'touch "$ROOT/two"; check "meets" wait_until 150 test -e "$ROOT/one"'
  tier root '[[ -e $ROOT/one && -e $ROOT/two ]]; check "no" sh -c "echo because; exit 3"'
  run "$COPY/scripts/test" postgres rollout root
  [ "$status" -eq 1 ]
  [ "${lines[-1]}" = "2 passed, 1 failed" ]
  [[ $output == *"postgres     ok      meets"* && $output == *"rollout      ok      meets"* && $output == *"root            | because"* ]]
  [[ $output == *"tier       result"*"rollout    passed"*"postgres   passed"*"root       FAILED"* ]]
}

@test "what compiles into the same folder is through before anything runs beside, whatever the order asked for" {
  tier postgres 'count passed 1; touch "$ROOT/after"'
  tier static 'check "nothing runs beside" test ! -e "$ROOT/beside"; check "and nothing came before" test ! -e "$ROOT/after"'
  tier reproduce 'touch "$ROOT/beside"; count passed 1'
  run "$COPY/scripts/test" postgres reproduce static
  [ "$status" -eq 0 ]
  [ "${lines[-1]}" = "4 passed, 0 failed" ]
}

@test "what runs beside and ends without a word is a failure, and the others' results are told" {
  two_beside
  tier postgres 'count passed 3; wait_until 150 test -e "$ROOT/gone"'
  # The shell that would begin the next is killed with it.
  tier reproduce 'touch "$ROOT/gone"; kill -KILL "$PPID"; sleep 300'
  run "$COPY/scripts/test" postgres reproduce fuzz
  [ "$status" -eq 1 ]
  [ "${lines[-1]}" = "3 passed, 2 failed" ]
}

@test "an interrupted test stops what runs beside, and begins nothing more" {
  two_beside
  tier postgres 'sleep 300 & wait'
  tier reproduce 'sleep 300 & echo "$WORK" >"$ROOT/work"; wait'
  tier fuzz 'touch "$ROOT/begun"'
  TMPDIR=$COPY setsid env --default-signal=INT "$COPY/scripts/test" postgres reproduce fuzz >"$COPY/out" 2>&1 3>&- &
  run_pid=$!
  wait_until 60 test -s "$COPY/work"
  end_run INT
  [ "$exit_code" -eq 130 ]
  [ "$(processes_of_copy)" = "" ]
  [ ! -e "$(<"$COPY/work")" ]
  [ ! -e "$COPY/begun" ]
}

@test "a second setup asks no package client" {
  "$ROOT/scripts/setup" rust postgres
  for client in pip npm apt-get rustup; do
    printf '#!/bin/sh\necho "%s was asked" >&2\nexit 1\n' "$client" >"$COPY/stub/$client"
    chmod 0755 "$COPY/stub/$client"
  done
  run "$COPY/scripts/setup" rust postgres
  [ "$status" -eq 0 ]
  [ "$output" = "" ]
}

@test "an unknown group of setup is refused" {
  run "$COPY/scripts/setup" nonsense
  [ "$status" -eq 64 ]
}
