# Signatures at the door: Kyverno's own program with the policy that policy/signatures makes, and policy/admit, beside two real
# registries; and whether both say the same.

# bats file_tags=alone
bats_require_minimum_version 1.5.0

# Kyverno's program is scripts/setup's. Each case: what hangs on an image of its own, in both registries. The names say what is the matter.
setup_file() {
  export ROOT
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/signed.bash"
  signed_start
  local registry kind image
  : >images
  for kind in plain listing; do
    registry=$PLAIN
    [[ $kind == plain ]] || registry=$LISTING
    hang_all "$kind" "$registry" 2>>log || { tail -n 20 log >&2 && return 1; }
  done
  "$ROOT/policy/signatures" --out policy.yaml
  parameters >context.yaml
  ask_kyverno policy.yaml images >kyverno.tsv
  ask_admit images >admit.tsv
}

# Pushes the images of all cases and hangs on them what belongs there; "CASE-KIND NAMESPACE REFERENCE" a line goes to the list.
hang_all() { # kind registry
  local image other registry=$2 api=$2/mini/mini-api
  note() { printf '%s-%s %s %s\n' "$1" "$kind" "${3:-default}" "$2" >>images; }
  image=$(push_image "$api" "signed by cosign, in $registry")
  note unsigned "$image"
  image=$(push_image "$api" "signed, in $registry")
  image_sign "$image" ours.key release
  note signed "$image"
  note signed-beside-a-tag "${image/@/:1.0.0@}"
  note signed-beside-a-lie "${image/@/:other@}"
  note not-promoted "$image" prod
  # The tag is where it was signed, and then it is moved; a digest stays.
  oras tag "$image" 1.0.0
  note by-tag "$api:1.0.0"
  oras tag "$(push_image "$api" "another, in $registry")" 1.0.0
  note moved-tag "$api:1.0.0"
  note moved-tag-with-digest "${image/@/:1.0.0@}"
  # With everything that hangs on it into another repository.
  oras cp --recursive "$image" "$registry/mini/copy@${image#*@}"
  note copied "$registry/mini/copy@${image#*@}"
  image=$(push_image "$api" "countersigned, in $registry")
  hang_signature "$image" importer.key import
  note countersigned "$image"
  hang_promotion "$image" promoter.key
  note promoted "$image" prod
  sole stranger stranger.key release
  image=$(push_image "$api" "signed by a stranger and by us, in $registry")
  hang_signature "$image" stranger.key release
  hang_signature "$image" importer.key import
  note stranger-and-ours "$image"
  sole revoked lost.key release
  sole expired old.key release
  sole other-repository limited.key release
  sole other-purpose importer.key release
  sole promoters-key promoter.key promotion
  sole said-elsewhere importer.key import "$registry/mini/elsewhere"
  image=$(push_image "$api" "attested, in $registry")
  hang_statement "$image" importer.key https://spdx.dev/Document '{"name": "something"}' "$(jq -nc --arg repository "$api" '{purpose: "import", $repository}')"
  note attested "$image"
  image=$(push_image "$api" "of another image, in $registry")
  hang_statement "$image" importer.key "$SIGN_STATEMENT" '{}' "$(jq -nc --arg repository "$api" '{purpose: "import", $repository}')" "sha256:$(printf x | sha256sum | cut -d ' ' -f 1)"
  note of-another-image "$image"
  image=$(push_image "$api" "of two images, in $registry")
  hang_statement "$image" importer.key "$SIGN_STATEMENT" '{}' "$(jq -nc --arg repository "$api" '{purpose: "import", $repository}')" "${image#*@} sha256:$(printf x | sha256sum | cut -d ' ' -f 1)"
  note of-two-images "$image"
  note missing "$api@sha256:$(printf missing | sha256sum | cut -d ' ' -f 1)"
  other=$image
  image=$(push_index "$api" amd64 "$other")
  hang_signature "$image" importer.key import
  note index "$image"
  image=$(push_index "$api" arm64 "$other")
  hang_signature "$image" importer.key import
  note index-of-others "$image"
  promotion promoted-by-a-stranger stranger.key .
  # The rest is what is read of them, wherever they came from.
  [[ $kind == plain ]] || return 0
  promotion promoted-by-a-lost-key lost-promoter.key .
  promotion promoted-by-the-import importer.key .
  promotion promoted-elsewhere promoter.key '.repository += "2"'
  promotion promoted-for-others promoter.key '.audience = "maxi"'
  promotion promotion-over promoter.key '.promoted = "2026-01-01T00:00:00Z" | .until = "2026-01-02T00:00:00Z"'
  promotion promotion-to-come promoter.key '.promoted = "2999-01-01T00:00:00Z" | .until = "2999-01-02T00:00:00Z"'
  promotion promotion-without-end promoter.key 'del(.until)'
  promotion promotion-with-more promoter.key '.more = "field"'
  promotion promotion-in-numbers promoter.key '.until = 4102444800'
  promotion promotion-no-date promoter.key '.until = "2999-02-30T00:00:00Z"'
  promotion promotion-no-reason promoter.key '.reason = ""'
  promotion promotion-for-something-else promoter.key '.purpose = "release"'
  promotion promotion-in-another-zone promoter.key '.until = "2999-01-01T00:00:00+01:00"'
  promotion promotion-from-anywhere promoter.key '.from = "registry.intra/*"'
  image=$(push_image "$api" "promoted under another type, in $registry")
  hang_signature "$image" importer.key import
  hang_statement "$image" promoter.key "${PROMOTION%1}2" "$(a_promotion "$api")"
  note promoted-otherwise "$image" prod
  image=$(push_image "$api" "promoted, not signed, in $registry")
  hang_promotion "$image" promoter.key
  note promoted-not-signed "$image" prod
}

