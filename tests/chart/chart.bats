# The chart, rendered: what each value does, and what is refused. No cluster is asked.

bats_require_minimum_version 1.5.0

setup() {
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  source "$BATS_TEST_DIRNAME/chart.bash"
  cd "$BATS_TEST_TMPDIR"
}

@test "helm finds nothing to say about the chart" {
  helm lint --strict "$CHART" "${external[@]}"
  helm lint --strict "$CHART" "${bundled[@]}"
}

@test "the manual, the schema and the manifests are what they are made of, and a drift is told" {
  "$ROOT/scripts/render" --check
  mkdir -p place/chart
  cp -R "$ROOT/scripts" place/
  cp "$ROOT/Cargo.toml" place/
  cp -RL "$CHART" "$ROOT/chart/k8s.yaml" place/chart/
  cp -R "$ROOT/k8s" place/
  ln -s "$ROOT/.tools" place/.tools
  sed -i 's/How many pods serve/How very many pods serve/' place/chart/mini-api/values.yaml
  run place/scripts/render --check
  [[ $status == 65 && $output == *"values.schema.json is not what it is made of: scripts/render writes it"*"README.md is not what it is made of"* ]]
  place/scripts/render
  place/scripts/render --check
  grep -q "How very many" place/chart/mini-api/README.md
  # So with the manifests, whichever of both was altered.
  sed -i 's/readOnlyRootFilesystem: true/readOnlyRootFilesystem: false/' place/k8s/api-deployment.yaml
  run place/scripts/render --check
  [[ $status == 65 && $output == *"k8s/api-deployment.yaml is not what it is made of"* ]]
  place/scripts/render
  sed -i 's/periodSeconds: 10/periodSeconds: 11/' place/chart/mini-api/templates/deployment.yaml
  run place/scripts/render --check
  [[ $status == 65 && $output == *"k8s/api-deployment.yaml is not what it is made of"* ]]
}

@test "values of another type, and words that no value has, are refused by the schema" {
  refused "replicaCount" "${external[@]}" --set replicaCount=many
  refused "replicaCount" "${external[@]}" --set replicaCount=-1
  refused "sslmode" "${external[@]}" --set database.sslmode=verify_full
  refused "pullPolicy" "${external[@]}" --set image.pullPolicy=Sometimes
  refused "replicas" "${external[@]}" --set replicas=3
  refused "apis" "${external[@]}" --set names.apis=x
  refused "maxUnavailable" "${external[@]}" --set podDisruptionBudget.maxUnavailable=some
  refused "jwt_expire_min" "${external[@]}" --set settings.jwt_expire_min=5
  refused "port" "${external[@]}" --set database.port=65536
  refused "major" "${bundled[@]}" --set postgres.major=13
}

@test "an image is run by digest, and a tag only by permission" {
  rendered "${bundled[@]}"
  [[ $(pods | jq -r '.containers[].image' | sort -u) == $'registry.test/import/postgres@'"$DIGEST"$'\nregistry.test/mini/mini-api@'"$DIGEST" ]]
  refused "image.tag is \"1.0.0\", and a tag may be another image tomorrow: set image.digest, or image.allowTag=true" \
    "${bundled[@]}" --set image.digest= --set image.tag=1.0.0
  refused "postgres.image.tag is \"18\"" "${bundled[@]}" --set postgres.image.digest= --set-string postgres.image.tag=18
  rendered "${bundled[@]}" --set image.digest= --set image.tag=1.0.0 --set image.allowTag=true \
    --set postgres.image.digest= --set-string postgres.image.tag=18 --set postgres.image.allowTag=true
  [[ $(pods | jq -r '.containers[].image' | sort -u) == $'registry.test/import/postgres:18\nregistry.test/mini/mini-api:1.0.0' ]]
  refused "is latest, which nobody can trace" "${external[@]}" --set image.digest= --set image.tag=latest --set image.allowTag=true
  refused "image.digest is empty" "${external[@]}" --set image.digest=
  refused 'image.digest is "latest", and not sha256: with 64' "${external[@]}" --set image.digest=latest
  refused 'image.digest is "sha256:12", and not sha256: with 64' "${external[@]}" --set image.digest=sha256:12
  refused "image.digest and image.tag are both set" "${external[@]}" --set image.tag=1.0.0
  refused "image.repository is empty" "${external[@]}" --set image.repository=
  refused "image.repository has a tag" "${external[@]}" --set image.repository=registry.test:5000/mini/mini-api:1.0.0
  refused "image.repository is the name alone" "${external[@]}" --set "image.repository=registry.test/mini/mini-api@$DIGEST"
  rendered "${external[@]}" --set image.repository=registry.test:5000/mini/mini-api --set image.pullPolicy=Always --set 'imagePullSecrets={one,two}'
  [[ $(pods | jq -r '.containers[0] | "\(.image) \(.imagePullPolicy)"' | sort -u) == "registry.test:5000/mini/mini-api@$DIGEST Always" ]]
  [[ $(pods | jq -c .imagePullSecrets | sort -u) == '[{"name":"one"},{"name":"two"}]' ]]
}

