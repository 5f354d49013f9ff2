# shellcheck shell=bash
# Kyverno's webhook beside an API server of our own (cluster.bash): its own program, outside of the cluster, on 127.0.0.1.

# Gives the cluster the kinds that Kyverno adds, and what its program looks for.
webhook_prepare() {
  kubectl apply --server-side --filename "$TOOLS/kyverno/crds" >/dev/null
  kubectl create namespace kyverno >/dev/null
  # Nothing is left out but what the policies leave out: as it comes, requests of nodes and in some namespaces are.
  kubectl --namespace kyverno create configmap kyverno --from-literal=resourceFilters= --from-literal=excludeGroups= >/dev/null
  kubectl --namespace kyverno create configmap kyverno-metrics >/dev/null
  kubectl --namespace kyverno create serviceaccount kyverno >/dev/null
}

# Starts it, and waits until it says that it is ready.
webhook_start() { # folder
  local folder=$1 name=kyverno-svc.kyverno.svc
  # The address stands in the webhook's configuration: it stays.
  [[ -s $folder/webhook.port ]] || free_port >"$folder/webhook.port"
  WEBHOOK=$(<"$folder/webhook.port")
  cluster_process "$folder" webhook env KYVERNO_NAMESPACE=kyverno KYVERNO_POD_NAME=kyverno-0 KYVERNO_DEPLOYMENT=kyverno \
    KYVERNO_SERVICEACCOUNT_NAME=kyverno KYVERNO_SVC=kyverno-svc INIT_CONFIG=kyverno METRICS_CONFIG=kyverno-metrics "$TOOLS/kyverno/kyverno-webhook" \
    --kubeconfig="$KUBECONFIG" --serverIP="127.0.0.1:$WEBHOOK" --webhookServerHost=127.0.0.1 --webhookServerPort="$WEBHOOK" --servicePort="$WEBHOOK" \
    --caSecretName="$name.kyverno-tls-ca" --tlsSecretName="$name.kyverno-tls-pair" --disableMetrics=true --metricsPort="$(free_port)" \
    --controllerRuntimeMetricsAddress=0 --admissionReports=false --loggingFormat=json --v=1
  wait_until 90 webhook_ready || cluster_give_up "$folder" "Kyverno's webhook did not become ready"
}

webhook_ready() { curl --silent --fail --insecure "https://127.0.0.1:$WEBHOOK/health/readiness"; }

# Puts the policy into force, with a list of registries, and waits until it is.
webhook_policy() { # registries
  kubectl apply --filename "$ROOT/policy/admission/namespace.yaml" >/dev/null
  "$ROOT/policy/render" --parameters kyverno --registries "$1" | kubectl apply --filename - >/dev/null
  kubectl apply --filename "$ROOT/policy/kyverno/policy.yaml" >/dev/null
  wait_until 60 policies_in_force || die "Kyverno's policy does not come into force"
}
