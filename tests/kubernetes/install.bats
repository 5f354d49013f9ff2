# The chart with the bundled database, on a cluster of two nodes: the life of an installation.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/namespace.bash"
  new_namespace
}

teardown() { end_namespace; }

@test "one command installs, in a namespace that refuses what is not restricted, and helm test finds it well" {
  deploy mini "${ours[@]}" "${bundled[@]}"
  at mini
  register ada@example.org
  me "$(login ada@example.org)"
  helm test mini
  # Both images came by digest, over TLS, with a login.
  [[ $(kubectl get pods --output json | jq -r '[.items[].status.containerStatuses[].imageID] | unique[]') == "$(printf '%s\n' "$POSTGRES_IMAGE" "$MINI_API_IMAGE" | sort)" ]]
  # Replicas are spread over the nodes.
  [[ $(pods mini '.spec.nodeName' | sort -u | wc -l) == 2 ]]
  # What the namespace would have warned of or refused, it would have said in an event.
  [[ ! $(kubectl get events --output json | jq -r '.items[] | select(.reason == "FailedCreate") | .message') ]]
}

@test "an upgrade and a rollback keep keys and tokens, and what was removed is found again by the next installation" {
  local keys token
  deploy mini "${ours[@]}" "${bundled[@]}"
  at mini
  register ada@example.org
  token=$(login ada@example.org)
  keys=$(kubectl get secret mini-mini-api --output json | jq -c .data)
  deploy mini "${next[@]}" "${bundled[@]}" --set settings.JWT_EXPIRE_MIN=5
  [[ $(pods mini '.status.containerStatuses[0].imageID' | sort -u) == "$NEXT_IMAGE" ]]
  me "$token"
  [[ $(ask /auth/login --json '{"email":"ada@example.org","password":"correct horse battery"}' | jq .expires_in) == 300 ]]
  helm rollback mini --wait --timeout 120s
  [[ $(pods mini '.status.containerStatuses[0].imageID' | sort -u) == "$MINI_API_IMAGE" ]]
  me "$token"
  helm uninstall mini --wait --timeout 120s
  # Left are the keys and the data, and nothing else of the installation.
  wait_until 60 only_keys_and_data || {
    left >&2
    false
  }
  deploy mini "${ours[@]}" "${bundled[@]}"
  [[ $(kubectl get secret mini-mini-api --output json | jq -c .data) == "$keys" ]]
  at mini
  me "$token"
}

# Prints what there is of an installation.
left() { kubectl get all,configmap,secret,pvc,networkpolicy,pdb,serviceaccount --selector app.kubernetes.io/instance=mini --output name | sort; }

# True when that is its Secret and its volume.
only_keys_and_data() { [[ $(left) == "$(printf '%s\n' persistentvolumeclaim/data-mini-mini-api-postgres-0 secret/mini-mini-api)" ]]; }

@test "two installations in one namespace do not know of one another" {
  local token
  deploy mini "${ours[@]}" "${bundled[@]}" --set replicaCount=1
  deploy other "${ours[@]}" "${bundled[@]}" --set replicaCount=1
  at mini
  register ada@example.org
  token=$(login ada@example.org)
  at other
  run login ada@example.org
  [[ $status != 0 ]]
  run me "$token"
  [[ $status != 0 ]]
  helm uninstall mini --wait --timeout 120s
  register eve@example.org
}

@test "a setting that is wrong never takes the place of pods that serve, and says so in one sentence" {
  deploy mini "${ours[@]}" "${bundled[@]}"
  at mini
  run helm upgrade mini "$CHART" --wait --timeout 20s "${ours[@]}" "${bundled[@]}" --set settings.JWT_EXPIRE_MIN=soon
  [[ $status != 0 ]]
  ask /health
  kubectl logs --selector app.kubernetes.io/component=api --tail=-1 | grep -F JWT_EXPIRE_MIN
  helm rollback mini --wait --timeout 60s
}

@test "another configuration starts the pods anew, and another number of them does not" {
  local before
  deploy mini "${ours[@]}" "${bundled[@]}" --set replicaCount=1
  before=$(pods mini '.metadata.name')
  deploy mini "${ours[@]}" "${bundled[@]}" --set replicaCount=2
  pods mini '.metadata.name' | grep -xF "$before"
  deploy mini "${ours[@]}" "${bundled[@]}" --set replicaCount=2 --set settings.JWT_EXPIRE_MIN=7
  wait_until 60 replaced "$before"
}

# True when none of the pods is that one.
replaced() { ! pods mini '.metadata.name' | grep -qxF "$1"; } # name

@test "a bundled database whose pod goes away comes back with what it held" {
  local token
  deploy mini "${ours[@]}" "${bundled[@]}"
  at mini
  register ada@example.org
  token=$(login ada@example.org)
  kubectl delete pod mini-mini-api-postgres-0 --wait=true
  kubectl wait --for=create pod/mini-mini-api-postgres-0 --timeout=30s
  kubectl wait --for=condition=Ready pod/mini-mini-api-postgres-0 --timeout=60s
  wait_until 30 me "$token"
  never_restarted mini
}

@test "a pull secret that is missing is told by the pod" {
  kubectl delete secret registry
  run helm upgrade --install mini "$CHART" --wait --timeout 15s "${ours[@]}" "${bundled[@]}" --set image.pullPolicy=Always
  [[ $status != 0 ]]
  kubectl get events --output json | jq -e '[.items[] | select(.reason == "FailedToRetrieveImagePullSecret" and (.message | contains("registry")))] | length > 0'
  [[ $(pods mini '.status.containerStatuses[0].state.waiting.reason' | sort -u) =~ ^(ErrImagePull|ImagePullBackOff) ]]
}
