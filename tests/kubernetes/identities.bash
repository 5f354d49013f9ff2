# shellcheck shell=bash
# Who is who in the cluster: an authority, certificates, tokens, and the files by which each part finds the API server.

# Makes a key and a certificate of the cluster's authority.
make_certificate() { # name subject usage [alternative-names]
  local folder=$CLUSTER/pki
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$folder/$1.key" -out "$folder/$1.request" -subj "$2" 2>/dev/null
  printf 'extendedKeyUsage=%s\nkeyUsage=digitalSignature,keyEncipherment\n%s\n' "$3" "${4:+subjectAltName=$4}" >"$folder/$1.extensions"
  openssl x509 -req -in "$folder/$1.request" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial -days 2 \
    -extfile "$folder/$1.extensions" -out "$folder/$1.crt" 2>/dev/null
  rm "$folder/$1".{request,extensions}
}

# Writes the file by which someone finds the API server, with a token or a certificate.
make_kubeconfig() { # name user-as-json
  jq -n --arg server "https://${node_address[1]}:6443" --arg ca "$CLUSTER/pki/ca.crt" --argjson user "$2" '{
    apiVersion: "v1", kind: "Config", clusters: [{name: "test", cluster: {server: $server, "certificate-authority": $ca}}],
    users: [{name: "user", user: $user}], contexts: [{name: "test", context: {cluster: "test", user: "user"}}], "current-context": "test"
  }' >"$CLUSTER/$1.kubeconfig"
}

# Makes a user who is known by a token.
make_user() { # file name [group]
  local token
  token=$(openssl rand -hex 16)
  printf '%s,%s,%s%s\n' "$token" "$2" "$2" "${3:+,\"$3\"}" >>"$CLUSTER/pki/tokens.csv"
  make_kubeconfig "$1" "$(jq -n --arg token "$token" '{token: $token}')"
}

make_identities() {
  local folder=$CLUSTER/pki number
  (umask 077 && mkdir "$folder")
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$folder/ca.key" -out "$folder/ca.crt" -subj /CN=cluster \
    -days 2 -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
  make_certificate apiserver /CN=kube-apiserver serverAuth \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:10.96.0.1,IP:${node_address[1]}"
  make_certificate to-kubelets /O=system:masters/CN=to-kubelets clientAuth
  for number in 1 2; do
    make_certificate "kubelet-$number" "/O=system:nodes/CN=system:node:node$number" serverAuth,clientAuth "DNS:node$number,IP:${node_address[$number]}"
    make_kubeconfig "kubelet-$number" "$(jq -n --arg file "$folder/kubelet-$number" '{"client-certificate": ($file + ".crt"), "client-key": ($file + ".key")}')"
  done
  openssl genrsa -out "$folder/accounts.key" 2048 2>/dev/null
  openssl rsa -in "$folder/accounts.key" -pubout -out "$folder/accounts.pub" 2>/dev/null
  make_user admin admin system:masters
  make_user controllers system:kube-controller-manager
  make_user scheduler system:kube-scheduler
  make_user proxy system:kube-proxy
  export KUBECONFIG=$CLUSTER/admin.kubeconfig
}
