# shellcheck shell=bash
# scripts/bench policy: what judging costs: a thousand manifests by policy/admit, beside conftest with the same rules and the same reader
# in turns with it, and the corpus through every engine. Uses lines and clocks of deploy.sh.

# Writes manifests as they are in life: a Deployment each, with an init container, all of it as it should be.
policy_manifests() { # folder count
  python3 - "$1" "$2" <<'PY'
import sys
manifest = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-{n}
  namespace: shop
  labels: {{app.kubernetes.io/name: web, app.kubernetes.io/instance: web-{n}}}
spec:
  replicas: 3
  selector:
    matchLabels: {{app.kubernetes.io/instance: web-{n}}}
  template:
    metadata:
      labels: {{app.kubernetes.io/name: web, app.kubernetes.io/instance: web-{n}}}
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        seccompProfile: {{type: RuntimeDefault}}
      initContainers:
        - name: migrate
          image: {image}
          args: [migrate]
          securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
      containers:
        - name: api
          image: {image}
          ports:
            - {{name: http, containerPort: 8000}}
          env:
            - name: DB_HOST
              value: db
          resources:
            requests: {{cpu: 100m, memory: 64Mi}}
            limits: {{memory: 128Mi}}
          securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
          livenessProbe:
            httpGet: {{path: /livez, port: http}}
          readinessProbe:
            httpGet: {{path: /readyz, port: http}}
      volumes:
        - name: tmp
          emptyDir: {{}}
"""
for n in range(int(sys.argv[2])):
    with open(f"{sys.argv[1]}/{n}.yaml", "w", encoding="ascii") as file:
        file.write(manifest.format(n=n, image=f"registry.intra/mini/mini-api:1.0.{n}@sha256:{n:064x}"))
PY
}

policy_admit() { "$ROOT/policy/admit" --no-signatures --registries "$ROOT/tests/policy/registries.txt" "$WORK"/manifests/*.yaml; }
policy_conftest() { "$ROOT/policy/conftest/judge" --registries "$ROOT/tests/policy/registries.txt" "$WORK"/manifests/*.yaml; }

# A thousand manifests, by both in turns.
policy_thousand() {
  local ours theirs
  say "measuring: policy/admit on 1,000 manifests, beside conftest"
  mkdir "$WORK/manifests"
  policy_manifests "$WORK/manifests" 1000
  for _ in 1 2 3 4 5; do
    ours=$(deploy_clock policy_admit)
    theirs=$(deploy_clock policy_conftest)
    say "   policy/admit $ours s, conftest $theirs s"
    echo "$ours" >>"$WORK/ours"
    awk -v a="$ours" -v b="$theirs" 'BEGIN { print a / b }' >>"$WORK/ratios"
  done
  deploy_line "policy/admit --no-signatures on 1,000 manifests" 5 s "$WORK/ours"
  deploy_line "the same, of policy/conftest/judge on the same files" 1 × "$WORK/ratios"
}

# Every case of the corpus through every engine, one engine after another. The first round warms up.
policy_corpus() {
  local round engine place begin
  say "measuring: the corpus through every engine"
  # shellcheck source=/dev/null
  source "$ROOT/tests/policy/corpus.bash"
  for round in warm 1 2 3; do
    begin=$EPOCHREALTIME
    # shellcheck disable=SC2154  # it is corpus.bash's
    for engine in "${engines[@]}"; do
      place=$WORK/$round/$engine
      mkdir -p "$place"
      asked "$engine" >"$place/cases.tsv"
      ln -s "$CORPUS"/{accept,reject,old} "$place/"
      ask "$engine" "$place" || { tail -n 5 "$place/log" >&2 && die "$engine did not judge the corpus"; }
    done
    [[ $round == warm ]] || awk -v begin="$begin" -v end="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", end - begin }' >>"$WORK/corpus"
  done
  deploy_line "the corpus ($(table "$CORPUS/cases.tsv" | wc -l) cases) through ${#engines[@]} engines, warm" 60 s "$WORK/corpus"
}

# Measures all of it.
bench_policy() {
  "$ROOT/scripts/setup" jq conftest kubernetes gator kyverno
  need python3 "install Python 3.9 or newer, and python3-yaml"
  WORK=$(mktemp -d "${TMPDIR:-/tmp}/mini-api-bench.XXXXXX")
  trap 'rm -rf "$WORK"' EXIT
  printf '| what | goal | measured | least–most | verdict |\n|---|---|---|---|---|\n'
  policy_thousand
  policy_corpus
  # What admission adds at the API server is measured by scripts/lib/bench/admission.sh, which prints its lines here.
  if declare -F bench_admission >/dev/null; then bench_admission; fi
}