# Pushes an index with one image for a platform, and prints its reference.
push_index() { # repository architecture image
  local digest
  oras manifest fetch --output image.json "$3" >&2
  jq -cj --arg architecture "$2" --arg digest "${3#*@}" --argjson size "$(stat --format=%s image.json)" -n '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $digest, size: $size, platform: {os: "linux", architecture: $architecture}}]}' >index.json
  digest=sha256:$(sha256sum index.json | cut -d ' ' -f 1)
  oras manifest push --media-type application/vnd.oci.image.index.v1+json "$1@$digest" index.json >&2
  printf '%s@%s\n' "$1" "$digest"
}

# A case with one signature.
sole() { # case key purpose [repository]
  image=$(push_image "$api" "$1, in $registry")
  hang_signature "$image" "$2" "$3" "${@:4}"
  note "$1" "$image"
}

# A case that is signed, with one promotion, altered by a jq program, in a namespace for releases.
promotion() { # case key program
  image=$(push_image "$api" "$1, in $registry")
  hang_signature "$image" importer.key import
  hang_promotion "$image" "$2" "$3"
  note "$1" "$image" prod
}

# The parameters, as Kyverno's program is told them. Lines that break the glass may be added.
parameters() { # [line…]
  jq -n --arg glass "$(printf '%s\n' "$@")" '{apiVersion: "cli.kyverno.io/v1alpha1", kind: "Context", metadata: {name: "test"}, spec: {resources: [{apiVersion: "v1", kind: "ConfigMap",
    metadata: {name: "mini-api-admission", namespace: "mini-api-policy"}, data: {registries: "registry.intra", "exempt-namespaces": "kube-system\nkyverno", "release-namespaces": "prod\nprod2", "break-glass": $glass}}]}}'
}

# Asks Kyverno about a Pod for each line of a list, in one start; prints "CASE accept|reject RULES WORDS" with tabs.
ask_kyverno() { # policy list
  jq -Rn 'inputs | split(" ") | {apiVersion: "v1", kind: "Pod", metadata: {name: .[0], namespace: .[1]}, spec: {containers: [{name: "c", image: .[2]}]}}' "$2" >pods.json
  judge_kyverno "$1" pods.json
}

