# What conftest and Gatekeeper share, and what is said when there is nothing to judge, or nothing to judge by.

bats_require_minimum_version 1.5.0

digest=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
input='input: make it whole, readable YAML or JSON of at most 3 MiB without variables (docker compose config fills them in)'

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$ROOT/scripts/lib/project.sh"
  source "$BATS_TEST_DIRNAME/../refused.bash"
  export REFERENCE_REGISTRIES=$ROOT/tests/policy/registries.txt
  cd "$BATS_TEST_TMPDIR" || return
}

judge() { "$ROOT/policy/conftest/judge" "$@"; }

# Judges files, which must be refused with exactly these lines and no others.
refuses() { # lines file…
  local lines=$1
  shift
  run --separate-stderr judge "$@"
  [[ $status == 65 && $output == "$lines" ]] || {
    printf 'ended with %s and said:\n%s\n%s\n' "$status" "$output" "$stderr" >&2
    return 1
  }
}

# Prints a Pod as it should be, but for what is said. JSON is YAML, too.
pod() { # [filter]
  jq -nc --arg image "registry.intra/mini/api@$digest" '{apiVersion: "v1", kind: "Pod", metadata: {name: "web"}, spec: {
    securityContext: {runAsNonRoot: true, runAsUser: 5},
    containers: [{name: "api", image: $image, livenessProbe: {exec: {command: ["a"]}}, readinessProbe: {exec: {command: ["a"]}}}]}} | '"${1:-.}"
}

# Prints what gator says of a file under a constraint, as JSON.
gate() { # constraint file
  gator test --output json --filename "$ROOT/policy/gatekeeper/template.yaml" --filename "$1" --filename "$2"
}

constraint() { "$ROOT/policy/rego-render" --constraint "$@"; }

@test "the shared library keeps the promises of its tests" {
  conftest verify --output json --policy "$ROOT/policy/rego" --policy "$ROOT/policy/conftest" >results || cat results
  jq -e 'length > 0 and all(.[]; (.failures // []) == []) and (map(.successes) | add) > 70' results
}

@test "Rego is laid out as conftest lays it out" {
  conftest fmt --check "$ROOT/policy/rego" "$ROOT/policy/conftest" "$ROOT/policy/gatekeeper"
}

@test "what is rendered is what it is made of, and what was changed by hand is found" {
  mkdir -p copy/scripts && cp -r "$ROOT/policy" copy/ && cp -r "$ROOT/scripts/lib" copy/scripts/
  unset REFERENCE_REGISTRIES
  "$ROOT/policy/rego-render" --check
  copy/policy/rego-render --check
  echo '# by hand' >>copy/policy/gatekeeper/template.yaml
  refused 65 "policy/gatekeeper/template.yaml is not what it is made of" copy/policy/rego-render --check
  copy/policy/rego-render
  cmp copy/policy/gatekeeper/template.yaml "$ROOT/policy/gatekeeper/template.yaml"
  sed -i 's/^labels\t.*/labels\tlabel it/' copy/policy/rules.tsv
  refused 65 "policy/rego/lib/remedies.rego is not what it is made of" copy/policy/rego-render --check
}

@test "references are judged as the table of the grammar says" {
  awk -F'\t' '$2 == "pinned"' "$ROOT/policy/image-reference.tsv" >rows
  [[ $(wc -l <rows) -gt 100 ]]
  # \xHH are bytes in the table, and may be parts of one sign.
  awk -F'\t' '{ print $3 }' rows | sed -E 's/\\x([0-7][0-9a-f])/\\u00\1/g; s/\\xe2\\x80\\x8b/\\u200b/g' | jq -R '"\"\(gsub("\\\\(?!u|[tnr])"; "\\\\"))\"" | fromjson' >references
  jq -s --argjson pod "$(pod)" '{apiVersion: "v1", kind: "List", items: [to_entries[] | .key as $key | .value as $image
    | $pod | .metadata.name = "row-\($key + 1)" | .spec.containers[0].image = $image]}' references >rows.json
  judge rows.json >said || true
  sed -nE 's/^Pod\/row-([0-9]+), .*: image-(pinned|registry): .*/\1/p' said | sort -un >refused
  awk -F'\t' '$1 == "refuse" { print NR }' rows >wanted
  diff wanted refused
  [[ $(grep -vc ': image-' said) == 0 ]]
}

