# policy/admit of files: manifests and Compose files, good and bad, and the signatures of their images in two real registries.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/signed.bash"
  signed_start
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/signed.bash"
  signed_stop
}

setup() {
  source "$BATS_TEST_DIRNAME/signed.bash"
  source "$ROOT/tests/refused.bash"
  signed_test
  # One that nobody has: for what is not asked for signatures.
  IMAGE=$PLAIN/mini/mini-api@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
}

admit() { "$ROOT/policy/admit" "$@"; }

# Asks, which must end with this code and say these words on stdout.
judged() { # code words arguments of admit…
  local code=$1 words=$2
  shift 2
  run --separate-stderr admit "$@"
  [[ $status == "$code" && $output == *"$words"* ]] || {
    echo "admit $* ended with $status: $output $stderr" >&2
    return 1
  }
}

# Prints a Pod as it should be, with this image in its only container.
pod() { # image [name]
  jq -n --arg image "$1" --arg name "${2:-web}" '{apiVersion: "v1", kind: "Pod", metadata: {name: $name}, spec: {
    securityContext: {runAsNonRoot: true, runAsUser: 65532},
    containers: [{name: "api", image: $image, livenessProbe: {httpGet: {port: 8000}}, readinessProbe: {httpGet: {port: 8000}}}]}}'
}

# Prints a Compose file with one service, altered by a jq program.
service() { # image [program]
  jq -n --arg image "$1" '{services: {api: {image: $image, user: "65532:65532", healthcheck: {test: ["CMD", "/ask"]}}}} | .services.api |= ('"${2:-.}"')'
}

# Pushes an image like no other, with a configuration in JSON if one is said, and prints its reference.
push() { # repository [config]
  local layout
  layout=$(mktemp -d "$BATS_TEST_TMPDIR/image.XXXXXX")
  jq -n --argjson config "${2:-null}" '{architecture: "amd64", os: "linux", config: $config, rootfs: {type: "layers", diff_ids: []}}' >"$layout/config.json"
  head -c 16 /dev/urandom >"$layout/layer"
  (cd "$layout" && oras push --config config.json:application/vnd.oci.image.config.v1+json "$1:$RANDOM" layer:application/vnd.oci.image.layer.v1.tar >out)
  echo "$1@$(sed -n 's/^Digest: //p' "$layout/out")"
}