@test "there is one database: refused are none, both, and one that cannot be reached or trusted" {
  refused "there is no database: set postgres.enabled=true, or database.host and database.existingSecret" "${ours[@]}"
  refused "postgres.enabled is true, and database.* names another one" "${bundled[@]}" --set database.host=db.test
  refused "database.host is empty" "${external[@]}" --set database.host=
  refused "database.host and database.urlKey are both set" "${external[@]}" --set database.urlKey=uri
  refused "database.sslmode is verify-full, and no authority is named" "${external[@]}" --set database.ca.configMap=
  refused "database.ca.configMap and database.ca.secret are both set" "${external[@]}" --set database.ca.secret=other
}

@test "what cannot be is refused with a sentence" {
  refused "settings.JWT_SECRET is a secret or names a file" "${external[@]}" --set settings.JWT_SECRET=change-me
  refused "settings.MIGRATE_DATABASE_URL is a secret" "${external[@]}" --set settings.MIGRATE_DATABASE_URL=postgresql://app:app@db/app
  refused "postgres.settings.search_path has a white space in it" "${bundled[@]}" --set 'postgres.settings.search_path=a\, b'
  refused "settings.LISTEN_ADDR is set by the chart itself" "${external[@]}" --set settings.LISTEN_ADDR=:9
  refused "all clients would be one to the throttle" "${external[@]}" --set ingress.enabled=true
  refused "no node could ever be drained" "${external[@]}" --set podDisruptionBudget.maxUnavailable=0
  refused "resources.requests.cpu is empty" "${external[@]}" --set autoscaling.enabled=true --set resources.requests.cpu=null
  refused "names.api is longer than 63" "${external[@]}" --set names.api="$(printf 'a%.0s' {1..64})"
  refused "the service's own name" "${bundled[@]}" --set names.api=same --set names.postgres=same
  refused "wants a private key" "${external[@]}" --set settings.JWT_ALG=EdDSA
  refused "ingress.hosts is empty" "${external[@]}" --set ingress.enabled=true --set 'trustedProxies={10.0.0.0/8}' --set-json 'ingress.hosts=[]'
  refused "names.postgres is longer than 52 characters" "${bundled[@]}" --set names.postgres="$(printf %053d 1)"
  refused "autoscaling.minReplicas (9) is more than maxReplicas (6)" "${external[@]}" --set autoscaling.enabled=true --set autoscaling.minReplicas=9
  refused "terminationGracePeriodSeconds (20) must be more than drainDelay and DRAIN_TIMEOUT together (25)" "${external[@]}" --set terminationGracePeriodSeconds=20
  refused "metrics.enabled is false, so there is nothing for a ServiceMonitor" "${external[@]}" --set metrics.enabled=false --set metrics.serviceMonitor.enabled=true
}

