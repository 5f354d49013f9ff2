# policy/admit before a registry that hands out tokens, as Harbor and GitLab do.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT COSIGN_PASSWORD=only-for-tests
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load_house
  local folder=$BATS_FILE_TMPDIR
  start_registries "$folder"
  export HANDING REALM
  HANDING=localhost:$(free_port) REALM=localhost:$(free_port)
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$folder/signer.key" -out "$folder/signer.pem" -subj "/CN=tokens" -days 2 2>/dev/null
  cat >"$folder/handing.yaml" <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: $folder/handing}}
http: {addr: "127.0.0.1:${HANDING#*:}", tls: {certificate: $folder/tls/cert.pem, key: $folder/tls/key.pem}}
auth: {token: {realm: "https://$REALM/token", service: the-registry, issuer: test, rootcertbundle: $folder/signer.pem}}
YAML
  setsid docker-registry serve "$folder/handing.yaml" >"$folder/handing.log" 2>&1 3>&- &
  echo $! >"$folder/handing.pid"
  setsid python3 "$BATS_TEST_DIRNAME/tokens.py" "${REALM#*:}" "$folder/tls/cert.pem" "$folder/tls/key.pem" "$folder/signer.pem" "$folder/signer.key" \
    'reader:p"a\ss' "$folder/given" >"$folder/tokens.log" 2>&1 3>&- &
  echo $! >"$folder/tokens.pid"
  wait_until 20 port_answers "${HANDING#*:}"
  wait_until 20 port_answers "${REALM#*:}"
  echo "$HANDING" >>"$REFERENCE_REGISTRIES"
  jq --arg registry "$HANDING" --arg auth "$(printf 'reader:p"a\\ss' | base64)" '.auths[$registry] = {auth: $auth}' "$DOCKER_CONFIG/config.json" >"$folder/config.new"
  mv "$folder/config.new" "$DOCKER_CONFIG/config.json"
  export TRUST=$folder/trust TRUST_PIN=$folder/pin
  cd "$folder"
  for name in root ours; do "$ROOT/scripts/trust" key "$name"; done
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add ours.pub --id ours --purpose release --repository "$HANDING/mini/*"
  "$ROOT/scripts/trust" sign root.key
}

teardown_file() {
  load_house
  process_end "$(<"$BATS_FILE_TMPDIR/handing.pid")" 10
  process_end "$(<"$BATS_FILE_TMPDIR/tokens.pid")" 10
  stop_registries "$BATS_FILE_TMPDIR"
}

load_house() {
  source "$BATS_TEST_DIRNAME/registries.bash"
  local part
  for part in project log network process document trust reference registry sign; do source "$ROOT/scripts/lib/$part.sh"; done
}

setup() {
  load_house
  cd "$BATS_TEST_TMPDIR"
}

@test "images of a registry that hands out tokens are judged as any other's, and no more is asked for than to read" {
  local image other
  image=$(push_image "$HANDING/mini/mini-api" signed)
  other=$(push_image "$HANDING/mini/web" unsigned)
  image_sign "$image" "$BATS_FILE_TMPDIR/ours.key" release
  : >"$BATS_FILE_TMPDIR/given"
  "$ROOT/policy/admit" "$image"
  # One token, of one round: the others are asked with it at once.
  diff <(echo repository:mini/mini-api:pull) "$BATS_FILE_TMPDIR/given"
  run "$ROOT/policy/admit" "$image" "$other"
  [[ $status == 65 && $output == *"it is not signed"* ]]
}

@test "without a login, or with a wrong one, nothing can be known" {
  local image
  image=$(push_image "$HANDING/mini/mini-api" another)
  image_sign "$image" "$BATS_FILE_TMPDIR/ours.key" release
  mkdir none wrong
  run env DOCKER_CONFIG="$PWD/none" "$ROOT/policy/admit" "$image"
  [[ $status == 69 && $output == *"refuses these credentials (401)"* ]]
  jq --arg registry "$HANDING" '.auths[$registry].auth = ("reader:wrong" | @base64)' "$DOCKER_CONFIG/config.json" >wrong/config.json
  run env DOCKER_CONFIG="$PWD/wrong" "$ROOT/policy/admit" "$image"
  [[ $status == 69 && $output == *"refuses these credentials (401)"* ]]
  "$ROOT/policy/admit" "$image"
}
