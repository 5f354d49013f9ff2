# shellcheck shell=bash
# A namespace for each test, which refuses every pod that is not "restricted", and the chart in it.

# shellcheck source=tests/refused.bash
source "$ROOT/tests/refused.bash"
# shellcheck source=tests/client.bash
source "$ROOT/tests/client.bash"
for part in project log network process postgres; do
  # shellcheck source=/dev/null
  source "$ROOT/scripts/lib/$part.sh"
done

CHART=$ROOT/chart/mini-api

# Words of helm: the image, and who may pull it.
image_words() { # reference
  printf '%s\n' --set "image.repository=${1%@*}" --set "image.digest=${1#*@}" --set 'imagePullSecrets[0]=registry'
}

# Makes the namespace and goes there: kubectl and helm take it for theirs. Each test has a folder of its own, too.
# shellcheck disable=SC2034  # words of helm's command line, for the tests
new_namespace() {
  NAMESPACE=test-$(basename "$BATS_TEST_FILENAME" .bats)-$BATS_TEST_NUMBER
  cd "$BATS_TEST_TMPDIR" || return
  cp "$CLUSTER/admin.kubeconfig" kubeconfig
  KUBECONFIG=$PWD/kubeconfig
  export KUBECONFIG HELM_CACHE_HOME=$PWD/helm HELM_CONFIG_HOME=$PWD/helm HELM_DATA_HOME=$PWD/helm
  kubectl config set-context --current --namespace "$NAMESPACE" >/dev/null
  kubectl create namespace "$NAMESPACE" >&2
  kubectl label namespace "$NAMESPACE" pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/enforce-version=latest >&2
  kubectl create secret generic registry --type=kubernetes.io/dockerconfigjson --from-file=.dockerconfigjson="$PULL_SECRET" >&2
  mapfile -t ours < <(image_words "$MINI_API_IMAGE")
  mapfile -t next < <(image_words "$NEXT_IMAGE")
  bundled=(--set postgres.enabled=true --set "postgres.image.repository=${POSTGRES_IMAGE%@*}" --set "postgres.image.digest=${POSTGRES_IMAGE#*@}")
}

# Takes the namespace away with all that is in it. Not waited for, but for its pods: the next test has no room for them.
end_namespace() {
  [[ ! ${LOAD:-} ]] || kill "$LOAD" 2>/dev/null || true
  [[ ! ${WRITES:-} ]] || kill "$WRITES" 2>/dev/null || true
  [[ ! ${NAMESPACE:-} ]] || kubectl delete namespace "$NAMESPACE" --wait=false >/dev/null 2>&1 || true
  [[ ${BATS_TEST_COMPLETED:-} ]] || what_happened >&2
  kubectl delete pods --all --grace-period=1 >/dev/null 2>&1 || true
}

# What a person would look at after a failure.
what_happened() {
  kubectl get pods,jobs --output wide
  kubectl get events --sort-by=.metadata.creationTimestamp | tail -n 25
  for pod in $(kubectl get pods --output name); do
    echo "-- $pod"
    kubectl logs "$pod" --all-containers --tail=15
  done
}

# Installs or upgrades, and waits until everything is ready.
deploy() { # release words…
  local release=$1
  shift
  helm upgrade --install "$release" "$CHART" --wait --timeout 120s "$@" >helm.out 2>&1 || {
    cat helm.out >&2
    return 1
  }
}

# Goes to a release's service: BASE.
at() { # release
  BASE=http://$(kubectl get service "$1-mini-api" --output jsonpath='{.spec.clusterIP}')
  wait_until 30 ask /readyz
}

# Prints something of each pod of the service that is not on its way out, as jq names it.
pods() { # release path
  kubectl get pods --selector "app.kubernetes.io/instance=$1,app.kubernetes.io/component=api" --output json |
    jq -r ".items[] | select(.metadata.deletionTimestamp | not) | $2"
}

# True when no container of the service was ever started again.
never_restarted() { # release
  [[ $(pods "$1" '.status.containerStatuses[0].restartCount' | sort -u) == 0 ]]
}

# Registers users at a steady rate until `writes_end`, which prints what came of it.
writes_begin() { # [a-second]
  rm -f writes.stop writes.json
  python3 "$ROOT/tests/kubernetes/writes.py" "${BASE#http://}" "${1:-4}" writes.stop writes.json 3>&- &
  WRITES=$!
}

writes_end() {
  touch writes.stop
  wait "$WRITES" || true
  cat writes.json
}
