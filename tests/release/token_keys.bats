# Keys that never leave a token: SoftHSM in place of the hardware, by the interface that both have (PKCS#11).

bats_require_minimum_version 1.5.0

source "$BATS_TEST_DIRNAME/releases.bash"

# Makes a token that holds one key.
make_token() { # name
  export SOFTHSM2_CONF=$PWD/softhsm2.conf
  mkdir -p tokens
  printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n' "$PWD" >"$SOFTHSM2_CONF"
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
  softhsm2-util --init-token --free --label "$1" --pin 1234 --so-pin 5678
  softhsm2-util --import key.pem --token "$1" --label key --id 01 --pin 1234
  rm key.pem
  cosign public-key --key "$(in_token "$1")" >"$1.pub"
}

# Prints how cosign names the key in a token.
in_token() { # name
  echo "pkcs11:token=$1;object=key?module-path=$(dpkg -L libsofthsm2 | grep -m 1 'libsofthsm2\.so$')"
}

@test "a root and a key for releases that stay in their tokens sign the trust file, a release and its register" {
  local image name
  export COSIGN_PKCS11_PIN=1234
  for name in root releases; do make_token "$name" >&2; done
  export TRUST=$PWD/trust TRUST_PIN=$PWD/pin RELEASE_KEY
  RELEASE_KEY=$(in_token releases)
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign "$(in_token root)"
  "$ROOT/scripts/trust" add releases.pub --id releases --purpose release --repository "$PLAIN/mini/*"
  "$ROOT/scripts/trust" sign "$(in_token root)"
  "$ROOT/scripts/trust" verify
  image=$(release 1.0.0 --begin)
  "$ROOT/policy/admit" "${image%:*@*}@${image#*@}"
  release verify
  COSIGN_PKCS11_PIN=4321 refused 77 "cannot be used" release 1.0.0-rc.2
  "$ROOT/scripts/trust" revoke releases --reason "the token was lost"
  refused 77 "token=nobody" "$ROOT/scripts/trust" sign "$(in_token nobody)"
}
