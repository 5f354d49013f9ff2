# The policies of policy/admission in a real API server: what is in force and when, what no case of the corpus can show, and what goes on as
# before. The corpus itself is asked in corpus.bats.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT CLUSTER=$BATS_FILE_TMPDIR/cluster
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load_parts
  mkdir "$CLUSTER"
  cluster_start "$CLUSTER"
  cluster_controllers_start "$CLUSTER"
  wait_until 30 kubectl --namespace kube-public get serviceaccount default
  store_old_objects
  policies_install "$ROOT/tests/policy/registries.txt"
}

teardown_file() {
  load_parts
  cluster_stop "$CLUSTER"
}

setup() {
  load_parts
  export PATH=$TOOLS/kubernetes/bin:$PATH
  cd "$BATS_TEST_TMPDIR"
}

load_parts() {
  source "$BATS_TEST_DIRNAME/cluster.bash"
  cluster_house
}

# What was there before the policies, with every fault. Nobody tends to it: the controllers would make Pods of it, or anew.
store_old_objects() {
  pod_of nginx old | jq '.spec.securityContext = {} | .spec.hostNetwork = true | .metadata.finalizers = ["test.example/kept"]' | kubectl create --filename -
  pod_of nginx old-debugged | jq '.spec.securityContext = {}' | kubectl create --filename -
  pod_of nginx old-many | jq '.spec.containers = [range(1000) as $n | {name: "c\($n)", image: "nginx"}]' | kubectl create --filename -
  deployment_of nginx old | jq '.spec.replicas = 0 | .spec.template.spec.securityContext = {}' | kubectl create --filename -
}

# Prints a Deployment that has no fault but its image.
deployment_of() { # image [name]
  pod_of "$1" | jq --arg name "${2:-web}" '{
    apiVersion: "apps/v1", kind: "Deployment", metadata: {name: $name, namespace: "default"},
    spec: {replicas: 2, selector: {matchLabels: {app: $name}}, template: {metadata: {labels: {app: $name}}, spec: (.spec | del(.restartPolicy) |
      .containers[0] += ({httpGet: {path: "/health", port: 8000}} | {livenessProbe: ., readinessProbe: .}))}}
  }'
}

# Asks the API server to create what a file has, without storing it.
asked() { kubectl create --dry-run=server --filename "$@"; } # file

# Waits until a command succeeds; where it does not, its last words are shown.
soon() { # seconds command…
  wait_until "$@" && return
  shift
  "$@" >&2 || return 1
}

# Succeeds when it is refused in these words.
refused_with() { # words command…
  local words=$1
  shift
  run "$@"
  [[ $status != 0 && $output == *"$words"* ]] || {
    echo "$* ended with $status: $output" >&2
    return 1
  }
}

# Prints the line of a fault.
fault() { # where rule
  printf '%s: %s: %s' "$1" "$2" "$(awk -F '\t' -v rule="$2" '$1 == rule { print $2 }' "$ROOT/policy/rules.tsv")"
}

@test "what is refused is told a fault a line, with object, container, image, rule and remedy, as one text" {
  deployment_of nginx:latest | jq '.spec.template.spec.hostPID = true' >web.json
  run asked web.json
  [[ $status != 0 && $output == *" denied request: $(fault "Deployment/web, container api (nginx:latest)" image-pinned); $(fault \
    "Deployment/web, container api (nginx:latest)" image-registry); $(fault "Deployment/web, pod" host-access)" ]] || { echo "$output" && false; }
}

@test "the policies have been checked against the types of all objects, and no warning was found" {
  checked() { kubectl get validatingadmissionpolicy mini-api-admission --output json | jq -e '.status.observedGeneration == .metadata.generation'; }
  soon 20 checked
  kubectl get validatingadmissionpolicy mini-api-admission --output json | jq -e '.status.typeChecking == {}'
}

@test "another list of registries is in force within ten seconds" {
  pod_of quay.example/mini/mini-api@"${GOOD_IMAGE#*@}" >other.json
  refused_with ": image-registry: " asked other.json
  "$ROOT/policy/render" --parameters admission --registries <(echo quay.example) | kubectl apply --filename -
  soon 10 asked other.json
  refused_with ": image-registry: " asked <(pod_of "$GOOD_IMAGE")
  policies_install "$ROOT/tests/policy/registries.txt"
}

@test "without the parameters nothing is admitted, not even where it was exempt, and the answer says what is missing" {
  kubectl --namespace mini-api-policy delete configmap mini-api-admission
  without() { refused_with "no params found for policy binding" asked <(pod_of "$GOOD_IMAGE"); }
  soon 10 without
  refused_with "no params found" asked <(pod_of nginx | jq '.metadata.namespace = "kube-system"')
  # What mends it is not judged.
  policies_install "$ROOT/tests/policy/registries.txt"
}

