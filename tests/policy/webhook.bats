# Kyverno's webhook, its own program beside a real API server: the corpus, and what happens while it is away.

# bats file_tags=alone
bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT CLUSTER=$BATS_FILE_TMPDIR/cluster
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load_parts
  mkdir "$CLUSTER"
  cluster_start "$CLUSTER"
  cluster_account default kube-system kube-public
  export PKI=$CLUSTER/pki
  pod_of nginx old | jq '.spec.securityContext = {}' | kubectl create --filename -
  webhook_prepare
  webhook_start "$CLUSTER"
  webhook_policy "$ROOT/tests/policy/registries.txt"
}

teardown_file() {
  load_parts
  cluster_process_stop "$CLUSTER" webhook
  cluster_stop "$CLUSTER"
}

setup() {
  load_parts
  export PATH=$TOOLS/kubernetes/bin:$PATH
  cd "$BATS_TEST_TMPDIR"
}

load_parts() {
  local part
  for part in cluster webhook corpus; do
    # shellcheck source=/dev/null
    source "$BATS_TEST_DIRNAME/$part.bash"
  done
  cluster_house
}

# Succeeds when a Pod of an image is refused in these words.
refused_with() { # words image [namespace]
  pod_of "$2" | jq --arg namespace "${3:-default}" '.metadata.namespace = $namespace' >pod.json
  run kubectl create --dry-run=server --filename pod.json
  [[ $status != 0 && $output == *"$1"* ]] || {
    echo "$2 ended with $status: $output" >&2
    return 1
  }
}

@test "what is created, updated and added to running Pods, the webhook judges as the corpus says" {
  RUNNERS=$BATS_TEST_DIRNAME/webhook
  local place
  place=$(answers admission)
  differences admission "$place"
  misspoken admission "$place"
}

@test "labels of an old Pod are changed as ever, and its image must not become another bad one" {
  kubectl label pod old kept=yes
  run kubectl set image pod/old api=busybox
  [[ $status != 0 && $output == *"Pod/old, container api (busybox): image-pinned: "* ]]
}

@test "without its parameters the webhook admits nothing" {
  kubectl --namespace mini-api-policy delete configmap mini-api-admission
  without() { refused_with "there is no ConfigMap mini-api-admission in mini-api-policy" "$GOOD_IMAGE"; }
  wait_until 10 without || without
  webhook_policy "$ROOT/tests/policy/registries.txt"
}

@test "while the webhook is away nothing starts that it judges, and the rest goes on; when it is back, so is the judgement" {
  kill -KILL -- "-$(<"$CLUSTER/webhook.pid")"
  refused_with "failed calling webhook" "$GOOD_IMAGE"
  refused_with "failed calling webhook" nginx
  kubectl create configmap rest --dry-run=server
  webhook_start "$CLUSTER"
  wait_until 60 policies_in_force
}
