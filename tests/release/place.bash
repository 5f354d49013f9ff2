# shellcheck shell=bash
# A place to release from: the project's scripts around a service that builds in seconds, committed, with keys and a trust file.

# Makes keys and trust for both registries. Run in the folder of the file.
make_trust() { # folder
  local name
  export TRUST=$1/trust TRUST_PIN=$1/pin
  cd "$1" || return
  for name in root ours limited lost stranger next; do "$ROOT/scripts/trust" key "$name"; done
  "$ROOT/scripts/trust" init --audience mini root.pub
  "$ROOT/scripts/trust" sign root.key
  "$ROOT/scripts/trust" add ours.pub --id ours --purpose release --repository "$PLAIN/mini/*" --repository "$LISTING/mini/*"
  "$ROOT/scripts/trust" add next.pub --id next --purpose release --repository "$PLAIN/mini/*"
  "$ROOT/scripts/trust" add lost.pub --id lost --purpose release --repository "$PLAIN/mini/*"
  "$ROOT/scripts/trust" add limited.pub --id limited --purpose release --repository "$PLAIN/mini/mini-api-rc"
  "$ROOT/scripts/trust" revoke lost --reason "the laptop was stolen"
  "$ROOT/scripts/trust" sign root.key
}

# Makes the place and commits it: the scripts around the service in miniature, or the whole project.
make_place() { # folder [whole]
  local what=(scripts policy docs Containerfile deny.toml .gitignore)
  [[ ! ${2:-} ]] || what=(.)
  mkdir -p "$1"
  (cd "$ROOT" && git ls-files --cached --others --exclude-standard -- "${what[@]}" |
    while IFS= read -r file; do [[ ! -f $file ]] || echo "$file"; done | tar --create --files-from=-) | tar --directory "$1" --extract
  [[ ${2:-} ]] || cp -R "$ROOT"/tests/release/small/. "$1/"
  ln -s "$ROOT/.tools" "$1/.tools"
  git -C "$1" init --quiet --initial-branch main
  git -C "$1" config user.name tests
  git -C "$1" config user.email tests@example.org
  commit_place "$1" "Begin"
}

# Commits everything, at a time of its own, so that commits differ however quick the test is.
commit_place() { # folder message
  git -C "$1" add --all
  git -C "$1" commit --quiet --allow-empty --message "$2"
}