@test "pods keep to Pod Security 'restricted', and have no token of the cluster" {
  local database
  for database in external bundled; do
    local -n words=$database
    rendered "${words[@]}"
    (($(pods | wc -l) >= 3))
    # Into a file: a failure of jq would look like nothing to complain of.
    pods | jq -c 'select((.automountServiceAccountToken == false and .securityContext.runAsNonRoot and .securityContext.runAsUser > 0
      and .securityContext.seccompProfile.type == "RuntimeDefault" and (.hostNetwork or .hostPID or .hostIPC | not)
      and all(.volumes[]?; has("secret") or has("configMap") or has("emptyDir"))
      and all(.containers[]; .securityContext.allowPrivilegeEscalation == false and .securityContext.readOnlyRootFilesystem
        and .securityContext.capabilities == {drop: ["ALL"]} and .resources.limits.memory and .resources.requests.cpu)) | not)' >complaints
    diff /dev/null complaints
  done
  [[ $(objects ServiceAccount | jq .automountServiceAccountToken) == false ]]
}

@test "a pod lives and is ready by two different questions, and starts by a third if wanted; new ones come before old ones go" {
  rendered "${external[@]}"
  objects Deployment | jq -e '.spec.template.spec.containers[0].startupProbe == null'
  rendered "${external[@]}" --set startupProbe.enabled=true
  objects Deployment | jq -e '.spec.strategy.rollingUpdate == {maxSurge: 1, maxUnavailable: 0} and .spec.replicas == 2
    and (.spec.template.spec.containers[0] | .startupProbe.httpGet.path == "/livez" and .livenessProbe.httpGet.path == "/livez"
      and .readinessProbe.httpGet.path == "/readyz")'
}

@test "a database of one's own is reached by a file, with its authority, and migrated before anything is replaced" {
  rendered "${external[@]}" --set database.port=6432 --set database.name=n --set database.user=u --set database.passwordKey=pw --set database.ca.key=root.pem
  objects ConfigMap | jq -e '.data | .DB_HOST == "db.test" and .DB_PORT == "6432" and .DB_NAME == "n" and .DB_USER == "u" and .DB_SSLMODE == "verify-full"
    and .DB_PASSWORD_FILE == "/run/secrets/database/pw" and .DB_CA_FILE == "/run/database-ca/root.pem" and .MIGRATE_ON_START == "false"'
  objects Job | jq -e '.metadata.annotations["helm.sh/hook"] == "pre-install,pre-upgrade" and .spec.activeDeadlineSeconds == 240
    and (.spec.template.spec | .containers[0].args == ["migrate"] and .serviceAccountName == null
      and ([.containers[0].env[] | {(.name): .value}] | add | .DB_PASSWORD_FILE == "/run/secrets/database/pw" and .DB_SSLMODE == "verify-full")
      and ([.volumes[].name] == ["database", "database-ca"]))'
  [[ ! $(objects StatefulSet) ]]
  rendered "${external[@]}" --set database.migrate.job=false
  [[ ! $(objects Job) && $(objects ConfigMap | jq -r .data.MIGRATE_ON_START) == true ]]
  rendered "${external[@]}" --set database.migrate.deadline=60
  [[ $(objects Job | jq .spec.activeDeadlineSeconds) == 60 ]]
}

@test "a Secret that holds a whole URL is enough, and an authority may be in a Secret" {
  rendered "${ours[@]}" --set database.existingSecret=cluster-app --set database.urlKey=uri --set database.ca.secret=cluster-ca
  # Nor does a URL open every port.
  [[ $(objects NetworkPolicy | jq -c '.spec.egress[]?.ports' | sort -u | xargs -d '\n') == *'[{"port":5432}]'* && ! $(objects NetworkPolicy | jq -c '.spec.egress[]? | select(.ports == [] or .ports == null)') ]]
  objects ConfigMap | jq -e '.data | .DATABASE_URL_FILE == "/run/secrets/database/uri" and (has("DB_HOST") or has("DB_PASSWORD_FILE") | not)'
  objects Deployment | jq -e '[.spec.template.spec.volumes[].secret | {(.secretName): [.items[]?.key]}] | add
    | .["cluster-app"] == ["uri"] and .["cluster-ca"] == ["ca.crt"]'
  rendered "${ours[@]}" --set database.existingSecret=managed --set database.host=db.test --set database.sslmode=require
  objects Deployment | jq -e '[.spec.template.spec.volumes[].name] == ["keys", "database"]'
}

