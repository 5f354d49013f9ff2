# Breaking the glass: keys, documents and the log; and, in the last test, what a real API server makes of it.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/signed.bash"
  load_house
  export PLAIN=registry.intra LISTING=registry.intra:5000
  make_trust "$BATS_FILE_TMPDIR"
}

setup() {
  source "$BATS_TEST_DIRNAME/signed.bash"
  load_house
  source "$ROOT/scripts/lib/register.sh"
  KEYS=$BATS_FILE_TMPDIR
  cd "$BATS_TEST_TMPDIR"
  export BREAK_GLASS=$PWD/glass
  IMAGE=docker.io/library/nginx@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
}

glass() { "$ROOT/policy/break-glass" "$@"; }

# Opens for the namespace `shop` in an ordinary way, and prints the file; words may be added.
opened() { loudly_opened "$@" 2>>log; }

loudly_opened() { glass open --key "$KEYS/breaker.key" --namespace shop --for 1h --reason "the registry burns" --by ada "$@"; }

# A command that must end with a code and say some words.
refused() { # code words command…
  local code=$1 words=$2
  shift 2
  run "$@"
  [[ $status == "$code" && $output == *"$words"* ]] || {
    echo "$* ended with $status: $output" >&2
    return 1
  }
}

# Loads documents as policy/admit does, and asks whether a rule is covered; prints why.
covers() { # file reference rule [namespace]
  local work
  work=$(mktemp -d "$BATS_TEST_TMPDIR/covers.XXXXXX")
  (
    source "$ROOT/scripts/lib/break_glass.sh"
    trust_open "$work"
    break_glass_load "$1"
    if break_glass_covers "${@:2}"; then echo "$BREAK_GLASS_WHY"; else return 1; fi
  )
}

@test "whoever has the key opens a namespace for some hours: signed, logged, and told" {
  local file
  file=$(opened)
  grep -F "ada broke the glass for namespace shop until" log
  grep -F "the registry burns" log
  jq -e '.type == "break-glass/v1" and .signer == "breaker" and .by == "ada" and .covers == {namespace: "shop"} and (.rules | index("image-signed")) and (.rules | index("input") | not)
    and (.until | fromdate) - (.from | fromdate) == 3600' "$file"
  document_signed "$file" "$file.sig" "$KEYS/breaker.pub"
  run glass list
  [[ $status == 0 && $output == "open  glass-"*"namespace shop  by ada (key breaker): the registry burns" ]]
  glass list --json | jq -e --arg file "$file" '.state == "open" and .file == $file'
}

@test "it covers what it names, and nothing else" {
  local file
  file=$(opened --rule image-signed --rule probes)
  [[ $(covers "$file" "$IMAGE" image-signed shop) == "the glass is broken until "*": the registry burns (glass-"* ]]
  covers "$file" "" probes shop
  run ! covers "$file" "$IMAGE" image-pinned shop
  run ! covers "$file" "$IMAGE" image-signed shop2
  run ! covers "$file" "$IMAGE" image-signed sho
  run ! covers "$file" "$IMAGE" image-signed ""
  run ! covers "$file" "$IMAGE" image-signed
  run ! covers "$file" "$IMAGE" "image-signed,probes" shop
  file=$(glass open --key "$KEYS/breaker.key" --image "$IMAGE" --for 30m --reason "one image" 2>>log)
  covers "$file" "$IMAGE" image-registry shop
  covers "$file" "$IMAGE" image-registry
  run ! covers "$file" "${IMAGE/nginx/nginx:1}" image-registry shop
  run ! covers "$file" "" host-access shop
  run ! covers "$file" "$IMAGE" input shop
}

