# shellcheck shell=bash
# kubernetes: a whole cluster for tests below .tools/kubernetes. One program out of Kubernetes' and etcd's Go modules, called by the
# names of its parts; CoreDNS; and Debian's network plugins, unpacked. containerd is the group docker's.

setup_kubernetes() {
  local sources=$ROOT/scripts/lib/setup/go pin version flags='' word new=$TOOLS/kubernetes.new name
  pin=$(cat "$sources"/{kubernetes,coredns}/{go.mod,go.sum,main.go} | sha256sum | cut -d ' ' -f 1)
  if stamped kubernetes "$pin"; then return 0; fi
  rm -rf "$new"
  mkdir -p "$new"/{bin,plugins,work/unpacked}
  unpack_network_plugins "$new/work" "$new/plugins"
  # What a program out of modules does not know of itself, and nodes refuse to be without.
  version=$(awk '$1 == "k8s.io/kubernetes" { print $2; exit }' "$sources/kubernetes/go.mod")
  for word in gitVersion="$version" gitMajor=1 gitMinor="$(cut -d . -f 2 <<<"$version")" gitTreeState=clean; do
    flags+=" -X k8s.io/component-base/version.$word"
  done
  say "building Kubernetes $version, once (about ten minutes of one core)"
  build_go kubernetes . "$new/bin/kubernetes" "$flags"
  build_go coredns . "$new/bin/coredns"
  for name in etcd kubectl kubelet kube-apiserver kube-controller-manager kube-scheduler kube-proxy; do ln -s kubernetes "$new/bin/$name"; done
  rm -rf "$new/work" "$TOOLS/kubernetes"
  mv "$new" "$TOOLS/kubernetes"
  mkdir -p "$TOOLS/bin"
  ln -sfn ../kubernetes/bin/kubectl "$TOOLS/bin/kubectl"
  stamp kubernetes "$pin"
}

# Unpacks what connects pods to one another.
unpack_network_plugins() { # work folder
  local name
  debian_apt "$1" "$(awk -F= '$1 == "VERSION_CODENAME" { print $2 }' /etc/os-release)" -qq update >&2
  (cd "$1" && debian_apt "$1" "" -qq download containernetworking-plugins) >&2
  dpkg-deb -x "$1"/containernetworking-plugins_*.deb "$1/unpacked"
  for name in bridge host-local loopback portmap; do mv "$1/unpacked/usr/lib/cni/$name" "$2/"; done
}

# kubeconform: holds manifests against schemas; those are made of the description of the API that the same Kubernetes carries.
setup_kubeconform() {
  local sources=$ROOT/scripts/lib/setup pin new=$TOOLS/kubeconform.new module
  pin=$(cat "$sources"/go/{kubeconform,kubernetes}/go.sum "$sources/schemas.py" | sha256sum | cut -d ' ' -f 1)
  if stamped kubeconform "$pin"; then return 0; fi
  need go "install Go 1.25 or newer"
  rm -rf "$new"
  mkdir -p "$new" "$TOOLS/bin"
  build_go kubeconform github.com/yannh/kubeconform/cmd/kubeconform "$new/kubeconform"
  module=$(cd "$sources/go/kubernetes" && GOFLAGS=-mod=readonly GOTOOLCHAIN=local go mod download -json k8s.io/kubernetes | jq -r .Dir)
  python3 "$sources/schemas.py" "$module/api/openapi-spec/swagger.json" "$new/schemas"
  rm -rf "$TOOLS/kubeconform"
  mv "$new" "$TOOLS/kubeconform"
  ln -sfn ../kubeconform/kubeconform "$TOOLS/bin/kubeconform"
  stamp kubeconform "$pin"
}

# crds: what Prometheus' operator adds to a cluster's API for those who are watched, as its own module has it.
setup_crds() {
  local sources=$ROOT/scripts/lib/setup/go/prometheus-crds pin new=$TOOLS/crds.new module name
  pin=$(sha256sum <"$sources/go.sum" | cut -d ' ' -f 1)
  if stamped crds "$pin"; then return 0; fi
  need go "install Go 1.25 or newer"
  module=$(cd "$sources" && GOFLAGS=-mod=readonly GOTOOLCHAIN=local go mod download -json github.com/prometheus-operator/prometheus-operator | jq -r .Dir)
  rm -rf "$new"
  mkdir -p "$new"
  for name in servicemonitors prometheusrules; do install -m 0644 "$module/example/prometheus-operator-crd/monitoring.coreos.com_$name.yaml" "$new/$name.yaml"; done
  rm -rf "$TOOLS/crds"
  mv "$new" "$TOOLS/crds"
  stamp crds "$pin"
}

# promtool: reads Prometheus' rules as Prometheus does.
setup_promtool() {
  local pin new=$TOOLS/promtool.new
  pin=$(awk -F= '$1 == "VERSION_CODENAME" { print $2 }' /etc/os-release)
  if stamped promtool "$pin"; then return 0; fi
  rm -rf "$new"
  mkdir -p "$new/unpacked" "$TOOLS/bin"
  debian_apt "$new" "$pin" -qq update >&2
  (cd "$new" && debian_apt "$new" "" -qq download prometheus) >&2
  dpkg-deb -x "$new"/prometheus_*.deb "$new/unpacked"
  mv "$new/unpacked/usr/bin/promtool" "$TOOLS/bin/promtool"
  rm -rf "$new"
  "$TOOLS/bin/promtool" --version >&2 || die "promtool does not run on this machine"
  stamp promtool "$pin"
}