@test "parameters that allow no registry admit nothing, and the answer says where one belongs" {
  local lists
  for lists in '{}' '{"registries": ""}' '{"registries": "\n# registry.intra\n\n"}'; do
    kubectl --namespace mini-api-policy get configmap mini-api-admission --output json | jq --argjson lists "$lists" '.data = $lists' | kubectl replace --filename -
    none() { refused_with "no registry is allowed: ConfigMap mini-api-admission in mini-api-policy lists none in registries" asked <(pod_of "$GOOD_IMAGE"); }
    soon 10 none
    refused_with "no registry is allowed" asked <(pod_of nginx)
  done
  kubectl --namespace mini-api-policy delete configmap mini-api-admission
  policies_install "$ROOT/tests/policy/registries.txt"
}

@test "an exempt namespace is not judged, another is, and nothing in an object exempts it" {
  asked <(pod_of nginx | jq '.metadata.namespace = "kube-system"')
  refused_with ": image-pinned: " asked <(pod_of nginx | jq '.metadata.namespace = "kube-public"')
  refused_with ": image-pinned: " asked <(pod_of nginx | jq '.metadata += {labels: {exempt: "true"}, annotations: {"policy": "kube-system"}}')
}

@test "a thousand containers are judged like one: the first faults are told, and how many more there are" {
  pod_of "$GOOD_IMAGE" | jq '.spec.containers = [.spec.containers[0] as $one | range(1000) as $n | $one + {name: "c\($n)"}]' >many.json
  asked many.json
  jq '.spec.containers[999].image = "nginx"' many.json >last.json
  refused_with "$(fault "Pod/web, container c999 (nginx)" image-pinned); $(fault "Pod/web, container c999 (nginx)" image-registry)" asked last.json
  jq '.spec.containers[].image = "nginx"' many.json >all.json
  refused_with "; and " asked all.json
  [[ $output == *"$(fault "Pod/web, container c0 (nginx)" image-pinned); "* ]]
  [[ $output =~ "; and "([0-9]+)" more, all in all of image-pinned, image-registry"$ ]]
  ((BASH_REMATCH[1] + $(grep -o ': image-pinned: ' <<<"$output" | wc -l) == 2000))
}

@test "what cannot be judged within the API server's limits is refused with a sentence" {
  pod_of "$GOOD_IMAGE" | jq '.spec.containers = [.spec.containers[0] as $one | range(5000) as $n | $one + {name: "c\($n)"}]' >many.json
  refused_with "cost limit exceeded" asked many.json
}

@test "five megabytes are refused with a sentence" {
  pod_of "$GOOD_IMAGE" | jq '.spec.containers[0].env = [range(500) as $n | {name: "N\($n)", value: ("x" * 10000)}]' >large.json
  (($(wc -c <large.json) > 5000000))
  refused_with "Request entity too large: limit is 3145728" asked large.json
}

@test "what the API server cannot read is refused with a sentence" {
  pod_of "$GOOD_IMAGE" | jq '.spec.containers = "nginx"' >text.json
  refused_with "cannot unmarshal string into Go struct field PodSpec.spec.containers" asked text.json --validate=false
  head -c 100 text.json >half.json
  curl() { command curl --silent --cacert "$CLUSTER/pki/ca.crt" --cert "$CLUSTER/pki/admin.crt" --key "$CLUSTER/pki/admin.key" "$@"; }
  curl --header 'Content-Type: application/json' --data-binary @half.json "$API/api/v1/namespaces/default/pods?dryRun=All" | jq -e '.code == 400 and (.message | test("unable to parse|invalid character|unexpected end"))'
  curl --header 'Content-Type: application/json' --data-binary '' "$API/api/v1/namespaces/default/pods?dryRun=All" | jq -e '.code >= 400'
}

@test "a line end in an image cannot make two lines of a message" {
  pod_of $'nginx\nx' >lines.json
  refused_with 'container api (nginx\nx): image-pinned: ' asked lines.json
}

@test "labels, finalizers and status of an old Pod are changed as ever, and it is deleted" {
  kubectl label pod old kept=yes
  kubectl annotate pod old kept=yes
  kubectl patch pod old --subresource=status --type=merge --patch '{"status": {"message": "told"}}'
  kubectl patch pod old-many --type=merge --patch '{"metadata": {"finalizers": ["test.example/kept"]}}'
  kubectl patch pod old-many --type=merge --patch '{"metadata": {"finalizers": null}}'
  kubectl delete pod old --wait=false
  kubectl patch pod old --type=merge --patch '{"metadata": {"finalizers": null}}'
  gone() { ! kubectl get pod old; }
  soon 20 gone
}

