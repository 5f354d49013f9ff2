# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/release
# What must be true before anything is built: each refusal is a sentence with its remedy.

# SemVer with our channels, or none.
release_version='^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-(dev|beta|rc)\.(0|[1-9][0-9]{0,8}))?$'

# Sets VERSION and CHANNEL, or refuses.
ready_version() { # version
  [[ $1 =~ $release_version ]] ||
    fail 65 "'$1' is no version: write MAJOR.MINOR.PATCH (https://semver.org), or with a channel MAJOR.MINOR.PATCH-dev.N, -beta.N or -rc.N"
  VERSION=$1 CHANNEL=${BASH_REMATCH[5]:-release}
  [[ ${VERSION%%-*} == "$(project_value version)" ]] ||
    fail 65 "Cargo.toml is at version $(project_value version), which is no $VERSION: alter one of them"
}

# Sets ARCHITECTURES, in the order of the index.
ready_platforms() { # platforms-with-commas
  local architecture
  [[ $1 =~ ^linux/(amd64|arm64)(,linux/(amd64|arm64))?$ ]] || misuse "the platforms '$1' are not known: --platform is linux/amd64, linux/arm64, or linux/amd64,linux/arm64"
  ARCHITECTURES=()
  for architecture in amd64 arm64; do
    if [[ ,$1, == *",linux/$architecture,"* ]]; then ARCHITECTURES+=("$architecture"); fi
  done
}

# Sets BASE, the repository of the releases and of the register, and IMAGES, where images of this channel lie.
ready_repository() { # repository
  reference_parse "$1" repository || fail 65 "the repository $1 is refused: $REF_WHY"
  [[ $REF_CHANNEL == release ]] || fail 65 "the repository $1 is a channel's: name the one of the releases, and the channel follows from the version"
  BASE=$1 IMAGES=$1
  [[ $CHANNEL == release ]] || IMAGES=$1-$CHANNEL
}

# Refuses a tree that is not what its commit says; sets COMMIT.
ready_tree() {
  local strange
  COMMIT=$(git -C "$ROOT" rev-parse --verify --quiet 'HEAD^{commit}') || fail 65 "$ROOT is no git repository with a commit: releases are made from commits"
  strange=$(git -C "$ROOT" status --porcelain --untracked-files=normal) || fail 65 "git cannot tell whether the tree is clean"
  [[ ! $strange ]] || fail 65 "the tree is not the commit: commit, stash or remove ${strange%%$'\n'*}"
}

# Refuses a key that may not speak for both repositories; sets KEY_ID. Asks for its password once.
ready_key() { # key work-folder
  local id repository
  document_password "$1"
  document_public "$1" "$2/public"
  id=$(trust_key "$(document_fingerprint "$2/public")") || fail 65 "the key $1 is not in the trust file: scripts/trust show lists those that are"
  for repository in "$BASE" "$IMAGES"; do
    trust_judge "$id" release "$repository" || fail 65 "this key may not release: $TRUST_WHY"
  done
  KEY_ID=$id
}