# Asks Kyverno about objects, one JSON document behind the other: its program does not take a List.
judge_kyverno() { # policy file
  jq -c . "$2" | sed 's/^/---\n/' >objects.yaml
  kyverno apply "$1" --resource objects.yaml --context-file "${CONTEXT:-context.yaml}" --registry --policy-report --output-format json --remove-color >report 2>report.log || true
  sed -n '/^{/,$p' report | jq -r '[.results[]? | . as $result | .resources[]? | {name, rule: $result.policy, result: $result.result, message: $result.message}] | group_by(.name)[]
    | map(select(.result != "pass")) as $bad | [.[0].name, (if $bad == [] then "accept" else "reject" end),
      ($bad | map(if .result == "fail" then .message | scan(": (image-signed|promoted): ")[0] else "error" end) | unique | join(",") | if . == "" then "-" else . end), ($bad | map(.message) | join(" | "))] | @tsv' | sort
}

# Asks policy/admit about each line: for signatures, and in a namespace for releases for promotions, too.
ask_admit() { # list
  local name namespace reference
  mkdir -p asked
  (
    trust_open "$PWD/asked/keys"
    mapfile -t references < <(cut -d ' ' -f 3 "$1")
    sign_gather "$PWD/asked" "${references[@]}"
    n=0
    while read -r name namespace reference; do
      n=$((n + 1)) rules=() words='' code=0
      sign_verdict "$PWD/asked/$n" "$reference" release import || { code=$? && rules+=(image-signed) words=$SIGN_WHY; }
      [[ $namespace != prod ]] || promotion_verdict "$PWD/asked/$n" "$reference" || { code=$? && rules+=(promoted) words="$words $SIGN_WHY"; }
      printf '%s\t%s\t%s\t%s\n' "$name" "$( ((code == 0)) && echo accept || echo reject)" "$(IFS=, && echo "${rules[*]:--}")" "$words"
    done <"$1"
  ) | sort
}

teardown_file() {
  source "$BATS_TEST_DIRNAME/signed.bash"
  signed_stop
}

setup() {
  source "$BATS_TEST_DIRNAME/signed.bash"
  signed_test
}

# What an engine said of a case in both registries, which must be this verdict, these rules and words.
said() { # file case verdict rules [words]
  local kind line
  for kind in plain listing; do
    line=$(grep "^$2-$kind"$'\t' "$KEYS/$1") || { [[ $kind == listing ]] && continue; }
    [[ $line == "$2-$kind"$'\t'"$3"$'\t'"$4"$'\t'*"${5:-}"* ]] || {
      echo "$1 says of it: $line" >&2
      return 1
    }
  done
}

@test "Kyverno lets through what was signed for a release or by the import, on both kinds of registries" {
  local name
  for name in signed signed-beside-a-tag signed-beside-a-lie moved-tag-with-digest countersigned stranger-and-ours index; do said kyverno.tsv "$name" accept -; done
}

@test "Kyverno refuses unsigned images and those by keys that are unknown, revoked, expired, or for something else" {
  local name
  for name in unsigned stranger revoked expired other-repository other-purpose promoters-key of-another-image of-two-images; do
    said kyverno.tsv "$name" reject image-signed "Pod/$name-"
    said kyverno.tsv "$name" reject image-signed "): image-signed: $(awk -F '\t' '$1 == "image-signed" { print $2 }' "$ROOT/policy/rules.tsv")"
  done
}

@test "Kyverno takes no attestation for a signature" { said kyverno.tsv attested reject image-signed; }

@test "Kyverno refuses a signature that was copied with its image to another repository, or says another" {
  said kyverno.tsv copied reject image-signed
  said kyverno.tsv said-elsewhere reject image-signed
}

@test "Kyverno believes no tag: neither one that was signed, nor one that was moved" {
  said kyverno.tsv by-tag reject image-signed
  said kyverno.tsv moved-tag reject image-signed
}

