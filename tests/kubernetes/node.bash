# shellcheck shell=bash
# A node: containerd, kubelet and kube-proxy, in mounts of their own; the second one in a network of its own as well.

# Prints the first three numbers of the addresses of a node's pods.
pods_of() { echo "10.244.$1"; } # number

# Runs a command where the node is.
on_node() { # number command…
  local number=$1
  shift
  nsenter --target "$(<"$CLUSTER/node-$number.pid")" --mount --net -- "$@"
}

# Starts a process there.
start_on_node() { # number name command…
  local number=$1 name=$2
  shift 2
  start "$name-$number" nsenter --target "$(<"$CLUSTER/node-$number.pid")" --mount --net -- "$@"
}

# What the node mounts is shared within it, and gone with the process that holds the namespace. What it would write into the machine's
# own folders or into settings of the whole machine goes into folders and files of its own.
hold_node() {
  local setting
  mount --make-rshared /
  for setting in /run /var/lib /var/log; do mount -t tmpfs node "$setting"; done
  mkdir /run/netns
  for setting in vm/overcommit_memory kernel/panic kernel/panic_on_oops; do
    cat "/proc/sys/$setting" >"$1/${setting#*/}"
    mount --bind "$1/${setting#*/}" "/proc/sys/$setting"
  done
  echo 1 >/proc/sys/net/ipv4/ip_forward
  [[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ]] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
  : >"$1/held"
  exec sleep infinity
}
export -f hold_node

# Lays the cable between the nodes, and tells each where the other's pods are.
join_nodes() {
  local second
  second=$(<"$CLUSTER/node-2.pid")
  ip link add second type veth peer name second-end
  ip link set second-end netns "$second"
  ip link set second up
  ip route add "${node_address[2]}/32" dev second
  nsenter --target "$second" --net -- ip link set lo up
  nsenter --target "$second" --net -- ip addr add "${node_address[2]}/24" dev second-end
  nsenter --target "$second" --net -- ip link set second-end up
  nsenter --target "$second" --net -- ip route add default via "${node_address[1]}"
  ip route add "$(pods_of 2).0/24" via "${node_address[2]}" dev second onlink
}

# Makes the node's part of every tree of control groups, where version 1 has one for each controller.
cgroups_make() { # name
  local tree
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    mkdir -p "/sys/fs/cgroup/$1"
    return
  fi
  for tree in /sys/fs/cgroup/{cpu,cpuacct,cpuset,memory,pids,devices,freezer,blkio,systemd}; do
    [[ -d $tree ]] || continue
    mkdir -p "$tree/$1"
    [[ $tree != */cpuset ]] || for file in cpuset.cpus cpuset.mems; do cat "$tree/$file" >"$tree/$1/$file"; done
  done
}

# Removes the control groups of both nodes; the processes in them have ended.
cgroups_remove() { # cluster-folder
  wait_until 20 cgroups_gone "$(basename "$1")"
}

cgroups_gone() { # name
  find /sys/fs/cgroup -depth -type d -path "*/$1*" -exec rmdir {} + 2>/dev/null
  [[ ! $(find /sys/fs/cgroup -maxdepth 2 -name "$1*" -print -quit) ]]
}

# Writes how pods are connected, and where images come from.
configure_containerd() { # number
  local folder=$CLUSTER/node$1
  mkdir -p "$folder"/{network,registries/registry.test}
  jq -n --arg bridge "pods$1" --arg folder "$folder" --arg subnet "$(pods_of "$1").0/24" '{cniVersion: "0.4.0", name: "pods", plugins: [
    {type: "bridge", bridge: $bridge, isGateway: true, ipMasq: false, hairpinMode: true, ipam: {type: "host-local",
      dataDir: ($folder + "/addresses"), ranges: [[{subnet: $subnet}]], routes: [{dst: "0.0.0.0/0"}]}},
    {type: "portmap", capabilities: {portMappings: true}}]}' >"$folder/network/pods.conflist"
  printf 'server = "https://registry.test"\n[host."https://registry.test"]\n  ca = "%s"\n' "$CLUSTER/tls/ca.pem" >"$folder/registries/registry.test/hosts.toml"
  # Some machines' root may not make a process less likely to be killed for memory, which pods begin with.
  cat >"$folder/containerd.toml" <<TOML
