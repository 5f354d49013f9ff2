# shellcheck shell=bash
# Keys, one for releases and one for what the import lets in, and who is believed.

# Makes both in a folder, and exports what policy/admit and scripts/trust want to know.
make_trust() { # folder registry…
  local folder=$1 name release=() import=()
  shift
  for name in "$@"; do release+=(--repository "$name/mini/*") import+=(--repository "$name/import/*"); done
  export TRUST=$folder/trust TRUST_PIN=$folder/pin COSIGN_PASSWORD=only-for-tests
  cd "$folder" || return
  for name in root release import; do "$ROOT/scripts/trust" key "$name"; done
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add release.pub --id release --purpose release "${release[@]}"
  "$ROOT/scripts/trust" add import.pub --id import --purpose import "${import[@]}"
  "$ROOT/scripts/trust" sign root.key
}