@test "Kyverno wants a promotion where releases run, and nowhere else" {
  local name
  said kyverno.tsv signed accept -
  said kyverno.tsv promoted accept -
  said kyverno.tsv not-promoted reject promoted "): promoted: $(awk -F '\t' '$1 == "promoted" { print $2 }' "$ROOT/policy/rules.tsv")"
  said kyverno.tsv promoted-not-signed reject image-signed
  for name in promoted-by-a-stranger promoted-by-a-lost-key promoted-by-the-import promoted-elsewhere promoted-for-others promoted-otherwise \
    promotion-over promotion-to-come promotion-without-end promotion-with-more promotion-no-reason promotion-for-something-else promotion-in-another-zone \
    promotion-from-anywhere; do
    said kyverno.tsv "$name" reject promoted
  done
}

@test "what Kyverno cannot read of a promotion it refuses" {
  said kyverno.tsv promotion-in-numbers reject promoted
  said kyverno.tsv promotion-no-date reject error
}

@test "what is not there Kyverno refuses, and says so; and what is not made for linux/amd64, too" {
  said kyverno.tsv missing reject error "MANIFEST_UNKNOWN"
  said kyverno.tsv index-of-others reject error "no child with platform linux/amd64"
}

@test "Kyverno and policy/admit have the same verdicts and name the same rules, but for what is in the list" {
  # Where Kyverno cannot judge at all it refuses without one of our rules.
  local known="missing-plain missing-listing promotion-no-date-plain index-of-others-plain index-of-others-listing" name differences=()
  while IFS= read -r name; do
    differences+=("$name")
  done < <(join -t $'\t' -o 0,1.2,1.3,2.2,2.3 "$KEYS/kyverno.tsv" "$KEYS/admit.tsv" | awk -F '\t' '$2 != $4 || $3 != $5 { print $1 }')
  [[ $(wc -l <"$KEYS/kyverno.tsv") == $(wc -l <"$KEYS/admit.tsv") && $(wc -l <"$KEYS/images") == $(wc -l <"$KEYS/admit.tsv") ]]
  [[ $(printf '%s\n' "${differences[@]}" | sort) == $(tr ' ' '\n' <<<"$known" | sort) ]] || {
    printf 'they differ in: %s\n' "${differences[*]}" >&2
    return 1
  }
  # No difference lets anything through.
  [[ $(join -t $'\t' -o 0,1.2,2.2 "$KEYS/kyverno.tsv" "$KEYS/admit.tsv" | awk -F '\t' '$2 != $3 { print $2 }' | sort -u) == reject ]]
  # And both had something to accept and to refuse.
  [[ $(cut -f 2 "$KEYS/kyverno.tsv" | sort -u | paste -sd ' ') == "accept reject" ]]
}

# The reference of a case in the plain registry.
reference() { awk -v name="$1-plain" '$1 == name { print $3 }' "$KEYS/images"; }