@test "the bundled database keeps its volume and its password, and is reached by name" {
  rendered "${bundled[@]}" --set postgres.storage.size=9Gi --set postgres.storage.className=fast --set postgres.uid=70 --set postgres.database=n --set postgres.user=u \
    --set postgres.settings.shared_buffers=64MB --set postgres.settings.max_connections=50 --set postgres.major=17 --set postgres.nodeSelector.disk=ssd \
    --set 'postgres.tolerations[0].operator=Exists' --set postgres.image.pullPolicy=Never \
    --set postgres.resources.limits.memory=1Gi --set postgres.resources.limits.cpu=3 --set postgres.resources.requests.cpu=1 --set postgres.resources.requests.memory=1Gi
  objects StatefulSet | jq -e '.spec.volumeClaimTemplates[0].spec == {accessModes: ["ReadWriteOnce"], storageClassName: "fast", resources: {requests: {storage: "9Gi"}}}
    and (.spec.template.spec | .securityContext.runAsUser == 70 and .securityContext.fsGroup == 70 and .nodeSelector == {disk: "ssd"} and .tolerations == [{operator: "Exists"}]
      and (.containers[0] | .imagePullPolicy == "Never" and .resources == {limits: {memory: "1Gi", cpu: 3}, requests: {memory: "1Gi", cpu: 1}}
        and ([.env[] | {(.name): .value}] | add | .POSTGRES_MAJOR == "17" and .PGDATA == "/var/lib/postgresql/17/docker" and .DB_NAME == "n" and .DB_USER == "u")))'
  [[ $(objects ConfigMap '.metadata.name == "mini-mini-api-postgres"' | jq -r .data.settings) == "max_connections=50 shared_buffers=64MB" ]]
  diff <(objects ConfigMap '.metadata.name == "mini-mini-api-postgres"' | jq -r .data.start) <(cat "$ROOT/deploy/postgres/start" && echo)
  objects Service '.metadata.name == "mini-mini-api-postgres"' | jq -e '.spec.clusterIP == "None"'
  objects ConfigMap '.metadata.name == "mini-mini-api"' | jq -e '.data | .DB_HOST == "mini-mini-api-postgres" and .MIGRATE_ON_START == "true" and .DB_NAME == "n" and .DB_USER == "u"'
  objects Secret | jq -e '.metadata.annotations["helm.sh/resource-policy"] == "keep" and (.data.DB_PASSWORD | @base64d | length) == 40 and (.data.JWT_SECRET | @base64d | length) == 64'
  [[ ! $(objects Job) ]]
}

@test "every value of the manual is set by a test at least once" {
  local unused=("$ROOT/.tools/venv/bin/python3" "$BATS_TEST_DIRNAME/unused.py")
  [[ ! $("${unused[@]}" "$CHART/values.yaml" "$BATS_TEST_DIRNAME"/{everything.yaml,*.bats,chart.bash}) ]]
  (cat "$CHART/values.yaml" && echo 'nobody: {sets: this}') >more.yaml
  [[ $("${unused[@]}" more.yaml "$BATS_TEST_DIRNAME"/{everything.yaml,*.bats,chart.bash}) == nobody.sets ]]
}

@test "keys are drawn by chance, or come from a Secret of one's own" {
  rendered "${external[@]}"
  [[ ! $(objects Secret | jq -r '.data.DB_PASSWORD // empty') ]]
  objects Secret | jq -r .data.JWT_SECRET >first
  rendered "${external[@]}"
  ! cmp first <(objects Secret | jq -r .data.JWT_SECRET) || false
  rendered "${external[@]}" --set secret.existingSecret=own
  [[ ! $(objects Secret) ]]
  objects Deployment | jq -e '.spec.template.spec.volumes[] | select(.name == "keys").secret.secretName == "own"'
  [[ $(objects ConfigMap | jq '.data | has("JWT_PREVIOUS_SECRETS_FILE")') == false ]]
}

