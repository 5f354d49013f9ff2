# shellcheck shell=bash
# The control plane: etcd, the API server, the controllers and the scheduler, in this network namespace.

control_plane_start() {
  local pki=$CLUSTER/pki
  # etcd takes every variable that is called ETCD_… for a setting of its own.
  start etcd env --unset=ETCD_VERSION etcd --name test --data-dir "$CLUSTER/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster test=http://127.0.0.1:2380
  start apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address="${node_address[1]}" --secure-port=6443 \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --kubelet-client-certificate="$pki/to-kubelets.crt" --kubelet-client-key="$pki/to-kubelets.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --service-account-issuer=https://kubernetes.default.svc --service-account-key-file="$pki/accounts.pub" \
    --service-account-signing-key-file="$pki/accounts.key" --token-auth-file="$pki/tokens.csv" --authorization-mode=Node,RBAC \
    --service-cluster-ip-range=10.96.0.0/16 --profiling=false
  wait_until 90 kubectl get --raw /readyz || give_up "the API server did not become ready" etcd apiserver
  start controllers kube-controller-manager --kubeconfig="$CLUSTER/controllers.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false \
    --use-service-account-credentials --service-account-private-key-file="$pki/accounts.key" --root-ca-file="$pki/ca.crt" \
    --allocate-node-cidrs --cluster-cidr=10.244.0.0/16
  start scheduler kube-scheduler --kubeconfig="$CLUSTER/scheduler.kubeconfig" --bind-address=127.0.0.1 --leader-elect=false
  wait_until 60 kubectl --namespace default get serviceaccount default || give_up "the controllers did not come up" controllers
}
