# k8s/: the manifests that need no Helm, applied as docs/kubernetes.md says.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/namespace.bash"
  cd "$BATS_TEST_TMPDIR"
  (cd "$ROOT" && git ls-files --cached --others --exclude-standard -- k8s scripts policy .env.example | tar --create --files-from=-) | tar --extract
  ln -s "$ROOT/.tools" .tools
}

teardown() {
  [[ ${BATS_TEST_COMPLETED:-} ]] || NAMESPACE=demo what_happened >&2
  kubectl delete namespace demo --ignore-not-found --wait=true --timeout=60s >&2
}

@test "one command sets the digests, and of images that may not run none" {
  policy/admit --write-env k8s/images.env MINI_API_IMAGE="$MINI_API_IMAGE" POSTGRES_IMAGE="$POSTGRES_IMAGE"
  SECRETS=k8s/secrets scripts/secrets init
  kubectl kustomize k8s >rendered.yaml
  [[ $(sed -n 's/^ *image: //p' rendered.yaml | sort) == "$(printf '%s\n' "$POSTGRES_IMAGE" "$MINI_API_IMAGE" | sort)" ]]
  cp k8s/images.env before
  run policy/admit --write-env k8s/images.env MINI_API_IMAGE="${MINI_API_IMAGE%@*}:1.0"
  [[ $status == 65 ]]
  cmp before k8s/images.env
}

@test "one command applies everything, in its namespace that refuses what is not restricted" {
  local token
  policy/admit --write-env k8s/images.env MINI_API_IMAGE="$MINI_API_IMAGE" POSTGRES_IMAGE="$POSTGRES_IMAGE"
  SECRETS=k8s/secrets scripts/secrets init
  kubectl apply -k k8s/
  kubectl --namespace demo create secret generic registry --type=kubernetes.io/dockerconfigjson --from-file=.dockerconfigjson="$PULL_SECRET"
  kubectl --namespace demo rollout status deployment/api --timeout=120s
  kubectl --namespace demo get statefulset/postgres service/postgres service/api ingress/mini secret/mini-secrets configmap/mini-config
  BASE=http://$(kubectl --namespace demo get service api --output jsonpath='{.spec.clusterIP}')
  wait_until 30 ask /readyz
  register ada@example.org
  token=$(login ada@example.org)
  # Applied once more, nothing changes; with another image, only that.
  generations >before
  kubectl apply -k k8s/
  generations >after
  diff before after
  policy/admit --write-env k8s/images.env MINI_API_IMAGE="$NEXT_IMAGE"
  kubectl apply -k k8s/
  generations >after
  [[ $(diff before after | sed -n 's/^> \([^ ]*\) .*/\1/p') == Deployment/api ]]
  kubectl --namespace demo rollout status deployment/api --timeout=120s
  me "$token"
}

# Prints how often what is wanted of each object has changed. (What kubectl calls "configured" may be the same in other words.)
generations() {
  kubectl --namespace demo get deployment,statefulset,networkpolicy,poddisruptionbudget,ingress --output json |
    jq -r '.items[] | "\(.kind)/\(.metadata.name) \(.metadata.generation)"'
}

@test "without the secrets nothing is applied, and the sentence names the file that is missing" {
  run kubectl apply -k k8s/
  [[ $status != 0 && $output == *secrets/* ]]
  run kubectl get namespace demo
  [[ $status != 0 ]]
}
