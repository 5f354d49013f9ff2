# shellcheck shell=bash
# Small programs that tests of the deployment want.

# forward: what tests/deploy/forward.py reads the configuration of Fluent Bit with.
setup_forward() {
  local pin=PyYAML==6.0.3
  if stamped forward "$pin"; then return 0; fi
  pip_install "$pin"
  stamp forward "$pin"
}

# age: encrypts backups for those who have the keys.
setup_age() {
  setup_go age filippo.io/age/cmd/age
  [[ -x $TOOLS/bin/age-keygen ]] || build_go age filippo.io/age/cmd/age-keygen "$TOOLS/bin/age-keygen"
}
