# shellcheck shell=bash
# kyverno: its command, which asks policies about files, its webhook, and the kinds that it adds to a cluster's API, below .tools/kyverno.

setup_kyverno() {
  local sources=$ROOT/scripts/lib/setup/go/kyverno pin new=$TOOLS/kyverno.new module
  pin=$(cat "$sources"/go.{mod,sum} | sha256sum | cut -d ' ' -f 1)
  if stamped kyverno "$pin with its webhook"; then return 0; fi
  need go "install Go 1.25 or newer"
  rm -rf "$new"
  mkdir -p "$new/crds" "$TOOLS/bin"
  say "building Kyverno, once (about twelve minutes of one core)"
  build_go kyverno github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno "$new/kyverno"
  build_go kyverno github.com/kyverno/kyverno/cmd/kyverno "$new/kyverno-webhook"
  module=$(cd "$sources" && GOFLAGS=-mod=readonly GOTOOLCHAIN=local go mod download -json github.com/kyverno/kyverno | jq -r .Dir)
  install -m 0644 "$module"/config/crds/{kyverno,policies.kyverno.io,policyreport,reports}/*.yaml "$new/crds/"
  rm -rf "$TOOLS/kyverno"
  mv "$new" "$TOOLS/kyverno"
  ln -sfn ../kyverno/kyverno "$TOOLS/bin/kyverno"
  stamp kyverno "$pin with its webhook"
}