version = 2
root = "$folder/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "$TOOLS/kubernetes/plugins"
  conf_dir = "$folder/network"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "$folder/registries"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
TOML
}

# Writes the kubelet's and the proxy's configurations.
configure_kubelet() { # number
  local folder=$CLUSTER/node$1 pki=$CLUSTER/pki
  : >"$folder/resolv.conf"
  cat >"$folder/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: ${node_address[$1]}
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet-$1.crt
tlsPrivateKeyFile: $pki/kubelet-$1.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$(basename "$CLUSTER")-$1
failCgroupV1: false
failSwapOn: false
podLogsDir: $folder/pods
volumePluginDir: $folder/volume-plugins
resolvConf: $folder/resolv.conf
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
healthzBindAddress: 127.0.0.1
nodeStatusUpdateFrequency: 2s
# A machine that is short of room is no reason to throw tests' pods out.
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
YAML
  # A namespace may not change how many connections the machine keeps track of.
  cat >"$folder/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: 0.0.0.0
hostnameOverride: node$1
clientConnection: {kubeconfig: $CLUSTER/proxy.kubeconfig}
mode: iptables
clusterCIDR: 10.244.0.0/16
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 100ms, syncPeriod: 30s}
YAML
}

node_start() { # number
  local folder=$CLUSTER/node$1 name
  mkdir -p "$folder"
  if (($1 == 1)); then
    start "node-$1" unshare --mount bash -euo pipefail -c 'hold_node "$@"' hold "$folder"
  else
    start "node-$1" unshare --mount --net bash -euo pipefail -c 'hold_node "$@"' hold "$folder"
  fi
  wait_until 10 test -e "$folder/held" || give_up "the namespace of node$1 could not be made" "node-$1"
  (($1 == 1)) || join_nodes
  cgroups_make "$(basename "$CLUSTER")-$1"
  configure_containerd "$1"
  configure_kubelet "$1"
  start_on_node "$1" containerd containerd --config "$folder/containerd.toml"
  wait_until 20 on_node "$1" ctr version || give_up "containerd did not start on node$1" "containerd-$1"
  for name in pause coredns; do on_node "$1" ctr --namespace k8s.io images import "$CLUSTER/images/$name.tar" >/dev/null; done
  start_on_node "$1" kubelet kubelet --config="$folder/kubelet.yaml" --kubeconfig="$CLUSTER/kubelet-$1.kubeconfig" \
    --root-dir="$folder/kubelet" --cert-dir="$folder/kubelet/pki" --hostname-override="node$1" --node-ip="${node_address[$1]}"
  start_on_node "$1" proxy kube-proxy --config="$folder/proxy.yaml"
}

node_wait() { # number
  kubectl wait --for=create "node/node$1" --timeout=60s >/dev/null && kubectl wait --for=condition=Ready "node/node$1" --timeout=60s >/dev/null ||
    give_up "node$1 did not become ready" "kubelet-$1" "containerd-$1"
}

# Prints a volume: a folder of one of the nodes.
volume() { # number
  local node=node$((1 + $1 % 2))
  mkdir -p "$CLUSTER/$node/volumes/$1"
  jq -n --arg name "volume-$1" --arg node "$node" --arg path "$CLUSTER/$node/volumes/$1" '{apiVersion: "v1", kind: "PersistentVolume", metadata: {name: $name},
    spec: {capacity: {storage: "10Gi"}, accessModes: ["ReadWriteOnce"], storageClassName: "folders", persistentVolumeReclaimPolicy: "Retain", local: {path: $path},
      nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: "kubernetes.io/hostname", operator: "In", values: [$node]}]}]}}}}'
}
