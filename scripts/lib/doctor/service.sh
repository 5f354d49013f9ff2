# shellcheck shell=bash
# The containers beside the database: one that serves must be healthy, and none may fail.

# Prints a line for each container of this deployment but the database, one-shot ones left out: SERVICE NAME STATE, where "serves"
# stands before those that use the database.
service_containers() {
  database_neighbours "$(compose_setting COMPOSE_PROJECT_NAME mini-api)" --all --filter label=com.docker.compose.oneoff=False >"$TEMPORARY/ids" 2>/dev/null ||
    fail 69 "no engine answers"
  xargs --no-run-if-empty docker inspect <"$TEMPORARY/ids" | jq -r '.[] | .Config.Labels["com.docker.compose.service"] as $service
    | select($service | IN("db", "migrate", null) | not)
    | [if any(.Config.Env[]?; startswith("DB_HOST=")) then "serves" else "helps" end, $service, (.Name | ltrimstr("/")),
       if .State.Status != "running" then .State.Status else .State.Health.Status // "running" end] | @tsv'
}

doctor_service() {
  local kind service name state served='' serving=0 faults=()
  service_containers >"$TEMPORARY/containers"
  if [[ ! -s $TEMPORARY/containers ]]; then
    row service warning "nothing runs here yet" "scripts/compose up"
    return
  fi
  while IFS=$'\t' read -r kind service name state; do
    case $state in
      healthy | running)
        [[ $kind != serves ]] || serving=1
        row service ok "$name is $state"
        ;;
      starting) row service warning "$name is starting" "scripts/compose logs --tail 20 $service" ;;
      # Of two colours one may rest.
      exited | created) if [[ $kind == serves ]]; then served=$name,$state,$service; else faults+=("$name,$state,$service"); fi ;;
      *) faults+=("$name,$state,$service") ;;
    esac
  done <"$TEMPORARY/containers"
  if ((! serving)) && [[ $served ]]; then faults+=("$served"); fi
  for name in "${faults[@]}"; do
    IFS=, read -r name state service <<<"$name"
    row service bad "$name is $state" "scripts/compose logs --tail 20 $service, then scripts/compose up" 69
  done
}