# Refuses an image whose labels would not say what it is of.
ready_labels() {
  local config missing
  config=$(containerfile_config "$ROOT/Containerfile" "VERSION=$(project_value version)" "REVISION=$COMMIT" \
    "CREATED=$(date -u -d "@$(project_epoch)" +%Y-%m-%dT%H:%M:%SZ)" "SOURCE=$(project_value repository)")
  missing=$(jq -r --arg commit "$COMMIT" '.Labels as $labels | ("version", "revision", "created", "source", "licenses") | "org.opencontainers.image." + .
    | select(($labels[.] // "") == "")' <<<"$config") || fail 65 "the image's labels cannot be read from the Containerfile"
  [[ ! $missing ]] || fail 65 "the image would have no label ${missing%%$'\n'*}: add it to the Containerfile"
  [[ $(jq -r '.Labels["org.opencontainers.image.revision"]' <<<"$config") == "$COMMIT" ]] ||
    fail 65 "the image's label revision would not be the commit: fill it with \${REVISION} in the Containerfile"
}

# Stops at a licence that deny.toml does not allow.
ready_licences() { # work-folder
  cargo-deny --locked --log-level warn --manifest-path "$ROOT/Cargo.toml" check --hide-inclusion-graph licenses bans sources >"$1/licences" 2>&1 || {
    grep -E '^(error|[[:space:]]*(├|┌|│))' "$1/licences" | head -n 12 >&2 || cat "$1/licences" >&2
    fail 65 "deny.toml does not allow what this release would be made of: see above"
  }
}

# Looks for known faults when ADVISORIES names a clone of the RustSec database; prints what was found as JSON, with the age of
# the database. Without one that is what the provenance says.
ready_advisories() { # work-folder
  local made age
  if [[ ! ${ADVISORIES:-} ]]; then
    say "   no advisories looked at: ADVISORIES names no clone of the RustSec database"
    echo '{"database": "none at hand"}'
    return
  fi
  made=$(git -C "$ADVISORIES" log -1 --format=%ct 2>/dev/null) || fail 66 "$ADVISORIES is no git clone of an advisory database"
  age=$((($(date +%s) - made) / 86400))
  # cargo-deny wants a clone of its own, in a folder it names after the address; nothing is asked of the network.
  git clone --quiet "$ADVISORIES" "$1/database/db-9a2fa044d11f3125" || fail 66 "$ADVISORIES cannot be cloned"
  printf '[advisories]\ndb-path = "%s"\ndb-urls = ["https://advisories.invalid/db"]\nunmaintained = "none"\nmaximum-db-staleness = "P10Y"\n' \
    "$1/database" >"$1/advisories.toml"
  cargo-deny --locked --offline --log-level warn --manifest-path "$ROOT/Cargo.toml" --config "$1/advisories.toml" check --hide-inclusion-graph \
    advisories >"$1/advisories.log" 2>&1 || {
    grep -E 'error\[|ID:|Advisory:|Solution:' "$1/advisories.log" | head -n 20 >&2 || tail -n 20 "$1/advisories.log" >&2
    fail 65 "a dependency has a known fault (database of $(date -u -d "@$made" +%F), $age days old): raise it in Cargo.lock"
  }
  say "   no known fault in a database that is $age days old"
  jq -n --arg commit "$(git -C "$ADVISORIES" rev-parse HEAD)" --arg made "$(date -u -d "@$made" +%Y-%m-%dT%H:%M:%SZ)" --argjson age "$age" \
    '{database: $commit, made: $made, days_old: $age, found: 0}'
}

# Refuses a version that is taken: in the register, or by a tag that somebody put there.
ready_untaken() { # work-folder
  local taken='' code=0
  REGISTERED=
  if [[ -e $REGISTER/releases.jsonl ]]; then
    # shellcheck disable=SC2016  # jq expands it
    taken=$(register_reading jq -rn --arg version "$VERSION" '[inputs | select(.version == $version)][0] | select(.) | "\(.digest) \(.commit)"' "$REGISTER/releases.jsonl") ||
      fail 65 "the register $REGISTER cannot be read"
    REGISTERED=${taken% *}
    [[ ! $taken || ${taken#* } == "$COMMIT" ]] || fail 65 "$VERSION is released already, as $REGISTERED of commit ${taken#* }: take the next version"
  fi
  registry_begin "$1"
  registry_ask "${IMAGES%%/*}" "${IMAGES#*/}" manifests "$VERSION" "$1/tagged"
  registry_answers
  registry_outcome "$1/tagged" || code=$?
  case $code in
    0) TAGGED=sha256:$(sha256sum "$1/tagged" | cut -d ' ' -f 1) ;;
    65) TAGGED= ;;
    *) fail 69 "$IMAGES: $REGISTRY_WHY" ;;
  esac
}

# Refuses to give a version that is taken to another digest.
ready_unmoved() { # digest
  [[ ! $REGISTERED || $REGISTERED == "$1" ]] || fail 65 "$VERSION is released already, as $REGISTERED, and what was built now is $1: take the next version"
  [[ ! $TAGGED || $TAGGED == "$1" ]] || fail 65 "the tag $VERSION of $IMAGES names $TAGGED, and this release is $1: tags are never moved, take the next version"
}