@test "what cannot be read is refused with a sentence that says why, whatever stands beside it" {
  local file words files remedy
  pod "$IMAGE" >good.json
  printf 'kind: [\n' >broken.yaml
  head -c 5000000 /dev/zero | tr '\0' a >large.yaml
  : >empty.yaml
  printf -- '---\n# nothing\n---\n' >nothing.yaml
  printf 'kind: Pod\nmetadata: {name: a}\nkind: ConfigMap\n' >twice.yaml
  printf '{"kind": "Pod", "kind": "ConfigMap"}' >twice.json
  printf 'kind: Pod\nspec: {hostPID: true, <<: {hostPID: false}}\n' >merged.yaml
  printf '[1, 2]' >list.json
  printf 'kind: Pod\nservices: {a: {}}\n' >both.yaml
  printf 'replicas: 2\n' >values.yaml
  printf 'apiVersion: v1\nmetadata: {name: a}\n' >kindless.yaml
  printf 'kind: List\nitems: many\n' >items.yaml
  printf 'kind: ConfigMap\n---\nservices: {a: {image: b}}\n' >documents.yaml
  printf 'include: [other.yaml]\nservices: {a: {image: b}}\n' >include.yaml
  printf 'services:\n  a: {image: b, ports: !reset []}\n' >tagged.yaml
  printf '\377\376k\0i\0' >sixteen.yaml
  { printf 'kind: Pod\nspec: {x: ' && printf '9%.0s' {1..5000} && echo '}'; } >digits.yaml
  head -c 3000000 /dev/zero | tr '\0' '[' >deep.yaml
  { printf '{"a":%.0s' {1..50000} && printf 1 && printf '}%.0s' {1..50000}; } >deep.json
  {
    echo 'a: &a [x, x, x, x, x, x, x, x, x, x]'
    for file in ba cb dc ed fe gf hg ih ji; do echo "${file:0:1}: &${file:0:1} [$(printf "*${file:1}%.0s, " {1..9})*${file:1}]"; done
    echo 'kind: Pod'
  } >laughs.yaml
  printf 'kind: Pod\na: &a {b: *a}\n' >itself.yaml
  printf 'kind: Pod\nspec: {x: !!binary aGk=}\n' >binary.yaml
  printf 'kind: Pod\nspec: {"<<": {a: 1}}\n' >quoted.yaml
  printf 'kind: Pod\n? [a]\n: b\n' >key.yaml
  printf 'kind: Pod\n1.5: b\n' >half.yaml
  printf 'kind: Pod\nspec: {<<: text}\n' >mix.yaml
  printf '{"kind": NaN}' >number.json
  mkdir folder.yaml
  cat >cases <<'CASES'
broken.yaml|it is no YAML: line 2
large.yaml|it is larger than 3 MiB
empty.yaml|it is empty
nothing.yaml|it is empty
twice.yaml|line 3 has 'kind' a second time
twice.json|it has 'kind' a second time
merged.yaml|line 2 merges what stands before it
list.json|it is a list, where an object
both.yaml|it has a kind and services
values.yaml|it has no services
kindless.yaml|there is an object without a kind
items.yaml|items is text, where a list belongs
documents.yaml|one of its documents has no kind
include.yaml|it includes other files: docker compose config
tagged.yaml|line 2 has the tag !reset
sixteen.yaml|it is not UTF-8
digits.yaml|it has a number that is too long
deep.yaml|line 1 is nested deeper than 100
deep.json|it is nested too deeply
laughs.yaml|its aliases make more than 100,000 values
itself.yaml|line 2 repeats 'a', which is not complete
binary.yaml|line 2 has the tag tag:yaml.org,2002:binary
quoted.yaml|line 2 has a key that is no plain word
key.yaml|line 2 has a key that is no plain word
half.yaml|line 2 has a key that is neither text nor a whole number
mix.yaml|line 2 merges what has no keys
number.json|NaN is no number
folder.yaml|it cannot be read: Is a directory
missing.yaml|it cannot be read: No such file
CASES
  mapfile -t files < <(cut -d '|' -f 1 cases)
  judged 65 "admitted good.json: 1 judged" --no-signatures "${files[@]}" good.json
  remedy=$(awk -F '\t' '$1 == "input" { print $2 }' "$ROOT/policy/rules.tsv")
  while IFS='|' read -r file words; do
    [[ $output == *"refused  $file: File/$file, file: input: $remedy ($words"* ]] || { echo "$file: $output" >&2 && return 1; }
  done <cases
  (($(wc -l <<<"$output") == ${#files[@]} + 1))
  # None of them passes alone, either.
  for file in "${files[@]}"; do [[ $file != [de]* ]] || judged 65 "refused" --no-signatures "$file"; done
}

@test "words and numbers mean what Kubernetes' own reader takes them for" {
  local word
  # conftest reads as kubectl does.
  for word in 010 0o10 08 0x1F 0b101 -0b11 +12 -0 -010 1_000 _1 1e3 1.0 1.5 .5 1. 1e400 00 0777 0778 0_7 0x_1 100e-2 1e18 yes YES yEs y N on Off TRUE tRUE null '~' '' \
    2001-01-01 1:30 65532:50 190:20:30 0x 0o8 1e + .. '"010"' "'yes'" '!!str 010' '! 010' '!!int 12' '!!float 1' '!!bool yes' '!!null null' '!!str' \
    '"\x41\u00e9"' '=' '"<<"' '{y: 1, on2: 2, 1: 3, 0x2: 4}' '&a {b: 1, c: 2}' '{<<: *a, b: 3}' '{<<: [*a, {c: 4, d: 5}]}' '*a'; do
    printf -- '- %s\n' "$word"
  done >words.yaml
  conftest parse words.yaml | jq -S . >theirs
  PYTHONPATH=$ROOT/policy/lib python3 -B -c 'import json, sys, read; json.dump(read.documents(sys.stdin.buffer.read())[0], sys.stdout)' <words.yaml | jq -S . >ours
  diff theirs ours >&2
}

@test "types that an object cannot have are refused where they stand, and never taken for what they resemble" {
  local program where n=0 files=()
  cat >cases <<'CASES'
.spec = "text"|pod
.spec.containers = {}|pod
.spec.containers[0] = "text"|pod
.spec.hostNetwork = "true"|pod
.spec.volumes = [{name: "a", hostPath: "/etc"}]|volume a
.spec.containers[0].image = 1|container api ()
.spec.containers[0].securityContext = []|container api (
.spec.containers[0].securityContext.privileged = "true"|container api (
.spec.containers[0].securityContext.capabilities.add = "ALL"|container api (
.spec.containers[0].livenessProbe = true|container api (
CASES
  while IFS='|' read -r program where; do
    n=$((n + 1))
    pod "$IMAGE" | jq "$program" >"odd.$n.json"
    files+=("odd.$n.json")
  done <cases
  judged 65 "" --no-signatures "${files[@]}"
  n=0
  while IFS='|' read -r program where; do
    n=$((n + 1))
    grep -F "refused  odd.$n.json: Pod/web, $where" <<<"$output" | grep -qF ': input: ' || { echo "$program: $output" >&2 && return 1; }
  done <cases
}

@test "a thousand containers are judged, each by its name" {
  pod "$IMAGE" | jq '.spec.containers = [range(1000) as $n | .spec.containers[0] | .name = "c\($n)"]' >many.json
  judged 0 "admitted many.json: 1 judged, images 1" --no-signatures many.json
  jq '.spec.containers[].image = "nginx"' many.json >bad.json
  judged 65 "container c999 (nginx): image-pinned" --no-signatures bad.json
  (($(grep -c 'image-pinned' <<<"$output") == 1000 && $(grep -c 'image-registry' <<<"$output") == 1000))
}

@test "a list that is missing or makes no sense admits nothing" {
  pod "$IMAGE" >good.json
  refused 78 "cannot be read" admit --no-signatures --registries none good.json
  refused 78 "allows no registry" admit --no-signatures --registries /dev/null good.json
  printf 'Service/web\tprobes\n' >exceptions
  refused 78 "not OBJECT, RULE and REASON" admit --no-signatures --exceptions exceptions good.json
  # Nobody is excused from being signed, or readable.
  printf 'Pod/web\timage-signed\tit is urgent\n' >exceptions
  refused 78 "not OBJECT, RULE and REASON" admit --no-signatures --exceptions exceptions good.json
  echo '[]' >images.json
  refused 78 "no JSON object of images" admit --no-signatures --images images.json good.json
  TRUST_PIN=$PWD/none refused 78 "no trust file was ever confirmed" admit good.json
}

@test "without Python nothing can be known, without its YAML only JSON, and it says what to install" {
  local real
  pod "$IMAGE" >good.json
  sed '1i # Not JSON any more.' good.json >good.yaml
  # The project's own Python comes first where there is one.
  cp -R "$ROOT/scripts" "$ROOT/policy" .
  real=$(command -v python3)
  mkdir bin
  printf '#!/bin/sh\nexec %q -S "$@"\n' "$real" >bin/python3
  chmod +x bin/python3
  PATH=$PWD/bin:$PATH refused 69 "install python3-yaml" policy/admit --no-signatures good.yaml
  PATH=$PWD/bin:$PATH policy/admit --no-signatures good.json
  printf '#!/bin/sh\necho broken >&2\nexit 1\n' >bin/python3
  PATH=$PWD/bin:$PATH refused 69 "nothing can be known, as judge.py ended with 1: broken" policy/admit --no-signatures good.json
  rm bin/python3
  for tool in bash awk jq openssl curl flock mktemp rm dirname cat tail head wc sort env tr; do ln -s "$(command -v "$tool")" bin/; done
  PATH=$PWD/bin refused 69 "install python3 and python3-yaml" policy/admit --no-signatures good.json
}

@test "a file beside a reference does not stand in for it" {
  local name
  echo 'kind: ConfigMap' >file
  for name in "${IMAGE##*/}" nginx:1; do
    cp file "$name"
    judged 65 "refused  $name: it " "$name"
  done
  judged 0 "admitted file: nothing in it runs anything" file
  judged 0 "admitted nginx:1: nothing" --file nginx:1
  refused 64 "takes images, and no files" admit --write-env out --file file "WEB_IMAGE=$IMAGE"
  refused 64 "is for files" admit --no-signatures "$IMAGE"
  refused 64 "--old stands before" admit --no-signatures file --old file
}

@test "lists, several documents, pipes and standard input are read whole" {
  { pod "$IMAGE" && echo --- && pod nginx second; } >two.yaml
  judged 65 "Pod/second, container api (nginx): image-pinned" --no-signatures two.yaml
  judged 65 "Pod/second, container api (nginx): image-pinned" --no-signatures --file - <two.yaml
  judged 65 "Pod/second, container api (nginx): image-pinned" --no-signatures --file <(cat two.yaml)
  jq -s '{kind: "List", items: [{kind: "PodList", items: map(del(.kind))}]}' <(pod "$IMAGE") <(pod nginx second) >nested.json
  judged 65 "Pod/second, container api (nginx): image-pinned" --no-signatures nested.json
  # A name that the cluster is still to make, and one that would write on a terminal.
  pod nginx | jq '.metadata = {generateName: "web-"} | .spec.containers[0].name = "a\u001b[2J\nrefused"' >odd.json
  judged 65 'Pod/(new), container a\u001b[2J\nrefused (nginx)' --no-signatures odd.json
}

@test "what was so before is not held against a change, but a new image is" {
  pod nginx >old.json
  jq '.metadata.finalizers = ["x"]' old.json >new.json
  judged 0 "admitted new.json" --no-signatures --old old.json new.json
  jq '.spec.containers[0].image = "nginx:2"' old.json >new.json
  judged 65 "container api (nginx:2): image-pinned" --no-signatures --old old.json new.json
  # It was for that file alone.
  judged 65 "refused  old.json" --no-signatures --old old.json new.json old.json
}

@test "exceptions are told, with their reasons, and are for one rule of one service" {
  printf 'Service/api\tprobes\tit has nothing that could ask\n' >exceptions
  service "$IMAGE" 'del(.healthcheck)' >compose.json
  judged 0 "probes: give what runs on and on" --no-signatures --exceptions exceptions compose.json
  [[ $output == "excepted compose.json: Service/api, "*"(it has nothing that could ask)"*"admitted compose.json"* ]]
  judged 65 "non-root" --no-signatures --exceptions exceptions --file <(service "$IMAGE" 'del(.healthcheck, .user)')
  admit --no-signatures --json --exceptions exceptions compose.json | jq -e '.verdict == "admitted" and .excepted[0].rule == "probes" and .excepted[0].reason'
}

@test "a Compose file is judged as it is, and told how to become whole" {
  service '${IMAGE}' >raw.json
  judged 65 "its image has a variable: docker compose config fills it in" --no-signatures raw.json
  judged 65 "it extends another service: docker compose config" --no-signatures --file <(service "$IMAGE" '.extends = {service: "b"}')
  judged 65 "image-pinned" --no-signatures --file <(service "$IMAGE" '.build = "."')
  judged 65 "host-access" --no-signatures --file <(service "$IMAGE" '.volumes = ["data:/data"]' | jq '.volumes.data.driver_opts = {type: "none", o: "bind", device: "/etc"}')
  judged 65 "host-access" --no-signatures --file <(service "$IMAGE" '.volumes = ["data:/data"]' | jq '.volumes.data.driver_opts = {type: "ext4", device: "/dev/sda1"}')
  judged 0 "admitted" --no-signatures --file <(service "$IMAGE" '.volumes = ["data:/data"]' | jq '.volumes.data.driver_opts = {type: "nfs", o: "addr=10.0.0.1", device: ":/etc"}')
  judged 0 "admitted" --no-signatures --file <(service "$IMAGE" '.command = ["echo", "$$HOME"]')
}

@test "signed images are admitted, and their keys told, on both kinds of registries" {
  local registry image
  for registry in "$PLAIN" "$LISTING"; do
    image=$(push "$registry/mini/files")
    pod "$image" >pod.json
    judged 65 "image-signed: $(awk -F '\t' '$1 == "image-signed" { print $2 }' "$ROOT/policy/rules.tsv") (it is not signed)" pod.json
    hang_signature "$image" "$KEYS/importer.key" import
    judged 0 "admitted pod.json: 1 judged, images 1 (key importer)" pod.json
    judged 65 "image-signed" --purpose release pod.json
    image_sign "$image" "$KEYS/ours.key" release
    judged 0 "(key ours)" --purpose release pod.json
  done
}

@test "unsigned, by a stranger, by a key that is revoked, over, for something else, or only attested: refused, each by its sentence" {
  local key purpose words image
  while read -r key purpose words; do
    image=$(push "$PLAIN/mini/refused")
    hang_signature "$image" "$KEYS/$key.key" "$purpose"
    pod "$image" >"$key.json"
    judged 65 "Pod/web, container api ($image): image-signed:" "$key.json"
    [[ $output == *"$words"* ]] || { echo "$output" >&2 && return 1; }
  done <<'CASES'
stranger release it is signed by a key that the trust file does not have
lost release key lost is revoked since
old release key old is not valid since 2021-01-01
limited release key limited does not speak for
importer release key importer is for import, not for release
CASES
  image=$(push "$PLAIN/mini/refused")
  hang_statement "$image" "$KEYS/importer.key" https://spdx.dev/Document '{"name": "something"}'
  judged 65 "(it is not signed; what is attested of it is no signature)" --file <(pod "$image")
  image=$(push "$PLAIN/mini/refused")
  hang_signature "$image" "$KEYS/importer.key" import "$PLAIN/mini/other"
  judged 65 "for another repository or purpose" --file <(pod "$image")
}

@test "a tag that was moved to something unsigned changes nothing: the digest decides" {
  local image other
  image=$(push "$PLAIN/mini/moved")
  hang_signature "$image" "$KEYS/importer.key" import
  other=$(push "$PLAIN/mini/moved")
  oras tag "$image" 1.0.0 >&2
  judged 0 "admitted" --file <(pod "${image/@/:1.0.0@}")
  oras tag "$other" 1.0.0 >&2
  judged 0 "admitted" --file <(pod "${image/@/:1.0.0@}")
  judged 65 "it is not signed" --file <(pod "${other/@/:1.0.0@}")
  judged 65 "image-pinned" --file <(pod "${image%@*}:1.0.0")
}

@test "a registry that is down refuses nobody and admits nobody" {
  local image
  image=$(push "$PLAIN/mini/down")
  hang_signature "$image" "$KEYS/importer.key" import
  pod "$image" >pod.json
  stop_plain "$KEYS"
  judged 69 "unknown  pod.json: Pod/web, container api ($image): image-signed:" pod.json
  [[ $output == *"the registry does not answer"* ]]
  # What is bad in any case is said.
  judged 65 "privileged" --file <(pod "$image" | jq '.spec.containers[0].securityContext.privileged = true')
  # And what its image might make up for is not known either.
  judged 69 "non-root" --file <(service "$image" 'del(.user)')
  start_plain "$KEYS"
  judged 0 "admitted" pod.json
}

@test "what a service does not say of user and health its image may say, for every platform" {
  local good root silent off both
  good=$(push "$PLAIN/mini/config" '{"User": "65532:65532", "Healthcheck": {"Test": ["CMD", "/ask"]}}')
  root=$(push "$PLAIN/mini/config" '{"User": "root"}')
  off=$(push "$PLAIN/mini/config" '{"User": "1", "Healthcheck": {"Test": ["NONE"]}}')
  silent=$(push "$PLAIN/mini/config")
  for image in "$good" "$root" "$off" "$silent"; do hang_signature "$image" "$KEYS/importer.key" import; done
  judged 0 "(key importer)" --file <(service "$good" 'del(.user, .healthcheck)')
  judged 0 "admitted" --file <(service "$root")
  judged 65 "non-root: " --file <(service "$root" 'del(.user)')
  judged 65 "probes: " --file <(service "$off" 'del(.user, .healthcheck)')
  [[ $output != *"non-root"* ]]
  judged 65 "probes: " --file <(service "$silent" 'del(.user, .healthcheck)')
  [[ $output == *"non-root: "* && $output == *"its image does not make up for it"* ]]
  judged 65 "its health check is switched off" --file <(service "$good" '.healthcheck = {disable: true}')
  # Where nobody is asked, nothing is assumed; unless somebody says what is known.
  judged 65 "what its image says is not known here" --no-signatures --file <(service "$good" 'del(.user)')
  jq -n --arg image "$good" '{($image): {config: {User: "1000"}}}' >images.json
  judged 0 "admitted" --no-signatures --images images.json --file <(service "$good" 'del(.user)')
  jq '.[] = []' images.json >none.json
  judged 65 "non-root: " --no-signatures --images none.json --file <(service "$good" 'del(.user)')
  # An index of two platforms: the worse of them counts.
  both=$(index_of "$good" "$root")
  hang_signature "$both" "$KEYS/importer.key" import
  judged 65 "non-root: " --file <(service "$both" 'del(.user)')
  both=$(index_of "$good" "$good")
  hang_signature "$both" "$KEYS/importer.key" import
  judged 0 "admitted" --file <(service "$both" 'del(.user, .healthcheck)')
}

# Pushes an index of images in one repository, each as a platform, and prints its reference.
index_of() { # reference…
  local image out
  for image in "$@"; do oras manifest fetch --descriptor "$image"; done |
    jq -s '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", annotations: {random: "'"$RANDOM"'"},
      manifests: [to_entries[] | .value + {platform: {os: "linux", architecture: (["amd64", "arm64"][.key])}}]}' >index.json
  out=$(oras manifest push "${1%@*}:$RANDOM" index.json)
  echo "${1%@*}@$(sed -n 's/^Digest: //p' <<<"$out")"
}

@test "files and references are judged together, and programs get a line of JSON for each" {
  local signed unsigned
  signed=$(push "$PLAIN/mini/json")
  hang_signature "$signed" "$KEYS/importer.key" import
  unsigned=$(push "$PLAIN/mini/json")
  pod "$signed" >good.json
  jq -n --arg one "$signed" --arg two "$unsigned" '{kind: "Pod", metadata: {name: "two"}, spec: {restartPolicy: "Never",
    securityContext: {runAsNonRoot: true, runAsUser: 1}, containers: [{name: "a", image: $one}, {name: "b", image: $two}]}}' >two.json
  run --separate-stderr admit --json "$signed" good.json two.json
  [[ $status == 65 ]]
  jq -se --arg signed "$signed" --arg unsigned "$unsigned" '
    length == 3 and .[0] == {reference: $signed, verdict: "admitted", key: "importer"}
    and .[1] == {file: "good.json", judged: 1, excepted: [], verdict: "admitted", images: [{reference: $signed, verdict: "admitted", key: "importer"}], faults: [], unknown: []}
    and .[2].verdict == "refused" and (.[2].images | map(.verdict) | sort == ["admitted", "refused"]) and (.[2].faults | length) == 1
    and (.[2].faults[0] | .rule == "image-signed" and .object == "Pod/two" and .where == "container b" and .image == $unsigned and .why == "it is not signed"
      and .line == "Pod/two, container b (\($unsigned)): image-signed: \(.remedy)")' <<<"$output" || { echo "$output" >&2 && return 1; }
}
