# shellcheck shell=bash
# The register beside the images: an OCI artifact under the tag `register` of the releases' repository.

register_artifact=application/vnd.mini-api.register.v1
register_tag=register

# Runs oras against registries over TLS alone.
registry_oras() { # verb arguments…
  local verb=$1 side flags=()
  shift
  if [[ $verb == cp ]]; then
    for side in from to; do
      if [[ " $* " == *" --$side-oci-layout "* ]]; then continue; fi
      flags+=("--$side-plain-http=false" ${REGISTRY_CA:+"--$side-ca-file" "$REGISTRY_CA"})
    done
  else
    flags=(--plain-http=false ${REGISTRY_CA:+--ca-file "$REGISTRY_CA"})
  fi
  oras "$verb" "${flags[@]}" "$@"
}

# Brings the local copy up to what the registry has. The registry's must be sound and go on from ours, or ours from it: of two
# registers that went different ways one was rewritten. Fails with 66 when there is none, neither here nor there.
registry_register_fetch() { # repository
  local work code=0
  register_settle "$1"
  work=$(mktemp -d)
  registry_begin "$work"
  registry_ask "${1%%/*}" "${1#*/}" manifests "$register_tag" "$work/manifest"
  registry_answers
  registry_outcome "$work/manifest" || code=$?
  case $code in
    0) ;;
    65)
      rm -rf "$work"
      [[ -e $REGISTER ]] || return 66
      return 0
      ;;
    *) rm -rf "$work" && fail 69 "the register in $1 cannot be read: $REGISTRY_WHY" ;;
  esac
  mkdir "$work/register"
  registry_oras pull --output "$work/register" "$1@sha256:$(sha256sum "$work/manifest" | cut -d ' ' -f 1)" >"$work/log" 2>&1 ||
    { code=$(tail -n 1 "$work/log") && rm -rf "$work" && fail 69 "the register in $1 could not be fetched: $code"; }
  registry_register_take "$1" "$work"
  rm -rf "$work"
}

# Decides between the copy here and the one that was fetched.
registry_register_take() { # repository work-folder
  local here there
  (register_verify "$2/register" "$1") >/dev/null || { rm -rf "$2" && fail 65 "the register in the registry is not to be believed: see above"; }
  here=$(wc -c <"$REGISTER/releases.jsonl" 2>/dev/null || echo 0) there=$(wc -c <"$2/register/releases.jsonl")
  if ((here <= there)); then
    cmp -s -n "$here" "$2/register/releases.jsonl" <([[ ! -e $REGISTER ]] || cat "$REGISTER/releases.jsonl") || registry_register_split "$1" "$2"
    ((here < there)) || [[ ! -e $REGISTER ]] || return 0
    mkdir -p "$(dirname "$REGISTER")"
    rm -rf "$REGISTER.new"
    cp -R "$2/register" "$REGISTER.new"
    mv "$REGISTER.new" "$REGISTER.ready"
    register_settle "$1"
  else
    # Ours goes on from it: whoever appended was stopped before the push, or the registry's was shortened. The push mends both.
    cmp -s -n "$there" "$2/register/releases.jsonl" "$REGISTER/releases.jsonl" || registry_register_split "$1" "$2"
    say "   the register in $1 lacks lines that are known here"
  fi
}

registry_register_split() { # repository work-folder
  rm -rf "$2"
  fail 65 "the register in $1 and the one in $REGISTER went different ways: one of them was rewritten. Compare both with a head known elsewhere (scripts/release verify --head sha256:…) and remove the wrong one"
}

# Brings the register to the registry.
registry_register_push() { # repository
  local log
  log=$(mktemp)
  (cd "$REGISTER" && registry_oras push --artifact-type "$register_artifact" --annotation "org.opencontainers.image.created=$(jq -r .issued head.json)" \
    "$1:$register_tag" "releases.jsonl:$register_artifact+jsonl" "head.json:$register_artifact.head+json" "head.json.sig:$register_artifact.signature") \
    >"$log" 2>&1 || { code=$(tail -n 1 "$log") && rm -f "$log" && fail 69 "the register could not be pushed to $1: $code"; }
  rm -f "$log"
}
