# shellcheck shell=bash
# Few users and many: both services stand side by side and take turns.

measure_rows() {
  local round size all=$WORK/tokens
  local -A rows=([few]=1000 [many]=$MANY) addresses=() pids=()
  for size in few many; do
    say "making ${rows[$size]} users"
    sql postgres "CREATE DATABASE $size OWNER bench"
    people "$size" "${rows[$size]}"
    "$LOAD" tokens --secret-file "$WORK/secret" --rows "${rows[$size]}" --count 10000 >"$all.$size"
    serve "$size"
    addresses[$size]=$ADDRESS pids[$size]=$SERVICE
  done
  sql many "CHECKPOINT"
  for ((round = 0; round <= ROUNDS; round++)); do
    for size in few many; do
      ADDRESS=${addresses[$size]} SERVICE=${pids[$size]}
      cp "$all.$size" "$all"
      if ((round == 0)); then
        # The first round only warms.
        wrk_on /users/me 32 "$SECONDS_A_TURN" >/dev/null
      else
        record rows "me/$size" "$(wrk_on /users/me 32 "$SECONDS_A_TURN")"
        record rows "login/$size" "$(flood "${rows[$size]}" 16 "$((SECONDS_A_TURN * 2))")"
      fi
    done
  done
}
