#!/usr/bin/env bash
# mutants_cel CASES.tsv: asks mutants_cel.py about Kubernetes cases, of which those with old objects come first, beside an API server of
# our own that writes down what policies would have refused.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
for part in project log network process; do
  # shellcheck source=/dev/null
  source "$ROOT/scripts/lib/$part.sh"
done
# shellcheck source=tests/policy/cluster.bash
source "$ROOT/tests/policy/cluster.bash"

# The API server is started with an audit log besides.
eval "plain_$(declare -f cluster_process)"
cluster_process() { # folder name command…
  if [[ $2 == apiserver ]]; then set -- "$@" --audit-policy-file="$1/audit.yaml" --audit-log-path="$1/audit.log" --audit-log-mode=blocking; fi
  plain_cluster_process "$@"
}

main() {
  CLUSTER=$(mktemp -d)
  trap 'cluster_stop "$CLUSTER"; rm -rf "$CLUSTER"' EXIT
  jq -n '{apiVersion: "audit.k8s.io/v1", kind: "Policy", omitStages: ["RequestReceived"], rules: [{level: "Metadata"}]}' >"$CLUSTER/audit.yaml"
  cluster_start "$CLUSTER"
  export PKI=$CLUSTER/pki RULES=$ROOT/policy/rules.tsv
  cluster_account default kube-system
  python3 -B "$ROOT/tests/policy/api.py" store "$1"
  kubectl apply --filename "$ROOT/policy/admission/namespace.yaml" >/dev/null
  "$ROOT/policy/render" --parameters admission --registries "$ROOT/tests/policy/registries.txt" | kubectl apply --filename - >/dev/null
  "$TOOLS/venv/bin/python3" "$ROOT/tests/policy/mutants_cel.py" "$ROOT/policy/admission/policy.yaml" "$1" "$CLUSTER/audit.log"
}

main "$@"