@test "Kyverno finds an image in every place and kind, and names it" {
  local bad good
  bad=$(reference unsigned) good=$(reference countersigned)
  jq -n --arg bad "$bad" --arg good "$good" --arg another "$(reference signed)" '{containers: [{name: "c", image: $good}]} as $pod | def meta: {metadata: {name: ., namespace: "default"}};
    def pod($name; $spec): {apiVersion: "v1", kind: "Pod", spec: $spec} + ($name | meta);
    (
      pod("good"; $pod + {initContainers: [{name: "i", image: $good}], volumes: [{name: "v", image: {reference: $good}}, {name: "w", emptyDir: {}}]}),
      # One image twice and then another is what Kyverno waits for itself in.
      pod("twice"; {containers: [{name: "c", image: $good}, {name: "d", image: $good}, {name: "e", image: $another}]}),
      pod("in-container"; {containers: [{name: "c", image: $good}, {name: "d", image: $bad}]}),
      pod("in-init-container"; $pod + {initContainers: [{name: "i", image: $bad, restartPolicy: "Always"}]}),
      pod("in-ephemeral-container"; $pod + {ephemeralContainers: [{name: "e", image: $bad}]}),
      pod("in-volume"; $pod + {volumes: [{name: "v", image: {reference: $bad}}]}),
      ({containers: [{name: "c", image: $bad}]} as $pod | ("deployment", "replicaset", "statefulset", "daemonset") as $name | {apiVersion: "apps/v1", kind: {deployment: "Deployment", replicaset: "ReplicaSet", statefulset: "StatefulSet", daemonset: "DaemonSet"}[$name],
        spec: {template: {spec: $pod}}} + ($name | meta)),
      ({containers: [{name: "c", image: $bad}]} as $pod | ({apiVersion: "batch/v1", kind: "Job", spec: {template: {spec: $pod}}} + ("job" | meta), {apiVersion: "batch/v1", kind: "CronJob", spec: {jobTemplate: {spec: {template: {spec: $pod}}}}} + ("cronjob" | meta),
        {apiVersion: "v1", kind: "ReplicationController", spec: {template: {spec: $pod}}} + ("replicationcontroller" | meta), {apiVersion: "v1", kind: "PodTemplate", template: {spec: $pod}} + ("podtemplate" | meta))))' >objects.json
  CONTEXT=$KEYS/context.yaml judge_kyverno "$KEYS/policy.yaml" objects.json >verdicts
  [[ $(wc -l <verdicts) == 14 ]] || { cat verdicts report report.log >&2 && return 1; }
  [[ $(grep -c -P '^(good|twice)\taccept\t-' verdicts) == 2 ]]
  [[ $(grep -c -P '\treject\timage-signed\t' verdicts) == 12 ]]
  grep -F "Pod/in-container, container d ($bad): image-signed: " verdicts
  grep -F "Pod/in-init-container, init container i ($bad): image-signed: " verdicts
  grep -F "Pod/in-ephemeral-container, ephemeral container e ($bad): image-signed: " verdicts
  grep -F "Pod/in-volume, volume v ($bad): image-signed: " verdicts
  grep -F "CronJob/cronjob, container c ($bad): image-signed: " verdicts
}