@test "keys of before verify still, in the chart's Secret and in one's own" {
  local with
  rendered "${external[@]}"
  objects Secret | jq -e '.data | (.JWT_PREVIOUS_SECRETS | @base64d | length) == 64 and .JWT_PREVIOUS_SECRETS != .JWT_SECRET'
  for with in "" "--set secret.existingSecret=own --set secret.previous=true"; do
    # shellcheck disable=SC2086
    rendered "${external[@]}" $with
    [[ $(objects ConfigMap | jq -r .data.JWT_PREVIOUS_SECRETS_FILE) == /run/secrets/mini-api/JWT_PREVIOUS_SECRETS ]]
  done
  refused "secret.previous is for a Secret of your own" "${external[@]}" --set secret.previous=true
}

@test "another configuration starts the pods anew, and another number of them does not" {
  local first
  rendered "${external[@]}" --set secret.existingSecret=own
  first=$(objects Deployment | jq -c .spec.template.metadata.annotations)
  jq -e '(.["checksum/config"] | length) == 64 and (.["checksum/secrets"] | length) == 64' <<<"$first"
  rendered "${external[@]}" --set secret.existingSecret=own --set replicaCount=5
  [[ $(objects Deployment | jq -c .spec.template.metadata.annotations) == "$first" ]]
  rendered "${external[@]}" --set secret.existingSecret=own --set settings.JWT_EXPIRE_MIN=5
  [[ $(objects Deployment | jq -c .spec.template.metadata.annotations) != "$first" ]]
  [[ $(objects ConfigMap | jq -r .data.JWT_EXPIRE_MIN) == 5 ]]
  # The sum of the secrets is of what they hold: the chart's own are drawn anew in each rendering without a cluster.
  rendered "${external[@]}"
  first=$(objects Deployment | jq -r '.spec.template.metadata.annotations["checksum/secrets"]')
  rendered "${external[@]}"
  [[ $(objects Deployment | jq -r '.spec.template.metadata.annotations["checksum/secrets"]') != "$first" ]]
  rendered "${bundled[@]}"
  first=$(objects StatefulSet | jq -r '.spec.template.metadata.annotations["checksum/config"]')
  rendered "${bundled[@]}" --set postgres.settings.work_mem=8MB
  [[ $(objects StatefulSet | jq -r '.spec.template.metadata.annotations["checksum/config"]') != "$first" ]]
}

@test "numbers of a file of values come out as they were written" {
  printf '%s\n' 'settings: {MAX_BODY_BYTES: 1048576, DB_START_TIMEOUT: 300}' 'postgres: {settings: {random_page_cost: 1.1, max_wal_size: 4000000}}' >numbers.yaml
  rendered "${bundled[@]}" --values numbers.yaml
  [[ $(objects ConfigMap '.metadata.name == "mini-mini-api"' | jq -r .data.MAX_BODY_BYTES) == 1048576 ]]
  [[ $(objects ConfigMap '.metadata.name == "mini-mini-api-postgres"' | jq -r .data.settings) == "max_wal_size=4000000 random_page_cost=1.1" ]]
  rendered "${external[@]}" --values numbers.yaml
  objects Job | jq -e '[.spec.template.spec.containers[0].env[] | {(.name): .value}] | add | .DB_START_TIMEOUT == "300" and (has("MAX_BODY_BYTES") | not)'
}

@test "names are short enough for what Kubernetes hangs on them" {
  rendered "${bundled[@]}" --set fullnameOverride="$(printf %060d 1)"
  # A StatefulSet's pods carry its name and eleven characters in a label of 63.
  (($(objects StatefulSet | jq '.metadata.name | length') <= 52))
}

@test "proxies are believed by name, and pods drain before they end" {
  rendered "${external[@]}" --set 'trustedProxies={10.244.0.0/16,fd00::/8}' --set drainDelay=7 --set terminationGracePeriodSeconds=90
  objects ConfigMap | jq -e '.data.TRUSTED_PROXIES == "10.244.0.0/16,fd00::/8" and .data.DRAIN_DELAY == "7"'
  objects Deployment | jq -e '.spec.template.spec.terminationGracePeriodSeconds == 90'
}