@test "what says nothing and what cannot be read is refused in one line" {
  : >empty.yaml
  printf '# a remark\n---\n\n---\n' >remark.yaml
  printf 'a: [\n' >open.yaml
  printf '[]' >list.yaml
  printf '"text"' >text.json
  printf 'kind: \xff\n' >latin.yaml
  printf 'a: 1\n' >other.yaml
  mkdir folder.yaml
  local file
  for file in empty remark open list text latin other folder missing; do
    [[ $file == text ]] && file=text.json || file=$file.yaml
    refuses "File/$file, file: $input" "$file"
  done
  [[ $stderr == *'missing.yaml: it cannot be read: No such file'* ]]
}

@test "a manifest of 5 MB is refused, whatever stands in it, and 3 MiB are read" {
  pod ".metadata.annotations.a = \"$(head -c 100000 /dev/zero | tr '\0' x)\"" >part.json
  jq -c '.metadata.annotations.a *= 50' part.json >large.yaml
  refuses "File/large.yaml, file: $input" large.yaml
  [[ $stderr == *'large.yaml: it is larger than 3 MiB'* ]]
  jq -c '.metadata.annotations.a *= 31' part.json >whole.yaml
  judge whole.yaml
  # The API server takes no such request; the engine does not either.
  constraint kube-system >constraint.yaml
  gate constraint.yaml large.yaml >said || true
  jq -e --arg text "Pod/web, pod: $input" 'map(.msg) == [$text]' said
  gate constraint.yaml whole.yaml >said
  jq -e '. == null' said
}

@test "1,000 containers are judged one by one" {
  pod '.spec.containers = [range(1000) as $n | .spec.containers[0] + {name: "c\($n)"}]' >good.yaml
  pod '.spec.containers = [range(1000) as $n | .spec.containers[0] + {name: "c\($n)", image: "nginx", securityContext: {runAsUser: 0}}]' >bad.yaml
  judge good.yaml
  # `run` takes long over so many lines.
  judge bad.yaml >said || [[ $? == 65 ]]
  [[ $(wc -l <said) == 3000 && $(head -n 1 said) == "Pod/web, container c0 (nginx): image-pinned: "* ]]
  constraint >constraint.yaml
  gate constraint.yaml good.yaml
  # As JSON gator prints the whole object with each fault.
  gator test --filename "$ROOT/policy/gatekeeper/template.yaml" --filename constraint.yaml --filename bad.yaml >said || [[ $? == 1 ]]
  [[ $(grep -c 'container c[0-9]* (nginx): ' said) == 3000 ]]
}

@test "a type that cannot be is refused by both engines, and nothing else is told of it" {
  constraint >constraint.yaml
  local change text
  for change in '.spec.containers = "api"' '.spec.containers[0] = 5' '.spec = []' '.spec.hostNetwork = "true"' '.spec.volumes = {}'; do
    pod "$change" >wrong.yaml
    refuses "Pod/web, pod: $input" wrong.yaml
    gate constraint.yaml wrong.yaml >said || true
    jq -e --arg text "$output" 'map(.msg) == [$text]' said
  done
}