@test "it is over when its time is over, without anybody's help" {
  local file
  file=$(opened --for 3s)
  covers "$file" "$IMAGE" image-signed shop
  # Also for whoever loaded it before.
  (
    source "$ROOT/scripts/lib/break_glass.sh"
    mkdir keys && trust_open "$PWD/keys"
    break_glass_load "$file"
    break_glass_covers "$IMAGE" image-signed shop
    sleep 3
    ! break_glass_covers "$IMAGE" image-signed shop
  )
  refused 65 "its time is over" covers "$file" "$IMAGE" image-signed shop
  refused 0 "nothing is open" glass list
  glass list --all --json | jq -e '.state == "over"'
  # A clock that is set forward ends it as well.
  file=$(opened --for 24h)
  TRUST_FLOOR=$(date -u -d '25 hours' +%Y-%m-%dT%H:%M:%SZ) refused 65 "its time is over" covers "$file" "$IMAGE" image-signed shop
}

@test "more than a day, no reason, no digest, a rule or place that nobody knows: refused" {
  local open=(open --key "$KEYS/breaker.key" --namespace shop)
  refused 65 "longer than 24 hours" glass "${open[@]}" --for 25h --reason "a long night"
  refused 65 "longer than 24 hours" glass "${open[@]}" --for 86401s --reason "a long night"
  refused 64 "--for wants a time" glass "${open[@]}" --for 1d --reason "a long night"
  refused 64 "--for wants a time" glass "${open[@]}" --for 0h --reason "a long night"
  refused 64 "wants --key, --for, --reason" glass "${open[@]}" --reason "a long night"
  refused 64 "--reason TEXT" glass "${open[@]}" --for 1h
  refused 64 "--reason" glass "${open[@]}" --for 1h --reason ""
  refused 64 "--reason TEXT" glass "${open[@]}" --for 1h --reason "  - "
  refused 65 "who opened it and why" glass "${open[@]}" --for 1h --reason $'two\nlines'
  refused 64 "one namespace or one image" glass open --key "$KEYS/breaker.key" --for 1h --reason "a long night"
  refused 64 "one namespace or one image" glass "${open[@]}" --image "$IMAGE" --for 1h --reason "a long night"
  refused 65 "by its digest" glass open --key "$KEYS/breaker.key" --image docker.io/library/nginx:1.27 --for 1h --reason "a long night"
  refused 65 "neither one namespace" glass open --key "$KEYS/breaker.key" --namespace 'shop*' --for 1h --reason "a long night"
  refused 65 "is called 'everything'" glass "${open[@]}" --rule everything --for 1h --reason "a long night"
  refused 65 "is called 'input'" glass "${open[@]}" --rule input --for 1h --reason "a long night"
  [[ ! -s $BREAK_GLASS/log.jsonl ]]
  run glass verify
  [[ $status == 0 && $output == *"0 lines"* ]]
}

@test "keys that are unknown, revoked or for another purpose open nothing" {
  refused 65 "does not have the key" glass open --key "$KEYS/stranger.key" --namespace shop --for 1h --reason "a long night"
  refused 65 "for import, not for break-glass" glass open --key "$KEYS/importer.key" --namespace shop --for 1h --reason "a long night"
  [[ ! -s $BREAK_GLASS/log.jsonl ]]
  local file
  file=$(opened)
  # After the fact, too: whoever finds the key revoked does not believe what it signed.
  cp -R "$KEYS/trust" trust && cp "$TRUST_PIN" pin
  export TRUST=$PWD/trust TRUST_PIN=$PWD/pin
  "$ROOT/scripts/trust" revoke breaker --reason "the drawer was open" && "$ROOT/scripts/trust" sign "$KEYS/root.key"
  refused 65 "key breaker is revoked" covers "$file" "$IMAGE" image-signed shop
  refused 65 "key breaker is revoked" loudly_opened
  # What it did stays readable.
  refused 0 "is whole" glass verify
}