@test "an Ingress names its class, its hosts and its certificate" {
  rendered "${external[@]}"
  [[ ! $(objects Ingress) ]]
  rendered "${external[@]}" --set ingress.enabled=true --set 'trustedProxies={10.0.0.0/8}' --set ingress.className=nginx --set 'ingress.hosts={a.test,b.test}' --set ingress.tlsSecret=cert --set ingress.annotations.x=y
  objects Ingress | jq -e '.spec.ingressClassName == "nginx" and .spec.tls == [{hosts: ["a.test", "b.test"], secretName: "cert"}] and .metadata.annotations == {x: "y"}
    and [.spec.rules[].host] == ["a.test", "b.test"] and .spec.rules[0].http.paths[0].backend.service == {name: "mini-mini-api", port: {name: "http"}}'
}

@test "many pods are kept apart, counted and never all away" {
  rendered "${external[@]}"
  objects PodDisruptionBudget | jq -e '.spec.maxUnavailable == 1 and .spec.unhealthyPodEvictionPolicy == "AlwaysAllow"'
  objects Deployment | jq -e '.spec.template.spec.topologySpreadConstraints[0] | .topologyKey == "kubernetes.io/hostname" and .whenUnsatisfiable == "ScheduleAnyway"'
  # With one replica as well: one may be away, so a node can be drained.
  rendered "${external[@]}" --set replicaCount=1
  objects PodDisruptionBudget | jq -e '.spec.maxUnavailable == 1'
  rendered "${external[@]}" --set podDisruptionBudget.enabled=false --set topologySpread.enabled=false
  [[ ! $(objects PodDisruptionBudget) && $(objects Deployment | jq .spec.template.spec.topologySpreadConstraints) == null ]]
  rendered "${external[@]}" --set podDisruptionBudget.maxUnavailable=25% --set topologySpread.topologyKey=topology.kubernetes.io/zone --set topologySpread.whenUnsatisfiable=DoNotSchedule
  [[ $(objects PodDisruptionBudget | jq -r .spec.maxUnavailable) == 25% ]]
  objects Deployment | jq -e '.spec.template.spec.topologySpreadConstraints[0] | .topologyKey == "topology.kubernetes.io/zone" and .whenUnsatisfiable == "DoNotSchedule"'
  rendered "${external[@]}" --set autoscaling.enabled=true --set autoscaling.minReplicas=3 --set autoscaling.maxReplicas=9 --set autoscaling.targetCPU=50 --set replicaCount=1
  objects HorizontalPodAutoscaler | jq -e '.spec | .minReplicas == 3 and .maxReplicas == 9 and .metrics[0].resource.target.averageUtilization == 50'
  [[ $(objects Deployment | jq .spec.replicas) == null && $(objects PodDisruptionBudget) ]]
}

@test "policies let through the API, the metrics, names and the database, and refuse the rest" {
  rendered "${bundled[@]}"
  [[ $(objects NetworkPolicy | jq -r .metadata.name | sort | xargs) == "mini-mini-api-api mini-mini-api-deny mini-mini-api-postgres mini-mini-api-test" ]]
  objects NetworkPolicy '.metadata.name == "mini-mini-api-deny"' | jq -e '.spec.policyTypes == ["Ingress", "Egress"] and (.spec | has("ingress") or has("egress") | not)'
  # Each pod of the installation is one of those that the refusal is for.
  jq -c 'select(.kind == "Pod").metadata.labels, (.spec.template?.metadata?.labels? // empty)' objects >labels
  (($(wc -l <labels) == 3))
  jq -es 'all(.["app.kubernetes.io/instance"] == "mini" and .["app.kubernetes.io/part-of"] == "mini-api")' labels
  objects NetworkPolicy '.metadata.name == "mini-mini-api-postgres"' | jq -e '.spec.ingress == [{ports: [{port: "postgres"}],
    from: [{podSelector: {matchLabels: {"app.kubernetes.io/name": "mini-api", "app.kubernetes.io/instance": "mini", "app.kubernetes.io/component": "api"}}}]}] and (.spec | has("egress") | not)'
  rendered "${external[@]}" --set 'networkPolicy.ingressFrom[0].ipBlock.cidr=10.1.0.0/16' --set 'networkPolicy.metricsFrom[0].ipBlock.cidr=10.2.0.0/16' \
    --set 'networkPolicy.databaseTo[0].ipBlock.cidr=10.3.0.0/16'
  # The Job runs before the other policies are there, and is not to depend on those of the release before.
  objects NetworkPolicy '.metadata.name == "mini-mini-api-migrate"' | jq -e '.metadata.annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
    and .spec.egress[1].to[0].ipBlock.cidr == "10.3.0.0/16" and .spec.podSelector.matchLabels["app.kubernetes.io/component"] == "migrate"'
  objects NetworkPolicy '.metadata.name == "mini-mini-api-api"' | jq -e '.spec.ingress[0].from[0].ipBlock.cidr == "10.1.0.0/16" and
    .spec.ingress[0].from[1].podSelector.matchLabels["app.kubernetes.io/component"] == "test" and .spec.ingress[1].from[0].ipBlock.cidr == "10.2.0.0/16"
    and .spec.egress[1] == {ports: [{port: 5432}], to: [{ipBlock: {cidr: "10.3.0.0/16"}}]}'
  rendered "${external[@]}" --set networkPolicy.enabled=false
  [[ ! $(objects NetworkPolicy) ]]
}

