# The configuration of Fluent Bit and the script that turns its files over, without an engine.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/site.bash"
  configuration=$ROOT/deploy/fluent-bit/fluent-bit.yaml
}

check() { python -B "$ROOT/tests/deploy/fluent_bit.py" "$@"; }

@test "every option in the configuration is one of Fluent Bit's, in the examples for a SIEM as well" {
  check "$configuration"
  check --examples "$configuration"
}

@test "a slip in the configuration is found, of whichever kind" {
  local slip
  for slip in 's/storage.max_chunks_up/storage.max_chunks/' 's/name: rewrite_tag/name: rewritetag/' 's/time_key/timekey/' \
    's/parser: line_of_the_service/parser: line_of_service/' 's/match: security/match: secrets/' 's/ requests false/ requests/' \
    's/storage.type: filesystem/storage.type: disk/' '/storage.path/d' '/storage.total_limit_size/d' 's/(api|migrate)/(api|migrate/' \
    's/format: plain/format: json/' '/^      file:/d' '/key_name/d' 's/^parsers:/parser:/' 's/^  outputs:/  output:/' 's/64M/64 M/'; do
    sed -E "$slip" "$configuration" >"$BATS_TEST_TMPDIR/slip.yaml"
    run cmp -s "$configuration" "$BATS_TEST_TMPDIR/slip.yaml"
    [[ $status == 1 ]] || { echo "this slip changes nothing: $slip" && return 1; }
    run check "$BATS_TEST_TMPDIR/slip.yaml"
    [[ $status == 1 && $output ]] || { echo "this slip was not found: $slip" && return 1; }
  done
  sed 's/ca_file/cafile/' "$configuration" >"$BATS_TEST_TMPDIR/slip.yaml"
  check "$BATS_TEST_TMPDIR/slip.yaml"
  run check --examples "$BATS_TEST_TMPDIR/slip.yaml"
  [[ $status == 1 && $output == *"no option is called tls.cafile"* ]]
}

@test "a file that has grown is turned over, the oldest goes, and bad limits are refused" {
  local keeper
  mkdir "$BATS_TEST_TMPDIR/logs"
  printf 'first\n' >"$BATS_TEST_TMPDIR/logs/security.log.1"
  printf 'second\n' >"$BATS_TEST_TMPDIR/logs/security.log.2"
  head -c 1000001 /dev/zero >"$BATS_TEST_TMPDIR/logs/security.log"
  printf 'small\n' >"$BATS_TEST_TMPDIR/logs/requests.log"
  LOGS=$BATS_TEST_TMPDIR/logs LOG_MEGABYTES=1 LOG_FILES=2 setsid sh "$ROOT/deploy/fluent-bit/keep" 3>&- &
  keeper=$!
  wait_until 5 test ! -e "$BATS_TEST_TMPDIR/logs/security.log"
  process_end "$keeper" 5
  [[ $(<"$BATS_TEST_TMPDIR/logs/security.log.2") == first ]]
  (($(wc -c <"$BATS_TEST_TMPDIR/logs/security.log.1") == 1000001))
  [[ $(cd "$BATS_TEST_TMPDIR/logs" && echo *) == 'buffer requests.log security.log.1 security.log.2' ]]
  LOGS=$BATS_TEST_TMPDIR/logs LOG_MEGABYTES=50M refused 78 'LOG_MEGABYTES is' sh "$ROOT/deploy/fluent-bit/keep"
  LOGS=$BATS_TEST_TMPDIR/logs LOG_FILES=0 refused 78 'LOG_FILES is' sh "$ROOT/deploy/fluent-bit/keep"
}
