# shellcheck shell=bash
# An API server of our own with its store, on 127.0.0.1 and for whoever runs it: what admission needs of Kubernetes, without nodes. The
# caller has sourced project, log, network and process of scripts/lib, by cluster_house or otherwise.

# The parts of the project that tests with a cluster call.
cluster_house() {
  local part
  for part in project log network process; do
    # shellcheck source=/dev/null
    source "$ROOT/scripts/lib/$part.sh"
  done
}

# Starts both, below a folder, and fills in API (its address) and KUBECONFIG; waits until requests are served.
cluster_start() { # folder
  local folder=$1 store peer port pki=$1/pki
  mkdir -p "$pki" "$folder/log"
  cluster_identities "$pki"
  store=$(free_port)
  until peer=$(free_port) && [[ $peer != "$store" ]]; do :; done
  until port=$(free_port) && [[ $port != "$store" && $port != "$peer" ]]; do :; done
  echo "$store $peer $port" >"$folder/ports"
  jq -n --arg server "https://127.0.0.1:$port" --arg pki "$pki" '{
    apiVersion: "v1", kind: "Config", "current-context": "test", contexts: [{name: "test", context: {cluster: "test", user: "admin"}}],
    clusters: [{name: "test", cluster: {server: $server, "certificate-authority": ($pki + "/ca.crt")}}],
    users: [{name: "admin", user: {"client-certificate": ($pki + "/admin.crt"), "client-key": ($pki + "/admin.key")}}]
  }' >"$folder/kubeconfig"
  export API=https://127.0.0.1:$port KUBECONFIG=$folder/kubeconfig PATH=$TOOLS/kubernetes/bin:$PATH
  # etcd takes every variable that is called ETCD_… for a setting of its own.
  cluster_process "$folder" etcd env --unset=ETCD_VERSION etcd --name test --data-dir "$folder/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "http://127.0.0.1:$store" --advertise-client-urls "http://127.0.0.1:$store" \
    --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
    --initial-cluster "test=http://127.0.0.1:$peer"
  cluster_api_start "$folder"
  wait_until 90 cluster_ready || cluster_give_up "$folder" "the API server did not become ready"
}

# True when the API server says that it is ready, all parts of it.
cluster_ready() { kubectl get --raw /readyz; }

# Starts the API server over the store that runs. Images as volumes are a gate in this version, and privileged containers must reach the
# policies, or they are refused before them.
cluster_api_start() { # folder
  local folder=$1 store port pki=$1/pki
  read -r store _ port <"$folder/ports"
  cluster_process "$folder" apiserver kube-apiserver --etcd-servers="http://127.0.0.1:$store" --secure-port="$port" --bind-address=127.0.0.1 \
    --advertise-address=127.0.0.1 --endpoint-reconciler-type=none --service-cluster-ip-range=10.96.0.0/16 --authorization-mode=RBAC \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" --cert-dir="$folder" \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$pki/accounts.pub" \
    --service-account-signing-key-file="$pki/accounts.key" --allow-privileged --feature-gates=ImageVolume=true --profiling=false
}

# Starts the controllers, which make Pods of Jobs and check the types of policies.
cluster_controllers_start() { # folder
  cluster_process "$1" controllers kube-controller-manager --kubeconfig="$1/kubeconfig" --bind-address=127.0.0.1 --secure-port="$(free_port)" \
    --leader-elect=false --use-service-account-credentials --service-account-private-key-file="$1/pki/accounts.key" --root-ca-file="$1/pki/ca.crt"
}

# Starts one part; its output goes to a file of its name.
cluster_process() { # folder name command…
  local folder=$1 name=$2
  shift 2
  setsid "$@" >>"$folder/log/$name" 2>&1 3>&- </dev/null &
  echo "$!" >"$folder/$name.pid"
  # Its end is no news.
  disown
}

# Ends one part.
cluster_process_stop() { # folder name
  [[ ! -s $1/$2.pid ]] || process_end "$(<"$1/$2.pid")" 10
  rm -f "$1/$2.pid"
}

# Ends everything that was started below a folder.
cluster_stop() { # folder
  local name
  for name in controllers apiserver etcd; do cluster_process_stop "$1" "$name"; done
}

# Shows what was said last, and ends.
cluster_give_up() { # folder sentence
  tail -n 15 "$1/log"/* >&2 || true
  cluster_stop "$1"
  die "$2"
}

# Makes an authority, the API server's certificate, an administrator's, and the keys of service accounts.
cluster_identities() { # folder
  local name subject usage ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc)
  openssl req -x509 "${ec[@]}" -keyout "$1/ca.key" -out "$1/ca.crt" -subj /CN=test -days 2 2>/dev/null
  while read -r name subject usage; do
    openssl req "${ec[@]}" -keyout "$1/$name.key" -out "$1/$name.request" -subj "$subject" 2>/dev/null
    openssl x509 -req -in "$1/$name.request" -CA "$1/ca.crt" -CAkey "$1/ca.key" -CAcreateserial -days 2 -out "$1/$name.crt" \
      -extfile <(printf 'extendedKeyUsage=%s\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n' "$usage") 2>/dev/null
  done <<<"apiserver /CN=kube-apiserver serverAuth
admin /O=system:masters/CN=admin clientAuth"
  openssl genrsa -out "$1/accounts.key" 2048 2>/dev/null
  openssl rsa -in "$1/accounts.key" -pubout -out "$1/accounts.pub" 2>/dev/null
}

# Makes the accounts that Pods of namespaces go by, which is the work of controllers where they run.
cluster_account() { # namespace…
  local namespace
  for namespace in "$@"; do kubectl --namespace "$namespace" create serviceaccount default >/dev/null; done
}

# Puts the policies into force, with a list of registries, and waits until they are.
policies_install() { # registries
  kubectl apply --recursive --filename "$ROOT/policy/admission" >/dev/null
  "$ROOT/policy/render" --parameters admission --registries "$1" | kubectl apply --filename - >/dev/null
  wait_until 20 policies_in_force || die "the policies do not come into force"
}

# True when the policies refuse what is bad, and let pass what is good.
policies_in_force() {
  local said
  ! said=$(pod_of nginx | kubectl create --dry-run=server --filename - 2>&1) && [[ $said == *": image-registry: "* ]] &&
    pod_of "$GOOD_IMAGE" | kubectl create --dry-run=server --filename -
}

# shellcheck disable=SC2034  # read by tests
GOOD_IMAGE=registry.intra/mini/mini-api@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

# Prints a Pod that has no fault but its image.
pod_of() { # image [name]
  jq -n --arg image "$1" --arg name "${2:-web}" '{
    apiVersion: "v1", kind: "Pod", metadata: {name: $name, namespace: "default"},
    spec: {restartPolicy: "Never", securityContext: {runAsNonRoot: true, runAsUser: 65532}, containers: [{name: "api", image: $image}]}
  }'
}
