# shellcheck shell=bash
# forward: what tests/deploy/forward.py reads the configuration of Fluent Bit with.

setup_forward() {
  local pin=PyYAML==6.0.3
  if stamped forward "$pin"; then return 0; fi
  pip_install "$pin"
  stamp forward "$pin"
}
