# shellcheck shell=bash
# Renders the chart without a cluster, and asks what came out. One object a line, as JSON.

CHART=$ROOT/chart/mini-api
DIGEST=sha256:$(printf %064d 7)

# What every installation says: which image, and for one with a database of its own, which.
ours=(--set "image.repository=registry.test/mini/mini-api" --set "image.digest=$DIGEST")
external=("${ours[@]}" --set database.host=db.test --set database.existingSecret=mini-database --set database.ca.configMap=authority)
bundled=("${ours[@]}" --set postgres.enabled=true --set postgres.image.repository=registry.test/import/postgres --set "postgres.image.digest=$DIGEST")

# Renders with values, hooks and tests included, into objects.
rendered() { # words of helm template
  helm template mini "$CHART" --namespace demo "$@" 2>helm.log >helm.yaml || {
    cat helm.log >&2
    return 1
  }
  "$ROOT/.tools/venv/bin/python3" -c '
import json, sys, yaml
for document in yaml.safe_load_all(sys.stdin):
    if document: print(json.dumps(document))' <helm.yaml >objects
}

# Prints the objects of one kind that jq's condition holds for.
objects() { # kind [condition]
  jq -c --arg kind "$1" "select(.kind == \$kind and (${2:-true}))" objects
}

# Prints the description of every pod, whatever brings it about.
pods() { jq -c 'select(.kind == "Pod").spec, (.spec.template?.spec? // empty)' objects; }

# Fails unless rendering is refused with a sentence that has these words.
refused() { # words words-of-helm…
  local words=$1
  shift
  ! rendered "$@" || {
    echo "it was rendered" >&2
    return 1
  }
  grep -qF -- "$words" helm.log || {
    cat helm.log >&2
    return 1
  }
}
