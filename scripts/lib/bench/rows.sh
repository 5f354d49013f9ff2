# shellcheck shell=bash
# Few users and many: both services stand side by side and take turns.

measure_rows() {
  local round seconds=$SECONDS_A_TURN size few many tokens=$WORK/tokens
  sql postgres "CREATE DATABASE few OWNER bench"
  sql postgres "CREATE DATABASE many OWNER bench"
  say "making $MANY users"
  people few 1000
  people many "$MANY"
  sql many "CHECKPOINT"
  "$LOAD" tokens --secret-file "$WORK/secret" --rows 1000 --count 1000 >"$tokens.few"
  "$LOAD" tokens --secret-file "$WORK/secret" --rows "$MANY" --count 10000 >"$tokens.many"
  serve few
  few=$ADDRESS
  serve many
  many=$ADDRESS
  for ((round = 0; round <= ROUNDS; round++)); do
    for size in few many; do
      ADDRESS=${!size}
      cp "$tokens.$size" "$tokens"
      # The first round only warms.
      ((round)) || {
        wrk_on /users/me 32 1 >/dev/null
        continue
      }
      record rows "me/$size" "$(wrk_on /users/me 32 "$seconds")"
      record rows "login/$size" "$(ROWS=$([[ $size == few ]] && echo 1000 || echo "$MANY") flood 16 "$seconds")"
    done
  done
}