@test "a document that was altered, or signed by another key, opens nothing" {
  local file program
  file=$(opened)
  for program in '.covers.namespace = "default"' '.until = "2999-01-01T00:00:00Z"' '.rules += ["privileged"]' '.reason = "other"' '.audience = "maxi"' '.type = "receipt/v1"'; do
    jq "$program" "$file" >altered.json
    cp "$file.sig" altered.json.sig
    refused 65 "altered.json" covers altered.json "$IMAGE" image-signed shop
  done
  cp "$file" forged.json
  document_sign "$PWD/forged.json" "$KEYS/stranger.key" "$PWD/forged.json.sig"
  refused 65 "it is not signed by key breaker" covers forged.json "$IMAGE" image-signed shop
  # The right key under a day that is too long.
  jq '.until = "2999-01-01T00:00:00Z"' "$file" >long.json
  document_sign "$PWD/long.json" "$KEYS/breaker.key" "$PWD/long.json.sig"
  refused 65 "24 hours later at most" covers long.json "$IMAGE" image-signed shop
  refused 66 "there is no" covers none.json "$IMAGE" image-signed shop
}

@test "it is closed before its time by a word, which is logged" {
  local file id
  file=$(opened)
  id=$(basename "$file" .json)
  refused 64 "--reason" glass close "$id"
  refused 66 "the log has no glass-nothing" glass close glass-nothing --reason "a long night"
  refused 0 "$id is closed by bob: put out" glass close "$id" --reason "put out" --by bob
  refused 65 "was closed at" covers "$file" "$IMAGE" image-signed shop
  refused 0 "nothing is open" glass list
  refused 0 "closed at" glass list --all
  refused 0 "closed already" glass close "$id" --reason "again"
  [[ $(wc -l <"$BREAK_GLASS/log.jsonl") == 2 ]]
}

@test "a log that was altered, rewritten or shortened is found out" {
  local head log=$BREAK_GLASS/log.jsonl line
  opened && opened --for 30m && glass close "$(jq -r 'select(.n == 1).id' "$log")" --reason "put out" --by bob && opened --for 10m
  refused 0 "4 lines and is whole" glass verify
  head=$(glass verify | sed -E 's/.*(sha256:[0-9a-f]{64}).*/\1/')
  refused 0 "is one of them" glass verify --head "$head"
  cp "$log" whole
  # A word in a line; a line gone from the middle, from the beginning; lines the other way round; one twice.
  for program in '3s/put out/was me/' '3s/bob/eve/' '2d' '1d' '2{h;d};3G' '2p'; do
    sed "$program" whole >"$log"
    refused 65 "was altered" glass verify
    refused 65 "was altered" glass list
    refused 65 "was altered" loudly_opened
  done
  # Somebody who can count writes the whole chain anew without the second opening, and leaves the documents.
  sed 2d whole | rechain >"$log"
  refused 65 "followed another line" glass verify
  # Nor with a document altered.
  jq -c 'if .n == 1 then .document |= (@base64d | sub("burns"; "rests") | @base64) else . end' whole | rechain >"$log"
  refused 65 "is not to be believed" glass verify
  # The end can be cut off unseen, unless somebody kept the head.
  head -n 2 whole >"$log"
  refused 0 "2 lines" glass verify
  refused 65 "rewritten or shortened" glass verify --head "$head"
  head -c 100 whole >"$log"
  refused 65 "cut off" glass verify
  : >"$log"
  refused 65 "rewritten or shortened" glass verify --head "$head"
}

# Numbers lines anew and chains them.
rechain() {
  local line previous='' n=0
  while IFS= read -r line; do
    n=$((n + 1))
    line=$(jq -cS --argjson n "$n" --arg previous "$previous" '.n = $n | .previous = $previous' <<<"$line")
    printf '%s\n' "$line"
    previous=sha256:$(printf '%s\n' "$line" | sha256sum | cut -d ' ' -f 1)
  done
}

@test "eight who open at once on one machine lose nothing" {
  local pids=() pid
  for _ in 1 2 3 4 5 6 7 8; do
    opened >>files &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
  refused 0 "8 lines and is whole" glass verify
  [[ $(sort -u files | wc -l) == 8 ]]
}

# A Pod of an image in a namespace, as JSON, which breaks no rule but image-registry; words of jq may alter it.
a_pod() { # name namespace image [program]
  jq -n --arg name "$1" --arg namespace "$2" --arg image "$3" '{apiVersion: "v1", kind: "Pod", metadata: {$name, $namespace}, spec: {restartPolicy: "Never",
    securityContext: {runAsNonRoot: true, runAsUser: 1000}, containers: [{name: "c", $image}], automountServiceAccountToken: false}} | '"${4:-.}"
}