@test "what watches is off until asked for, and reads what the service writes" {
  rendered "${external[@]}"
  [[ ! $(objects ServiceMonitor) && ! $(objects PrometheusRule) && ! $(objects ConfigMap '.metadata.name | endswith("dashboard")') ]]
  [[ $(objects ConfigMap | jq -r .data.ADMIN_ADDR) == 0.0.0.0:9000 ]]
  rendered "${external[@]}" --set metrics.enabled=false
  [[ $(objects ConfigMap | jq -r '.data | has("ADMIN_ADDR")') == false ]]
  rendered "${external[@]}" --set metrics.serviceMonitor.enabled=true --set metrics.serviceMonitor.labels.of=us --set metrics.serviceMonitor.interval=9s \
    --set metrics.prometheusRule.enabled=true --set metrics.prometheusRule.labels.of=us
  objects ServiceMonitor | jq -e '.metadata.labels.of == "us" and .spec.endpoints == [{port: "metrics", path: "/metrics", interval: "9s"}]'
  # The monitor's selector finds its Service, and that one the pods.
  [[ $(objects Service '.metadata.name == "mini-mini-api-metrics"' | jq -c '.metadata.labels | with_entries(select(.key | IN("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component")))' | jq -S .) == $(objects ServiceMonitor | jq -S .spec.selector.matchLabels) ]]
  objects PrometheusRule | jq -e '.metadata.labels.of == "us" and (.spec.groups[0].rules | length) >= 4'
  # Every name that an alarm asks for is one that the service writes.
  objects PrometheusRule | jq -r '.spec.groups[].rules[].expr' | grep -oE 'mini_api_[a-z_]+' | sort -u >asked
  (($(wc -l <asked) >= 4))
  [[ ! $(comm -23 asked <(grep -oE 'mini_api_[a-z_]+' "$ROOT/docs/logging-and-metrics.md" | sort -u)) ]]
}

@test "the dashboard asks for what the service writes" {
  rendered "${external[@]}" --set metrics.dashboard.enabled=true --set metrics.dashboard.labels.of=us
  objects ConfigMap '.metadata.name == "mini-mini-api-dashboard"' | jq -e '.metadata.labels.of == "us" and .metadata.labels.grafana_dashboard == "1"'
  objects ConfigMap '.metadata.name == "mini-mini-api-dashboard"' | jq -r '.data["mini-api.json"]' | jq -r '.panels[].targets[].expr' >expressions
  grep -oE 'mini_api_[a-z_]+' expressions | sed 's/_bucket$//' | sort -u >asked
  (($(wc -l <asked) >= 9))
  [[ ! $(comm -23 asked <(grep -oE 'mini_api_[a-z_]+' "$ROOT/docs/logging-and-metrics.md" | sort -u)) ]]
}

