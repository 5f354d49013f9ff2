# shellcheck shell=bash
# scripts/bench kubernetes: what a cluster adds: from a pod's container to its readiness, what a rolling update costs those who are
# served, and what more replicas are good for. Runs on the cluster of tests/kubernetes, with its database outside of it.

# Measures all of it; begins again on the cluster.
bench_kubernetes() {
  if [[ ! ${CLUSTER:-} ]]; then
    need wrk "apt-get install wrk"
    exec "$ROOT/tests/kubernetes/cluster" "$ROOT/scripts/bench" kubernetes
  fi
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/mini-api-bench.XXXXXX")
  chmod 0711 "$WORK"
  BATS_TEST_FILENAME=bench BATS_TEST_NUMBER=1 BATS_TEST_TMPDIR=$WORK
  # shellcheck source=tests/kubernetes/namespace.bash
  source "$ROOT/tests/kubernetes/namespace.bash"
  # shellcheck source=tests/kubernetes/database.bash
  source "$ROOT/tests/kubernetes/database.bash"
  # shellcheck source=tests/release/registries.bash
  source "$ROOT/tests/release/registries.bash"
  trap 'database_end; rm -rf "$WORK"' EXIT
  database_start 2>"$WORK/log"
  new_namespace 2>"$WORK/log"
  new_database 2>"$WORK/log"
  deploy mini "${ours[@]}" "${external[@]}" --set replicaCount=4
  at mini >/dev/null
  register ada@example.org >/dev/null
  TOKEN=$(login ada@example.org)
  printf '| what | goal | measured | least–most | verdict |\n|---|---|---|---|---|\n'
  kubernetes_ready
  kubernetes_update
  kubernetes_replicas
}

# From the moment when containerd made a pod's container to that when the API server says it is ready.
kubernetes_ready() {
  local pod before
  say "measuring: container created to ready"
  for _ in {1..7}; do
    kubernetes_pods >"$WORK/before"
    pod=$(shuf -n 1 "$WORK/before")
    kubectl delete "$pod" --wait=false >/dev/null
    wait_until 30 kubernetes_successor "$WORK/before"
    before=$pod
    pod=$(<"$WORK/successor")
    kubectl wait --for=condition=Ready "$pod" --timeout=60s >/dev/null
    # Both clocks are this machine's.
    kubernetes_since_created "$pod" "$(date +%s.%N)"
    kubectl wait --for=delete "$before" --timeout=60s >/dev/null
  done >"$WORK/ready"
  deploy_line "container created to ready" 1 s "$WORK/ready"
}

# Prints the service's pods.
kubernetes_pods() { kubectl get pods --selector app.kubernetes.io/component=api --output name | sort; }

# True when there is a pod that was not there before; writes it down.
kubernetes_successor() { # file-of-pods-before
  kubernetes_pods | comm -13 "$1" - >"$WORK/successor"
  [[ -s $WORK/successor ]]
}

# Prints how long before a moment containerd made the pod's container.
kubernetes_since_created() { # pod moment
  local id node created
  id=$(kubectl get "$1" --output jsonpath='{.status.containerStatuses[0].containerID}')
  node=$(kubectl get "$1" --output jsonpath='{.spec.nodeName}')
  created=$(nsenter --target "$(<"$CLUSTER/node-${node#node}.pid")" --mount -- ctr --namespace k8s.io containers info "${id#containerd://}" | jq -r .CreatedAt)
  awk -v from="$(date -d "$created" +%s.%N)" -v to="$2" 'BEGIN { printf "%.3f\n", to - from }'
}

# How much longer the slowest of a hundred requests take while four replicas are replaced.
kubernetes_update() {
  local image=$NEXT_IMAGE
  say "measuring: p99 at rest and during a rolling update, in turns"
  for _ in 1 2 3; do
    deploy_load rest sleep 15
    deploy_load update deploy mini "${ours[@]}" "${external[@]}" --set replicaCount=4 --set "image.digest=${image#*@}"
    [[ $image == "$NEXT_IMAGE" ]] && image=$MINI_API_IMAGE || image=$NEXT_IMAGE
    say "   $(jq -c . rest.json) at rest, $(jq -c . update.json) during the update"
    # shellcheck disable=SC2016  # jq expands them
    jq -n --slurpfile rest rest.json --slurpfile update update.json '$update[0].p99_ms - $rest[0].p99_ms'
  done >"$WORK/added"
  deploy_line "p99 that a rolling update of 4 replicas adds (100 requests a second)" 20 ms "$WORK/added"
}

# Requests a second through the Service, with one replica, two and four, in turns.
kubernetes_replicas() {
  local replicas
  say "measuring: requests a second with 1, 2 and 4 replicas, in turns"
  for _ in 1 2 3; do
    for replicas in 1 2 4; do
      kubectl scale deployment/mini-mini-api --replicas="$replicas" >/dev/null
      kubectl rollout status deployment/mini-mini-api >/dev/null
      wait_until 60 kubernetes_alone "$replicas"
      wrk --threads 1 --connections 32 --duration 8s --header "Authorization: Bearer $TOKEN" "$BASE/users/me" |
        awk '/Requests\/sec/ { print $2 }' >>"$WORK/replicas-$replicas"
    done
  done
  for replicas in 1 2 4; do
    sort -n "$WORK/replicas-$replicas" | awk -v replicas="$replicas" '{ all[NR] = $1 } END {
      printf "| requests a second, %d replicas | – | **%d** | %d–%d | – |\n", replicas, all[int((NR + 1) / 2)], all[1], all[NR] }'
  done
}

# True when so many pods are there, and none that is still ending.
kubernetes_alone() { # number
  [[ $(kubectl get pods --selector app.kubernetes.io/component=api --output name | wc -l) == "$1" ]]
}
