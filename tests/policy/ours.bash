# shellcheck shell=bash
# What this project deploys, as engines are asked of it: a table of cases, all of which may run. Needs corpus.bash.

OURS_DIGEST=sha256:$(printf %064d 7)

# Renders the chart with values; its Kubernetes objects come out, those of operators' kinds left out, which a bare API server has not.
ours_chart() { # values…
  helm template mini "$ROOT/chart/mini-api" --namespace default --set image.repository=registry.intra/mini/mini-api \
    --set "image.digest=$OURS_DIGEST" "$@" | ours_objects
}

# Reads manifests, and prints them as they are in the namespace `default`; a kustomization is for kubectl alone.
ours_objects() {
  "$ROOT/.tools/venv/bin/python3" -c '
import sys, yaml
for document in yaml.safe_load_all(sys.stdin):
    if document and document["kind"] != "Kustomization" and "monitoring.coreos.com" not in document["apiVersion"]:
        if "namespace" in document["metadata"]:
            document["metadata"]["namespace"] = "default"
        print("---\n" + yaml.safe_dump(document), end="")'
}

# Prints a Compose file as it will run: with images by digest, and every profile.
ours_compose() { # file…
  local file words=() compose=("$ROOT/.tools/docker/cli-plugins/docker-compose")
  [[ -x ${compose[0]} ]] || compose=(docker compose)
  for file in "$@"; do words+=(--file "$ROOT/$file"); done
  # Nothing of this shell, and no .env: an image is whatever was admitted.
  env -i PATH="$PATH" HOME="$BATS_FILE_TMPDIR" "${compose[@]}" --env-file "$BATS_FILE_TMPDIR/images.env" --profile '*' "${words[@]}" config
}

# Prints the configuration of our image, as scripts/build-image reads it from the Containerfile.
ours_image() {
  bash -euc 'source "$1/scripts/lib/log.sh" && source "$1/scripts/lib/containerfile.sh" && shift && containerfile_config "$@"' - \
    "$ROOT" "$ROOT/Containerfile" VERSION=1.0.0 REVISION=4b825dc642cb6eb9a060e54bf8d69288fbee4904 | jq '{architecture: "amd64", os: "linux", config: .}'
}

# Lays all of it into a folder, with the table.
ours_lay() { # folder
  local image=registry.intra/import file
  mkdir -p "$1/accept"
  cd "$1/accept" || return
  {
    printf '%s=registry.intra/mini/mini-api@%s\n' MINI_API_IMAGE "$OURS_DIGEST" BLUE_IMAGE "$OURS_DIGEST"
    printf "%s=$image/%s@$OURS_DIGEST\n" POSTGRES_IMAGE postgres HAPROXY_IMAGE haproxy FLUENT_BIT_IMAGE fluent-bit REGISTRY_IMAGE registry
    # Where a site has its files; and what its bootstrap writes.
    printf '%s\n' SECRETS=/srv/secrets ROLLOUT=/srv/rollout AIRGAP=/srv/airgap AIRGAP_DATA=/srv/data AIRGAP_UID=1000 AIRGAP_GID=1000 DB_PLACEMENT=node.role==manager
  } >"$BATS_FILE_TMPDIR/images.env"
  ours_chart --set postgres.enabled=true --set "postgres.image.repository=$image/postgres" --set "postgres.image.digest=$OURS_DIGEST" >chart-with-database.yaml
  ours_chart --set database.host=db.intra --set database.existingSecret=database --set database.ca.configMap=authority >chart.yaml
  for file in "$ROOT"/k8s/*.yaml; do
    echo "---"
    cat "$file"
  done | ours_objects >k8s.yaml
  ours_compose compose.yaml >compose.compose.yaml
  ours_compose compose.yaml compose.tls.yaml >tls.compose.yaml
  ours_compose compose.yaml compose.logging.yaml >logging.compose.yaml
  ours_compose compose.yaml compose.rollout.yaml >rollout.compose.yaml
  ours_compose compose.yaml compose.rollout.yaml compose.logging.yaml compose.logging.rollout.yaml >logging-rollout.compose.yaml
  ours_compose compose.swarm.yaml >swarm.compose.yaml
  ours_compose airgap/compose.yaml >airgap.compose.yaml
  cp "$ROOT/Containerfile" ours.Containerfile
  ours_image >ours.config.json
  cd ..
  for file in accept/*; do
    if [[ $file == *.yaml && $file != *.compose.yaml ]]; then printf 'accept\t%s\t-\tcreate\t-\tours\n' "$file"; else printf 'accept\t%s\t-\tfile\t-\tours\n' "$file"; fi
  done >cases.tsv
}