# What may be taken out of the policy, and the case whose verdict that must change: its name and a program of sed a line.
mutations() {
  cat <<'PROGRAMS'
expired s/time.now() < timestamp("2021-01-01T00:00:00Z")/true/
other-repository s/(i.repository == "[^)]*mini\/web")/(true)/
other-purpose s/?purpose.orValue("") == "import"/?purpose.orValue("") != "x"/
said-elsewhere s/?repository.orValue("") == i.repository/?repository.orValue("") != "x"/
of-two-images s/s.subject.size() == 1/true/
attested s/type: "https:\/\/sigstore.dev\/cosign\/sign\/v1"/type: "https:\/\/spdx.dev\/Document"/
promoted-otherwise s/type: "https:\/\/mini-api.invalid\/promotion\/v1"/type: "https:\/\/mini-api.invalid\/promotion\/v2"/
not-promoted s/!variables.release ? \[\]/true ? []/
promoted-for-others s/p.audience == "mini"/true/
promotion-for-something-else s/p.purpose == "promotion"/true/
promoted-elsewhere s/p.repository == i.repository/true/
promotion-no-reason s/p.reason.matches([^)]*)/true/
promotion-with-more s/p.all(name, name in \[[^]]*\])/true/
promotion-without-end s/name in p && type(p\[name\]) == string) &&/true) \&\&/
promotion-in-another-zone s/t.matches([^)]*)/true/
promotion-from-anywhere s/!(name in p) || type(p\[name\]) == string && p\[name\].matches(/true || "".matches(/
promotion-to-come s/time.now() >= timestamp(p.promoted)/true/
promotion-over s/time.now() < timestamp(p.until)/true/
PROGRAMS
}

@test "each clause of the policy decides a case: without it the verdict is another" {
  local case program before after
  mutations >programs
  while read -r case program; do
    sed "$program" "$KEYS/policy.yaml" >mutant.yaml
    ! cmp -s mutant.yaml "$KEYS/policy.yaml" || { echo "changes nothing: $program" >&2 && return 1; }
    grep "^$case-plain " "$KEYS/images" >list
    before=$(grep "^$case-plain"$'\t' "$KEYS/kyverno.tsv" | cut -f 1-3)
    after=$(CONTEXT=$KEYS/context.yaml ask_kyverno mutant.yaml list | cut -f 1-3)
    [[ $before && $after && $before != "$after" ]] || { echo "$case does not miss it: $program ($before, $after)" >&2 && return 1; }
  done <programs
}

@test "an exempt namespace is not judged; without parameters nothing is admitted" {
  printf 'unsigned kube-system %s\n' "$(reference unsigned)" >exempt
  [[ $(CONTEXT=$KEYS/context.yaml ask_kyverno "$KEYS/policy.yaml" exempt) == unsigned$'\taccept\t-'* ]]
  jq 'del(.spec.resources)' "$KEYS/context.yaml" >none.yaml
  printf 'signed default %s\n' "$(reference signed)" >list
  [[ $(CONTEXT=none.yaml ask_kyverno "$KEYS/policy.yaml" list) == signed$'\treject\terror'* ]]
}

@test "broken glass lets through what it names, by the time that the API server wrote on the object, and asks no registry" {
  local bad
  bad=$(reference unsigned)
  parameters "2026-01-31T12:00:00Z namespace shop image-signed,probes glass-1" "2026-01-31T12:00:00Z image $(reference stranger) image-signed glass-2" "2026-01-31T12:00:00Z namespace stall probes glass-3" >glass.yaml
  jq -n --arg bad "$bad" --arg stranger "$(reference stranger)" '[["before", "shop", "2026-01-31T11:59:59Z", $bad], ["after", "shop", "2026-01-31T12:00:00Z", $bad], ["elsewhere", "default", "2026-01-31T11:00:00Z", $bad],
    ["image", "default", "2026-01-31T11:00:00Z", $stranger], ["image-after", "default", "2026-01-31T12:00:01Z", $stranger], ["other-rule", "stall", "2026-01-31T11:00:00Z", $bad], ["no-time", "shop", null, $bad],
    ["registry-burns", "shop", "2026-01-31T11:00:00Z", "localhost:1/mini/mini-api@\($bad | split("@")[1])"]]
    | .[] | {apiVersion: "v1", kind: "Pod", metadata: ({name: .[0], namespace: .[1], creationTimestamp: .[2]} | map_values(select(. != null))), spec: {containers: [{name: "c", image: .[3]}]}}' >objects.json
  CONTEXT=glass.yaml judge_kyverno "$KEYS/policy.yaml" objects.json >verdicts
  [[ $(awk -F '\t' '$2 == "accept" { print $1 }' verdicts | paste -sd ' ') == "before image registry-burns" && $(wc -l <verdicts) == 8 ]]
}

@test "of several statements by one key Kyverno sees the last alone: it may refuse what policy/admit lets through, never the other way" {
  local image here list
  image=$(push_image "$PLAIN/mini/mini-api" "twice")
  hang_signature "$image" "$KEYS/importer.key" import "$PLAIN/mini/elsewhere"
  hang_signature "$image" "$KEYS/importer.key" import
  printf 'right-last default %s\n' "$image" >list
  image=$(push_image "$PLAIN/mini/mini-api" "twice, the other way")
  hang_signature "$image" "$KEYS/importer.key" import
  hang_signature "$image" "$KEYS/importer.key" import "$PLAIN/mini/elsewhere"
  printf 'right-first default %s\n' "$image" >>list
  [[ $(CONTEXT=$KEYS/context.yaml ask_kyverno "$KEYS/policy.yaml" list | cut -f 1-3) == $'right-first\treject\timage-signed\nright-last\taccept\t-' ]]
  [[ $(ask_admit list | cut -f 1-2) == $'right-first\taccept\nright-last\taccept' ]]
}