@test "an old Deployment is scaled and labelled; its bad image may go, and must not become another bad one" {
  kubectl scale deployment old --replicas=1
  kubectl scale deployment old --replicas=0
  kubectl label deployment old kept=yes
  kubectl patch deployment old --type=merge --patch '{"spec": {"paused": true}}'
  refused_with "$(fault "Deployment/old, container api (busybox)" image-pinned)" kubectl set image deployment/old api=busybox --dry-run=server
  refused_with "$(fault "Deployment/old, container api (busybox)" non-root)" kubectl set image deployment/old api=busybox
  # The user of the container is an old fault in other words: an image that changed makes a new container.
  refused_with "$(fault "Deployment/old, container api ($GOOD_IMAGE)" non-root)" kubectl set image deployment/old api="$GOOD_IMAGE"
  deployment_of "$GOOD_IMAGE" old | kubectl apply --filename -
}

@test "kubectl debug brings a container into an old Pod if it may run itself" {
  local custom='{"securityContext": {"runAsNonRoot": true, "runAsUser": 65532}}'
  echo "$custom" >custom.json
  refused_with "$(fault "Pod/old-debugged, ephemeral container d (busybox)" image-pinned)" kubectl debug old-debugged --container d --image busybox
  refused_with "$(fault "Pod/old-debugged, ephemeral container d ($GOOD_IMAGE)" non-root)" kubectl debug old-debugged --container d --image "$GOOD_IMAGE"
  kubectl debug old-debugged --container d --image "$GOOD_IMAGE" --profile restricted --custom custom.json
  kubectl get pod old-debugged --output json | jq -e '.spec.ephemeralContainers | map(.name) == ["d"]'
}

@test "a Job and a Deployment that may run get their Pods" {
  deployment_of "$GOOD_IMAGE" runs | kubectl create --filename -
  pod_of "$GOOD_IMAGE" | jq '{apiVersion: "batch/v1", kind: "CronJob", metadata: {name: "runs", namespace: "default"}, spec: {schedule: "0 0 1 1 *", jobTemplate: {spec: {template: {spec: .spec}}}}}' | kubectl create --filename -
  kubectl create job runs --from=cronjob/runs
  pods() { (($(kubectl get pods --output json | jq --arg owner "$1" '[.items[] | select(.metadata.ownerReferences[0].kind == $owner)] | length') == $2)); }
  soon 20 pods Job 1
  soon 20 pods ReplicaSet 2
}

@test "other kinds are not judged" {
  kubectl create configmap images --from-literal image=nginx:latest --dry-run=server
}

@test "broken glass lets through what is created in its namespace while it is open, and only the rules that it names" {
  kubectl --namespace mini-api-policy patch configmap mini-api-admission --type=merge --patch "$(jq -n --arg until "$(date -u -d '+8 seconds' +%FT%TZ)" '{data: {"break-glass": "\($until) namespace default image-pinned,image-registry glass-1"}}')"
  pod_of nginx >bad.json
  soon 7 asked bad.json
  refused_with ": image-pinned: " asked <(pod_of nginx | jq '.metadata.namespace = "kube-public"')
  refused_with ": non-root: " asked <(pod_of nginx | jq '.spec.securityContext = {}')
  closed() { refused_with ": image-pinned: " asked bad.json; }
  soon 20 closed
  kubectl --namespace mini-api-policy patch configmap mini-api-admission --type=merge --patch '{"data": {"break-glass": null}}'
}

@test "an API server that starts cold judges from its first answer on" {
  cluster_process_stop "$CLUSTER" apiserver
  pod_of nginx >bad.json
  pod_of "$GOOD_IMAGE" >good.json
  cluster_api_start "$CLUSTER"
  local deadline=$((SECONDS + 60)) said
  : >said
  until asked good.json; do
    ((SECONDS < deadline)) || cluster_give_up "$CLUSTER" "it does not come up"
    ! said=$(asked bad.json 2>&1) || { echo "a bad Pod was admitted" && false; }
    echo "$said" >>said
    sleep 0.05
  done
  refused_with ": image-pinned: " asked bad.json
  soon 60 cluster_ready
}

@test "its README's three lines install it, show a refusal, and take it away; and it comes back" {
  local steps
  mapfile -t steps < <(sed -n '/^    /s/^ *//p' "$ROOT/policy/admission/README.md")
  ((${#steps[@]} == 3))
  pod_of nginx >bad.json
  cd "$ROOT"
  refused_with ": image-pinned: " bash -c "${steps[1]}"
  bash -c "${steps[2]}"
  soon 20 asked "$BATS_TEST_TMPDIR/bad.json"
  # Long enough for the API server to forget, if it had no keeper.
  sleep 2
  bash -c "${steps[0]}"
  policies_install "$ROOT/tests/policy/registries.txt"
}
