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

@test "the API server takes every value of the chart as it is written, and what Prometheus' operator adds as well" {
  kubectl apply --server-side --filename "$ROOT/.tools/crds" >&2
  kubectl wait --for=condition=Established --timeout=30s customresourcedefinition/servicemonitors.monitoring.coreos.com customresourcedefinition/prometheusrules.monitoring.coreos.com
  helm template mini "$CHART" "${ours[@]}" --set database.host=db.test --set database.existingSecret=mini-database --values "$ROOT/tests/chart/everything.yaml" >everything.yaml
  kubectl apply --server-side --dry-run=server --validate=strict --filename everything.yaml --output name >taken
  [[ $(grep -c '^kind: ' everything.yaml) == "$(wc -l <taken)" ]]
  for kind in ingress horizontalpodautoscaler networkpolicy poddisruptionbudget servicemonitor prometheusrule; do grep "^$kind" taken; done
  # A word that nobody knows would have been refused.
  sed 's/scrapeTimeout:\|interval:/intervall:/' everything.yaml >misspelled.yaml
  run kubectl apply --server-side --dry-run=server --validate=strict --filename misspelled.yaml
  [[ $status != 0 && $output == *intervall* ]]
}

@test "behind an Ingress the throttle knows clients by their own addresses, if the controller's pods are trusted" {
  deploy mini "${ours[@]}" "${bundled[@]}" --set replicaCount=1 --set settings.LOGIN_LIMIT_NETWORK=3/3600
  at mini
  register ada@example.org
  proxied
  # As long as nobody is trusted, all clients are one.
  three_failures
  run other_client
  [[ $output == 429 ]]
  deploy mini "${ours[@]}" "${bundled[@]}" --set replicaCount=1 --set settings.LOGIN_LIMIT_NETWORK=3/3600 --set 'trustedProxies[0]=10.244.0.0/16'
  wait_until 30 ask /readyz
  three_failures
  [[ $(other_client) == 200 ]]
}

# Puts the proxy that controllers of Ingress are made of before the service, in a pod as theirs: BASE.
proxied() {
  printf '%s\n' 'defaults' '  mode http' '  timeout connect 5s' '  timeout client 30s' '  timeout server 30s' '  option forwardfor' \
    'frontend all' '  bind :8080' "  default_backend service" 'backend service' "  server service mini-mini-api:80" >haproxy.cfg
  kubectl create configmap proxy --from-file=haproxy.cfg
  kubectl apply --filename - <<YAML
apiVersion: v1
kind: Pod
metadata: {name: proxy}
spec:
  imagePullSecrets: [{name: registry}]
  nodeSelector: {kubernetes.io/hostname: node1}
  securityContext: {runAsNonRoot: true, runAsUser: 99, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: haproxy
      image: $HAPROXY_IMAGE
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: configuration, mountPath: /usr/local/etc/haproxy}]
  volumes: [{name: configuration, configMap: {name: proxy}}]
YAML
  kubectl wait --for=condition=Ready pod/proxy --timeout=60s
  BASE=http://$(kubectl get pod proxy --output jsonpath='{.status.podIP}'):8080
  wait_until 30 ask /readyz
}

# One client is wrong until it is told to come later, whatever it says of where it comes from.
three_failures() {
  local n code
  for n in 1 2 3 4; do
    code=$(curl --silent --output /dev/null --write-out '%{http_code}' --header "X-Forwarded-For: 192.0.2.$n" --interface 10.250.0.21 \
      --json '{"email":"nobody@example.org","password":"wrong horse battery"}' "$BASE/auth/login")
  done
  [[ $code == 429 ]]
}

# Logs in from another address; prints the status.
other_client() {
  curl --silent --output /dev/null --write-out '%{http_code}' --interface 10.250.0.22 \
    --json '{"email":"ada@example.org","password":"correct horse battery"}' "$BASE/auth/login"
}
