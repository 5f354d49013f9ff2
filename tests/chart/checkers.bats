# The chart and the manifests before those who check such things: Kubernetes' own schemas, Prometheus, and checkov.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/chart.bash"
  cd "$BATS_TEST_TMPDIR"
  everything=("${ours[@]}" --set database.host=db.test --set database.existingSecret=mini-database --values "$BATS_TEST_DIRNAME/everything.yaml")
}

# Holds objects against the schemas of the Kubernetes that tests run on; what Prometheus' operator brings is not in them.
conforms() {
  kubeconform -strict -summary -skip ServiceMonitor,PrometheusRule \
    -schema-location "$ROOT/.tools/kubeconform/schemas/{{.ResourceKind}}{{.KindSuffix}}.json" "$@"
}

@test "Kubernetes' schemas know every word of the chart in each of its forms, and of the manifests" {
  rendered "${external[@]}" && conforms helm.yaml
  rendered "${bundled[@]}" && conforms helm.yaml
  rendered "${everything[@]}" && conforms helm.yaml
  find "$ROOT/k8s" -name '*.yaml' -not -name kustomization.yaml -print0 | xargs -0 "$(command -v kubeconform)" -strict -summary \
    -schema-location "$ROOT/.tools/kubeconform/schemas/{{.ResourceKind}}{{.KindSuffix}}.json"
}

@test "a word that Kubernetes does not know, or a kind that nobody described, is found" {
  rendered "${external[@]}"
  sed 's/drop: \[ALL\]/dropped: [ALL]/' helm.yaml >misspelled.yaml
  run conforms misspelled.yaml
  [[ $status != 0 && $output == *dropped* ]]
  printf 'apiVersion: example.org/v1\nkind: Nobody\nmetadata: {name: nobody}\n' >unknown.yaml
  run conforms unknown.yaml
  [[ $status != 0 ]]
}

@test "Prometheus takes the alarms as they are" {
  rendered "${everything[@]}"
  objects PrometheusRule | jq .spec >rules.json
  promtool check rules rules.json | grep -E 'SUCCESS: [1-9][0-9]* rules found'
  sed 's/"expr": "/&(/' rules.json >broken.json
  run promtool check rules broken.json
  [[ $status != 0 ]]
}

# What checkov asks for and does not get, and why.
excepted() {
  cat <<'REASONS'
CKV_K8S_11 Deployment: a limit of processor time makes requests wait while cores are idle; what is asked for protects the neighbours
CKV_K8S_11 Job: the same
CKV_K8S_11 Pod: the same
CKV_K8S_8 Pod: the pod of helm test asks once and ends
CKV_K8S_9 Pod: the same
CKV_K8S_40 StatefulSet: the number is that of the image's own user, who owns the volume
REASONS
}

@test "checkov finds nothing but what is explained, and every explanation is needed" {
  : >found
  for words in external bundled; do
    declare -n chosen=$words
    rendered "${chosen[@]}"
    # Where they will be: helm puts no namespace into what it prints.
    jq -c '.metadata.namespace = "demo"' objects | while IFS= read -r object; do printf -- '---\n%s\n' "$object"; done >objects.yaml
    "$ROOT/.tools/checkov/bin/checkov" --skip-download --framework kubernetes --quiet --output json --file objects.yaml >checkov.json || true
    jq -e '.summary.passed > 100 and .summary.parsing_errors == 0' checkov.json
    jq -r '.results.failed_checks[] | "\(.check_id) \(.resource | split(".")[0])"' checkov.json >>found
  done
  diff <(sort -u found) <(excepted | cut -d : -f 1 | sort)
}
