# shellcheck shell=bash
# What containers say: turned over by somebody, or a talkative one fills the disk.

doctor_logs() {
  local endless
  database_neighbours "$(compose_setting COMPOSE_PROJECT_NAME mini-api)" --all >"$TEMPORARY/ids" 2>/dev/null ||
    fail 69 "no engine answers"
  if [[ ! -s $TEMPORARY/ids ]]; then
    row logs ok "nothing runs here that would log"
    return
  fi
  # Other drivers than json-file turn over by themselves, or pass on.
  endless=$(xargs docker inspect <"$TEMPORARY/ids" | jq -r '[.[]
    | select(.HostConfig.LogConfig | .Type == "json-file" and (.Config["max-size"] // "") == "") | .Name | ltrimstr("/")] | join(", ")')
  if [[ $endless ]]; then
    row logs bad "the logs of $endless grow without end" "scripts/compose up, once compose.yaml says logging: options: max-size" 78
  else
    row logs ok "the logs of all containers are turned over"
  fi
}