@test "a registry that does not answer is not one that accepts: refused, and said so" {
  printf 'signed default %s\n' "$(reference signed)" >list
  stop_plain "$KEYS"
  CONTEXT=$KEYS/context.yaml ask_kyverno "$KEYS/policy.yaml" list >verdicts
  start_plain "$KEYS"
  grep -P '^signed\treject\terror\t.*connection refused' verdicts
  [[ $(CONTEXT=$KEYS/context.yaml ask_kyverno "$KEYS/policy.yaml" list) == signed$'\taccept'* ]]
  # Neither one with a certificate that nobody believes.
  [[ $(SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt CONTEXT=$KEYS/context.yaml ask_kyverno "$KEYS/policy.yaml" list) == signed$'\treject\terror\t'* ]]
}

@test "a key that is revoked is in the policy no more, and the old one is told to be stale" {
  "$ROOT/policy/signatures" --check "$KEYS/policy.yaml"
  cp -R "$KEYS/trust" trust && cp "$KEYS/pin" pin
  export TRUST=$PWD/trust TRUST_PIN=$PWD/pin
  "$ROOT/scripts/trust" revoke importer --reason "the laptop was stolen" && "$ROOT/scripts/trust" sign "$KEYS/root.key"
  run "$ROOT/policy/signatures" --check "$KEYS/policy.yaml"
  [[ $status == 65 && $output == *"is not what the trust file says"*"make it anew with policy/signatures --out"* ]]
  "$ROOT/policy/signatures" --out new.yaml
  "$ROOT/policy/signatures" --check new.yaml
  printf 'signed default %s\ncountersigned default %s\n' "$(reference signed)" "$(reference countersigned)" >list
  [[ $(CONTEXT=$KEYS/context.yaml ask_kyverno new.yaml list | cut -f 1-3) == $'countersigned\treject\timage-signed\nsigned\taccept\t-' ]]
}

@test "where nobody may sign, nothing is admitted" {
  mkdir empty && cd empty
  plain_key root
  export TRUST=$PWD/trust TRUST_PIN=$PWD/pin
  "$ROOT/scripts/trust" init --audience mini root.pub && "$ROOT/scripts/trust" sign root.key
  "$ROOT/policy/signatures" --out policy.yaml
  printf 'signed default %s\n' "$(reference signed)" >list
  [[ $(CONTEXT=$KEYS/context.yaml ask_kyverno policy.yaml list | cut -f 1-3) == $'signed\treject\timage-signed' ]]
}

@test "the policy is made whole or not at all, of a trust file that is believed, and an edit is found" {
  run env TRUST="$PWD/none" "$ROOT/policy/signatures" --out policy.yaml
  [[ $status == 78 && ! -e policy.yaml ]]
  cp -R "$KEYS/trust" trust
  jq '.keys |= map(del(.revoked))' trust/trust.json >forged && mv forged trust/trust.json
  run "$ROOT/policy/signatures" --trust "$PWD/trust" --out policy.yaml
  [[ $status == 65 && ! -e policy.yaml ]]
  "$ROOT/policy/signatures" --pull-secret registry --pull-secret other >policy.yaml
  grep -F "credentials: {secrets: [registry,other]}" policy.yaml
  "$ROOT/policy/signatures" --check policy.yaml
  sed 's/failurePolicy: Fail/failurePolicy: Ignore/' policy.yaml >edited.yaml
  run "$ROOT/policy/signatures" --check edited.yaml
  [[ $status == 65 && $output == *"--pull-secret registry --pull-secret other"* ]]
  echo "kind: ConfigMap" >other.yaml
  run "$ROOT/policy/signatures" --check other.yaml
  [[ $status == 65 && $output == *"was not made by policy/signatures"* ]]
}
