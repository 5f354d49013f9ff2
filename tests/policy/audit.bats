# policy/audit: what a cluster would refuse, and what would fall with a key. Lists from files, images in two real registries, and a
# real API server with its controllers.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load_all
  signed_start
}

teardown_file() {
  load_all
  signed_stop
}

load_all() {
  source "$BATS_TEST_DIRNAME/signed.bash"
  source "$BATS_TEST_DIRNAME/cluster.bash"
  source "$ROOT/tests/refused.bash"
}

setup() {
  load_all
  signed_test
  IMAGE=$PLAIN/mini/mini-api@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
}

# Nothing is left of a cluster whose test failed.
teardown() { [[ ! -d $BATS_TEST_TMPDIR/cluster ]] || cluster_stop "$BATS_TEST_TMPDIR/cluster"; }

audit() { "$ROOT/policy/audit" "$@"; }

# Asks, which must end with this code and say these words on stdout.
audited() { # code words arguments of audit…
  local code=$1 words=$2
  shift 2
  run --separate-stderr audit "$@"
  [[ $status == "$code" && $output == *"$words"* ]] || {
    echo "audit $* ended with $status: $output $stderr" >&2
    return 1
  }
}

# Makes a list as kubectl prints it, of lines "KIND NAME IMAGE [UID-OF-OWNER]": each has one good container with this image. A jq
# program alters the list of items.
list_of() { # [program]
  jq -Rn '{apiVersion: "v1", kind: "List", items: ([inputs | split(" ") | . as [$kind, $name, $image, $owner]
    | {securityContext: {runAsNonRoot: true, runAsUser: 1}, containers: [{name: "api", image: $image, livenessProbe: {exec: {}}, readinessProbe: {exec: {}}}]} as $pod
    | {kind: $kind, metadata: ({name: $name, namespace: "shop", uid: $name} + (if $owner then {ownerReferences: [{kind: "Owner", name: $owner, uid: $owner, controller: true}]} else {} end)),
      spec: (if $kind == "Pod" then $pod elif $kind == "CronJob" then {jobTemplate: {spec: {template: {spec: $pod}}}} else {replicas: 1, template: {spec: $pod}} end)}]
    | '"${1:-.}"')}'
}

# Pushes an image like no other and prints its reference.
push() { # repository
  local layout
  layout=$(mktemp -d "$BATS_TEST_TMPDIR/image.XXXXXX")
  head -c 16 /dev/urandom >"$layout/layer"
  (cd "$layout" && oras push "$1:$RANDOM" layer:application/vnd.oci.image.layer.v1.tar >out)
  echo "$1@$(sed -n 's/^Digest: //p' "$layout/out")"
}

@test "what one object made of another is told once, at its owner, and what was added to it is told with the owner" {
  list_of 'map(if .metadata.name == "web-1-x" then .spec.ephemeralContainers = [{name: "shell", image: "busybox"}] else . end)' >list.json <<CASES
Deployment web nginx
ReplicaSet web-1 nginx web
Pod web-1-x nginx web-1
Pod db-0 postgres db
CASES
  audited 65 "refused  shop: Deployment/web, container api (nginx): image-pinned: " --no-signatures --from list.json
  [[ $stderr == *"2 objects judged, 2 more that they made, 0 at rest"* ]]
  [[ $output != *"web-1-x, container api"* && $output != *"ReplicaSet"* ]]
  [[ $output == *"Pod/web-1-x, ephemeral container shell (busybox): image-pinned: "*"(made by Deployment/web)"* ]]
  # An owner that is no object of these kinds is named as well.
  [[ $output == *"Pod/db-0, container api (postgres): image-registry: "*"(made by Owner/db)"* ]]
}

@test "a Pod that only says it was made by another is judged all the same" {
  list_of >list.json <<CASES
Deployment web $IMAGE
Pod thief nginx web
CASES
  audited 65 "Pod/thief, container api (nginx): image-pinned" --no-signatures --from list.json
}

@test "what ended and what a Deployment left behind is not judged, and namespaces that are exempt are not" {
  list_of 'map(.metadata.name as $name
    | if $name == "done" then .status.phase = "Succeeded" elif $name == "ran" then .status.conditions = [{type: "Complete", status: "True"}]
      elif $name == "web-0" then .spec.replicas = 0 elif $name == "dns" then .metadata.namespace = "kube-system"
      elif $name == "own" then .metadata.namespace = "engine" else . end)' >list.json <<CASES
Deployment web $IMAGE
ReplicaSet web-0 nginx web
Pod done nginx
Job ran nginx
Pod dns nginx
Pod own nginx
CASES
  audited 0 "" --no-signatures --exempt engine --from list.json
  [[ ! $output && $stderr == *"1 objects judged, 0 more that they made, 3 at rest, 1 images"* ]]
  audited 65 "refused  engine: Pod/own" --no-signatures --from list.json
}

@test "images that nobody signed are found, and programs get a line of JSON for each object" {
  local signed unsigned
  signed=$(push "$PLAIN/mini/web") unsigned=$(push "$LISTING/mini/web")
  hang_signature "$signed" "$KEYS/importer.key" import
  list_of >list.json <<CASES
Deployment good $signed
CronJob bad $unsigned
CASES
  audited 65 "refused  shop: CronJob/bad, container api ($unsigned): image-signed: " --from list.json
  [[ $output == *"(it is not signed)"* && $output != *"Deployment/good"* ]]
  run --separate-stderr audit --json --from list.json
  jq -se --arg unsigned "$unsigned" 'map({namespace, object, verdict, rules: [.faults[].rule]}) == [
    {namespace: "shop", object: "Deployment/good", verdict: "admitted", rules: []}, {namespace: "shop", object: "CronJob/bad", verdict: "refused", rules: ["image-signed"]}]
    and .[1].faults[0].image == $unsigned' <<<"$output" || { echo "$output" >&2 && return 1; }
  hang_signature "$unsigned" "$KEYS/importer.key" import
  audited 0 "" --from list.json
}