# Asks the API server to make a Pod, but not to keep it.
created() { a_pod "$@" | kubectl create --dry-run=server --filename -; }

@test "a real API server lets through what was opened while it is open, and nothing else, and ends it by itself" {
  [[ -x $ROOT/.tools/bin/kubectl || -x $ROOT/.tools/kubernetes/bin/kubectl ]] || skip "scripts/setup kubernetes"
  local config id other=docker.io/library/other@${IMAGE#*@}
  source "$BATS_TEST_DIRNAME/cluster.bash"
  cluster_start "$PWD/cluster"
  echo "$PWD/cluster" >"$BATS_FILE_TMPDIR/cluster"
  config=$KUBECONFIG
  kubectl create namespace shop && kubectl create namespace stall
  for name in shop stall; do kubectl create serviceaccount default --namespace "$name"; done
  for name in namespace parameters policy binding; do kubectl apply --filename "$ROOT/policy/admission/$name.yaml"; done
  wait_until 20 closed
  # Before its line is there, nothing is open; a time that the sender writes is not heard.
  refused 1 ": image-registry: " created early shop "$IMAGE" '.metadata.creationTimestamp = "2020-01-01T00:00:00Z"'

  glass open --key "$KEYS/breaker.key" --image "$IMAGE" --for 24h --reason "one image" --kubeconfig "$config" >image 2>>log
  wait_until 20 created one shop "$IMAGE"
  created one stall "$IMAGE"
  refused 1 ": image-registry: " created two shop "$other"
  refused 1 ": image-registry: " created three shop "$IMAGE" '.spec.containers += [{name: "d", image: "'"$other"'"}]'
  glass close "$(basename "$(<image)" .json)" --reason "enough" --kubeconfig "$config"
  wait_until 20 closed
  [[ ! $(kubectl get configmap mini-api-admission --namespace mini-api-policy --output jsonpath='{.data.break-glass}') ]]

  opened --rule image-registry --for 20s --kubeconfig "$config" >file
  id=$(basename "$(<file)" .json)
  wait_until 15 created four shop "$other"
  created five shop "$other" '.metadata.creationTimestamp = "2999-01-01T00:00:00Z"'
  refused 1 ": image-registry: " created six stall "$other"
  a_pod stays shop "$other" | kubectl create --filename -
  # What is altered has the time of its beginning, and no glass is broken for it.
  refused 1 ": image-registry: " kubectl set image pod/stays --namespace shop "c=$IMAGE"
  refused 0 "told  $id  the cluster knows of it" glass list --kubeconfig "$config"
  # Nobody does anything.
  wait_until 40 closed shop "$other"
  refused 1 ": image-registry: " created seven shop "$other" '.metadata.creationTimestamp = "2020-01-01T00:00:00Z"'
  refused 0 "its time is over" glass list --kubeconfig "$config"
  # A line that nobody signed is found.
  kubectl patch configmap mini-api-admission --namespace mini-api-policy --type merge --patch '{"data": {"break-glass": "2999-01-01T00:00:00Z namespace shop image-signed glass-mine"}}'
  refused 65 "stray  glass-mine" glass list --kubeconfig "$config"
  # A cluster that is away is told nothing, but it is logged.
  cluster_process_stop "$PWD/cluster" apiserver
  refused 69 "the cluster was not told" loudly_opened --kubeconfig "$config"
  refused 0 "4 lines" glass verify
}

# True when a Pod of an image is refused by the policy.
closed() { # [namespace image]
  run created probe "${1:-shop}" "${2:-$IMAGE}"
  [[ $status == 1 && $output == *": image-registry: "* ]]
}

teardown() {
  if [[ -s $BATS_FILE_TMPDIR/cluster ]]; then
    source "$BATS_TEST_DIRNAME/cluster.bash"
    cluster_stop "$(<"$BATS_FILE_TMPDIR/cluster")"
    rm "$BATS_FILE_TMPDIR/cluster"
  fi
}