@test "pods take what an administrator hangs on them" {
  rendered "${external[@]}" --set podAnnotations.a=b --set podLabels.c=d --set priorityClassName=high --set nodeSelector.e=f --set 'tolerations[0].key=g' \
    --set affinity.podAffinity.h=i --set resources.requests.cpu=2 --set service.annotations.j=k --set service.type=NodePort --set service.port=8080
  objects Deployment | jq -e '.spec.template | .metadata.annotations.a == "b" and .metadata.labels.c == "d" and (.spec | .priorityClassName == "high"
    and .nodeSelector == {e: "f"} and .tolerations == [{key: "g"}] and .affinity == {podAffinity: {h: "i"}} and .containers[0].resources.requests.cpu == 2)'
  objects Service | jq -e '.metadata.annotations == {j: "k"} and .spec.type == "NodePort" and .spec.ports[0].port == 8080 and .spec.externalTrafficPolicy == "Local"'
  objects Job | jq -e '.spec.template.spec | .nodeSelector == {e: "f"} and .tolerations == [{key: "g"}]'
}

@test "two installations in one namespace share no name" {
  rendered "${bundled[@]}"
  jq -r '"\(.kind) \(.metadata.name)"' objects | sort >first
  helm template other "$CHART" --namespace demo "${bundled[@]}" | "$ROOT/.tools/venv/bin/python3" -c '
import sys, yaml
for document in yaml.safe_load_all(sys.stdin):
    if document: print(document["kind"], document["metadata"]["name"])' | sort >second
  (($(wc -l <first) > 8))
  [[ ! $(comm -12 first second) ]]
  [[ ! $(uniq --repeated first) ]]
}

@test "names can be those that others know already" {
  rendered "${bundled[@]}" --set names.api=api --set names.config=mini-config --set names.secret=mini-secrets --set names.postgres=postgres --set names.ingress=mini \
    --set ingress.enabled=true --set 'trustedProxies={10.0.0.0/8}' --set fullnameOverride=mini
  [[ $(jq -r 'select(.kind | IN("Deployment", "StatefulSet", "Secret", "Ingress", "Service")) | "\(.kind)/\(.metadata.name)"' objects | sort | xargs) == "Deployment/api Ingress/mini Secret/mini-secrets Service/api Service/postgres StatefulSet/postgres" ]]
  rendered "${external[@]}" --set nameOverride=login --set serviceAccount.name=who
  [[ $(objects Deployment | jq -r .metadata.name) == mini-login && $(objects ServiceAccount | jq -r .metadata.name) == who ]]
  rendered "${external[@]}" --set serviceAccount.create=false --set serviceAccount.name=theirs
  [[ ! $(objects ServiceAccount) && $(jq -r '.spec.template.spec.serviceAccountName // (select(.kind == "Pod") | .spec.serviceAccountName) // empty' objects | sort | uniq -c | xargs) == "3 theirs" ]]
}

@test "every value of values.yaml has a sentence, and is used" {
  "$ROOT/.tools/venv/bin/python3" - "$CHART" <<'PYTHON'
import pathlib, re, sys, yaml
chart = pathlib.Path(sys.argv[1])
text = "".join(file.read_text() for file in chart.glob("templates/**/*") if file.is_file())
def leaves(tree, path=()):
    for name, value in tree.items():
        if isinstance(value, dict) and value and path + (name,) not in {("resources",), ("postgres", "resources"), ("metrics", "dashboard", "labels")}:
            yield from leaves(value, path + (name,))
        else:
            yield path + (name,)
lines = (chart / "values.yaml").read_text().splitlines()
described, faults = set(), []
for leaf in leaves(yaml.safe_load("\n".join(lines))):
    # The sentence stands above the value's line, which is found by walking down its path.
    at = -1
    for depth, name in enumerate(leaf):
        at = next(n for n in range(at + 1, len(lines)) if re.match(" " * 2 * depth + re.escape(name) + ":", lines[n]))
    if not lines[at - 1].strip().startswith("#"):
        faults.append(".".join(leaf) + " has no sentence")
    spelled = ".".join(leaf)
    image = leaf[-1] if "image" in leaf else None
    if not (f".Values.{spelled}" in text or f"$values.{spelled}" in text or f"Values.{leaf[0]} " in text and len(leaf) == 1
            or image and f"$image.{image}" in text):
        faults.append(spelled + " is used by no template")
print("\n".join(faults))
sys.exit(bool(faults))
PYTHON
}