@test "if a key was revoked: what falls, what another key still carries, what is refused already, where each runs; and the trust file stays" {
  local falls stands refused before
  falls=$(push "$PLAIN/mini/web") stands=$(push "$LISTING/mini/web") refused=$(push "$PLAIN/mini/web")
  hang_signature "$falls" "$KEYS/importer.key" import
  hang_signature "$stands" "$KEYS/importer.key" import
  hang_signature "$stands" "$KEYS/limited.key" release
  list_of >list.json <<CASES
Deployment one $falls
Pod two $falls
Deployment three $stands
Deployment four $refused
CASES
  before=$(cd "$TRUST" && find . -type f -exec sha256sum {} +)
  audited 65 "falls    $falls: it is signed, but key importer is revoked since" --if-revoked importer --from list.json
  [[ $output == *"in shop Deployment/one, shop Pod/two"* && $output == *"stands   $stands (key limited) in shop Deployment/three"* ]]
  [[ $output == *"refused  $refused: it is not signed in shop Deployment/four"* ]]
  audited 0 "stands   $falls (key importer)" --if-revoked limited --from list.json
  audited 65 "falls    $stands" --if-revoked limited --if-revoked importer --from list.json
  audited 0 "stands" --if-revoked lost --from list.json
  [[ $stderr == *"key lost is revoked already"* ]]
  run --separate-stderr audit --json --if-revoked importer --from list.json
  jq -se --arg falls "$falls" 'map(.verdict) | sort == ["falls", "refused", "stands"]' <<<"$output"
  jq -se --arg falls "$falls" 'map(select(.verdict == "falls")) | .[0].reference == $falls and .[0].used == ["shop Deployment/one", "shop Pod/two"]' <<<"$output"
  refused 64 "no key is called 'nobody'" audit --if-revoked nobody --from list.json
  refused 64 "no key is called" audit --if-revoked '../ours' --from list.json
  [[ $(cd "$TRUST" && find . -type f -exec sha256sum {} +) == "$before" ]]
}

@test "what cannot be known is not taken for well" {
  local image
  image=$(push "$PLAIN/mini/web")
  hang_signature "$image" "$KEYS/importer.key" import
  list_of <<<"Pod web $image" >list.json
  stop_plain "$KEYS"
  audited 69 "unknown  shop: Pod/web" --from list.json
  audited 69 "unknown  $image: the registry does not answer" --if-revoked importer --from list.json
  start_plain "$KEYS"
  refused 69 "cannot be read: No such file" audit --no-signatures --from none.json
  echo '{"kind": "List", "items": "many"}' >odd.json
  refused 69 "odd.json is no list of objects" audit --no-signatures --from odd.json
  head -c 100 list.json >half.json
  refused 69 "half.json is no list of objects" audit --no-signatures --from list.json half.json
  refused 69 "the cluster cannot be read" audit --no-signatures --kubeconfig none
  refused 64 "two ways" audit --kubeconfig none --from list.json
  refused 64 "--from wants files" audit --from
  TRUST_PIN=$PWD/none refused 78 "no trust file was ever confirmed" audit --from list.json
}

@test "a real cluster is read whole: its Deployments with what the controllers made of them, and a container that was added to a running Pod" {
  local pod signed
  cluster_start "$BATS_TEST_TMPDIR/cluster"
  cluster_controllers_start "$BATS_TEST_TMPDIR/cluster"
  signed=$(push "$PLAIN/mini/web")
  hang_signature "$signed" "$KEYS/importer.key" import
  kubectl create namespace shop >&2
  wait_until 60 kubectl --namespace shop get serviceaccount default
  list_of 'map(del(.metadata.uid) | .metadata.labels = {app: "web"} | .apiVersion = "apps/v1" | .spec.selector.matchLabels = {app: "web"} | .spec.template.metadata.labels = {app: "web"}
    | .spec.template.spec.containers[0] |= (.livenessProbe.exec.command = ["/ask"] | .readinessProbe.exec.command = ["/ask"]))' <<<"Deployment web $signed" | kubectl apply --filename - >&2
  wait_until 60 running_pod
  pod=$(kubectl --namespace shop get pods --output name)
  audited 0 "" --from <(kubectl get deployments,pods,replicasets --all-namespaces --output json)
  audited 0 "" --kubeconfig "$KUBECONFIG"
  [[ $stderr == *"1 objects judged, 2 more that they made, 0 at rest, 1 images"* ]] || { echo "$stderr" >&2 && return 1; }
  kubectl --namespace shop patch "$pod" --subresource ephemeralcontainers --patch '{"spec": {"ephemeralContainers": [{"name": "shell", "image": "busybox"}]}}' >&2
  audited 65 "refused  shop: Pod/${pod#*/}, ephemeral container shell (busybox): image-pinned: " --kubeconfig "$KUBECONFIG"
  [[ $output == *"(made by Deployment/web)"* ]]
  audited 65 "falls    $signed" --if-revoked importer
  # Whoever may see only a part is not told that all is well.
  kubectl create clusterrole pods --verb list --resource pods >&2
  kubectl create clusterrolebinding pods --clusterrole pods --serviceaccount shop:default >&2
  jq --arg token "$(kubectl --namespace shop create token default)" '.users[0].user = {token: $token}' "$KUBECONFIG" >less
  refused 69 "forbidden" audit --no-signatures --kubeconfig "$PWD/less"
}

# True when the controllers have made a Pod.
running_pod() { [[ $(kubectl --namespace shop get pods --output name) ]]; }
