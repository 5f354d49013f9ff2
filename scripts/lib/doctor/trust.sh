# shellcheck shell=bash
# Who is believed here: the trust file leads on from what this machine believed, and its keys live for a while yet.

# Takes the pin aside: looking moves nothing.
trust_aside() {
  local pin=$TRUST_PIN
  TRUST_PIN=$TEMPORARY/pin/trust.pin
  mkdir "$TEMPORARY/pin"
  [[ ! -e $pin ]] || cp "$pin" "$TRUST_PIN"
}

doctor_trust() {
  local why=$TEMPORARY/why code=0 version kind id until
  trust_aside
  mkdir "$TEMPORARY/trust"
  (trust_copy "$TEMPORARY/trust" && trust_follow) 2>"$why" || code=$?
  if ((code)); then
    why=$(tail -n 1 "$why")
    case $code in
      78) row trust bad "${why#*: }" "scripts/trust verify --sha256 HASH-OF-THE-SHEET (docs/trust.md)" 78 ;;
      *) row trust bad "${why#*: }" "scripts/trust verify says more; bring the trust file anew, whole" 65 ;;
    esac
    return
  fi
  version=$(jq .version "$TEMPORARY/trust/trust.json")
  row trust ok "version $version for $(jq -r .audience "$TEMPORARY/trust/trust.json") is believed"
  # Of each purpose that images are signed for: the key that lives longest.
  while IFS=$'\t' read -r kind id until; do
    if [[ $kind == none ]]; then
      row trust-keys bad "no key is valid now that may sign images" "scripts/trust add PUB --id ID --purpose release --repository R" 65
    elif ((until - EPOCHSECONDS < 30 * 86400)); then
      row trust-keys warning "key $id, the last for $kind, ends in $(span $((until - EPOCHSECONDS)))" \
        "scripts/trust rotate $id NEW.pub --id NEW (docs/trust.md)"
    else
      row trust-keys ok "key $id for $kind is valid for $(span $((until - EPOCHSECONDS)))"
    fi
  done < <(jq -r --argjson now "$EPOCHSECONDS" '[.keys[] | select((.purpose | IN("release", "import")) and (has("revoked") | not))
    | .until |= fromdateiso8601 | select((.from | fromdateiso8601) <= $now and .until > $now)]
    | if length == 0 then "none\t-\t0" else group_by(.purpose)[] | max_by(.until) | "\(.purpose)\t\(.id)\t\(.until)" end' \
    "$TEMPORARY/trust/trust.json")
}
