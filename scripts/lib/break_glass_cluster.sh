# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154  # what is in single quotes is jq's; TEMPORARY is the caller's
# What a cluster is told of broken glass: lines "UNTIL namespace|image NAME RULE,RULE ID" under the key break-glass of the ConfigMap with
# the parameters, which admission and Kyverno read. Engines compare UNTIL with the creationTimestamp that the API server itself sets when
# something is created: so it ends by itself, and covers what is created, not what is altered. Needs break_glass.sh.

# The ConfigMap: NAMESPACE/NAME.
BREAK_GLASS_PARAMETERS=${BREAK_GLASS_PARAMETERS:-mini-api-policy/mini-api-admission}

# Runs kubectl against a cluster; fails with 69 when that is not reached.
break_glass_kubectl() { # kubeconfig words…
  local config=$1
  shift
  kubectl --kubeconfig "$config" --request-timeout 20s "$@" 2>"$TEMPORARY/kubectl.log"
}

# Ends with what kubectl said.
break_glass_unreached() { fail 69 "the cluster was not told: $(tail -n 1 "$TEMPORARY/kubectl.log")"; }

# Prints the line of a document.
break_glass_line() { jq -r '"\(.until) \(.covers | to_entries[0] | "\(.key) \(.value)") \(.rules | join(",")) \(.id)"' "$1"; } # file

# Alters the lines by a jq program over a list of texts; lines whose time is over go as well. Somebody else may alter them meanwhile.
break_glass_cluster_alter() { # kubeconfig program jq-options…
  local config=$1 program=$2 namespace=${BREAK_GLASS_PARAMETERS%/*} name=${BREAK_GLASS_PARAMETERS#*/} try
  shift 2
  for try in 1 2 3 4 5; do
    break_glass_kubectl "$config" get configmap --namespace "$namespace" "$name" --output json >"$TEMPORARY/parameters" || break_glass_unreached
    jq --arg now "$(trust_now)" "$@" '(.data["break-glass"] // "" | split("\n") | map(select(. != "" and split(" ")[0] > $now)) | '"$program"') as $lines
      | .data["break-glass"] = ($lines | join("\n")) | if $lines == [] then del(.data["break-glass"]) else . end' "$TEMPORARY/parameters" >"$TEMPORARY/altered"
    # With the version that was read: whoever was quicker is not overwritten.
    if break_glass_kubectl "$config" replace --filename "$TEMPORARY/altered" >/dev/null; then return; fi
    ((try == 5)) || grep -q Conflict "$TEMPORARY/kubectl.log" || break
    sleep 0.2
  done
  break_glass_unreached
}

# Tells a cluster what a document opens.
break_glass_cluster_open() { # kubeconfig file
  break_glass_cluster_alter "$1" '. + [$line]' --arg line "$(break_glass_line "$2")"
}

# Takes back what a cluster was told.
break_glass_cluster_close() { # kubeconfig id
  break_glass_cluster_alter "$1" 'map(select(split(" ")[4] != $id))' --arg id "$2"
}

# Prints a line of JSON for each thing that the cluster was told: {state, id, why}; `stray` is what no document in the log says so.
break_glass_cluster_list() { # kubeconfig log
  local line document
  break_glass_kubectl "$1" get configmap --namespace "${BREAK_GLASS_PARAMETERS%/*}" "${BREAK_GLASS_PARAMETERS#*/}" --output json >"$TEMPORARY/parameters" || break_glass_unreached
  jq -r 'select(.event == "open") | .document' "$2" 2>/dev/null | while IFS= read -r document; do base64 -d <<<"$document" >"$TEMPORARY/document" && break_glass_line "$TEMPORARY/document"; done >"$TEMPORARY/logged"
  jq -r '.data["break-glass"] // "" | split("\n")[] | select(. != "")' "$TEMPORARY/parameters" | while IFS= read -r line; do
    jq -nc --arg line "$line" --arg now "$(trust_now)" --argjson logged "$(grep -cxF -- "$line" "$TEMPORARY/logged" || true)" '($line | split(" ")) as $parts | {id: ($parts[4] // "(none)")}
      + if $logged == 0 then {state: "stray", why: "the cluster was told \"\($line)\", which nobody signed and logged here"}
        elif $parts[0] <= $now then {state: "stale", why: "its time is over, the line does nothing any more"} else {state: "told", why: "the cluster knows of it"} end'
  done
}