@test "no document hides behind another" {
  local hidden separator
  pod . >good
  pod '.spec.hostPID = true' >hidden
  for separator in '---' '--- # remark' '---\t' '...\n---' '---\r' '...\n%YAML 1.2\n---'; do
    { cat good && printf '%b\n' "$separator" && cat hidden; } >two.yaml
    refuses "Pod/web, pod: host-access: $(sed -n 's/^host-access\t//p' "$ROOT/policy/rules.tsv")" two.yaml
  done
  { cat good && printf 'x: |\n  a\r\n---\n' && cat hidden; } >two.yaml
  run judge two.yaml
  [[ $status == 65 ]]
}

@test "a key that stands twice is read by nobody" {
  printf 'apiVersion: v1\nkind: ConfigMap\nkind: Pod\nmetadata: {name: a}\n' >twice.yaml
  refuses "File/twice.yaml, file: $input" twice.yaml
  [[ $stderr == *"line 3 has 'kind' a second time"* ]]
}

@test "a Containerfile's faults are told by their lines" {
  cat >app.Containerfile <<'FILE'
# syntax=docker/dockerfile:1
# escape=`

FROM scratch AS first
RUN <<SCRIPT
USER 1000
SCRIPT
FROM nginx
# judged: line 99
USER `
  root
HEALTHCHECK NONE
FILE
  run judge app.Containerfile
  [[ $status == 65 && ${#lines[@]} == 4 ]]
  [[ ${lines[0]} == "Containerfile, line 10: non-root: "* && ${lines[1]} == "Containerfile, line 12: probes: "* ]]
  [[ ${lines[2]} == "Containerfile, line 8 (nginx): image-pinned: "* && ${lines[3]} == "Containerfile, line 8 (nginx): image-registry: "* ]]
  echo 'FROM scratch' >Dockerfile && echo 'NOTHING here' >>Dockerfile
  refuses "File/Dockerfile, file: $input" Dockerfile
  [[ $stderr == *'Dockerfile: '*'unknown instruction: NOTHING'* ]]
  echo 'ARG A=1' >Containerfile.empty
  run judge Containerfile.empty
  [[ $status == 65 && ${lines[0]} == "Containerfile, line 1: input: "* ]]
}

@test "one file that cannot be read does not speak for the others" {
  pod . >good.yaml
  printf 'FROM\n' >a.Containerfile
  printf 'NO\n' >b.Containerfile
  run --separate-stderr judge --json good.yaml a.Containerfile good.yaml b.Containerfile
  [[ $status == 65 ]]
  jq -se --arg input "$input" 'map([.file, [.faults[].text]]) == [["good.yaml", []], ["a.Containerfile", ["File/a.Containerfile, file: " + $input]],
    ["good.yaml", []], ["b.Containerfile", ["File/b.Containerfile, file: " + $input]]]' <<<"$output"
}

@test "what is known of an image counts for the files behind it" {
  printf '{"services": {"web": {"image": "registry.intra/mini/api@%s"}}}' "$digest" >web.compose.yaml
  printf '{"registry.intra/mini/api@%s": {"config": {"User": "5", "Healthcheck": {"Test": ["CMD", "a"]}}}}' "$digest" >known.json
  judge --images known.json web.compose.yaml
  run judge --images known.json --images '' web.compose.yaml
  [[ $status == 65 && ${#lines[@]} == 2 ]]
  echo '[]' >known.json
  refused 78 "known.json: it is no JSON object" judge --images known.json web.compose.yaml
}

@test "without registries nothing may run, and it is said" {
  pod . >good.yaml
  refused 78 "a list is missing: none" judge --registries none good.yaml
  echo '# none yet' >none
  refused 78 "the parameters allow no registry" judge --registries none good.yaml
  echo 'registry.intra/' >none
  refused 78 "write 'registry.intra/' as HOST[:PORT]" judge --registries none good.yaml
  pod '{apiVersion: "v1", kind: "ConfigMap"}' >other.yaml
  refused 78 "write 'registry.intra/' as HOST[:PORT]" judge --registries none other.yaml
}

@test "a constraint without parameters refuses everything, and says so" {
  pod . >good.yaml
  constraint >constraint.yaml
  gate constraint.yaml good.yaml
  local parameters
  for parameters in 'exemptNamespaces: []' '' 'registries: []'; do
    sed '/^  parameters:/,$d' constraint.yaml >without.yaml
    printf '  parameters: {%s}\n' "$parameters" >>without.yaml
    run gate without.yaml good.yaml
    [[ $status == 1 && $output == *registr* && $output != 'null'* ]]
  done
  sed '/^  parameters:/,$d' constraint.yaml >without.yaml
  run --separate-stderr gate without.yaml good.yaml
  [[ $status == 1 ]]
  jq -e 'map(.msg) == ["the parameters allow no registry: give them registries, a list of HOST[:PORT]"]' <<<"$output"
}

@test "a namespace is exempt where the parameters say so, and by nothing in an object" {
  pod '.spec.hostPID = true | .metadata.namespace = "kube-system"' >system.yaml
  pod '.spec.hostPID = true | .metadata.namespace = "kube-system-2" | .metadata.annotations.exempt = "true" | .metadata.labels["admission.gatekeeper.sh/ignore"] = "true"' >other.yaml
  constraint kube-system >constraint.yaml
  gate constraint.yaml system.yaml
  run gate constraint.yaml other.yaml
  [[ $status == 1 ]]
  constraint elsewhere >constraint.yaml
  run gate constraint.yaml system.yaml
  [[ $status == 1 ]]
}

@test "a conftest that says nothing admits nothing" {
  pod . >good.yaml
  mkdir programs
  local answer
  for answer in '' '[]' '[{"successes": 0}]' '[{"successes": 1},{"successes": 1}]' 'well'; do
    printf '#!/bin/sh\necho %q\n' "$answer" >programs/conftest
    chmod +x programs/conftest
    # The project's own programs come first in PATH: this one is put before them.
    cp -r "$ROOT/scripts" "$ROOT/policy" . 2>/dev/null
    mkdir -p .tools/bin && cp programs/conftest .tools/bin/
    ln -sfn "$TOOLS/venv" .tools/venv
    refused 69 "conftest says nothing about them" policy/conftest/judge good.yaml
  done
}

@test "what conftest would be told by the surroundings is not heard" {
  pod '.spec.hostPID = true' >bad.yaml
  printf 'no-fail = true\nnamespace = ["other"]\nignore = ".*"\nupdate = ["elsewhere"]\n' >conftest.toml
  export CONFTEST_NO_FAIL=true CONFTEST_NAMESPACE=other CONFTEST_IGNORE='.*' CONFTEST_CONFIG_FILE=$PWD/conftest.toml
  refuses "Pod/web, pod: host-access: $(sed -n 's/^host-access\t//p' "$ROOT/policy/rules.tsv")" bad.yaml
}

@test "what may not run may go" {
  printf '{"apiVersion": "test.gatekeeper.sh/v1alpha1", "kind": "Suite", "metadata": {"name": "a"}, "tests": [{"name": "a",
    "template": "template.yaml", "constraint": "constraint.yaml", "cases": [{"name": "a", "object": "review.yaml", "assertions": [{"violations": "no"}]}]}]}' >suite.yaml
  cp "$ROOT/policy/gatekeeper/template.yaml" .
  constraint >constraint.yaml
  local operation
  for operation in DELETE CREATE; do
    pod '.spec.hostPID = true' | jq --arg operation "$operation" '{apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: {uid: "a", operation: $operation,
      kind: {group: "", version: "v1", kind: "Pod"}, resource: {group: "", version: "v1", resource: "pods"}, name: "web", namespace: "default", userInfo: {},
      (if $operation == "DELETE" then "oldObject" else "object" end): .}}' >review.yaml
    run gator verify suite.yaml
    [[ $status == "$([[ $operation == DELETE ]] && echo 0 || echo 1)" ]]
  done
}
