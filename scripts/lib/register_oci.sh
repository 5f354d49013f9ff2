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
# registers that went different ways one was rewritten. Returns 66 when there is none, neither here nor there. With a second word
# the signatures of the heads are left out of account: for whoever is about to sign anew.
registry_register_fetch() { register_locked registry_register_bring "$@"; } # repository [unsigned]

# Fails unless a register is sound, with or without its signature.
registry_register_sound() { # folder repository [unsigned]
  if [[ ${3:-} ]]; then (register_chain "$1/releases.jsonl" "$2"); else (register_verify "$1" "$2") >/dev/null; fi
}

registry_register_bring() { # repository [unsigned]
  local work code=0 other
  register_settle "$1"
  if [[ -s $REGISTER/releases.jsonl ]]; then
    other=$(jq -rn 'input | .repository | strings' "$REGISTER/releases.jsonl" 2>/dev/null) || other='something else'
    [[ $other == "$1" ]] || fail 65 "$REGISTER is the register of $other: name another folder for the one of $1 (REGISTER)"
  fi
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
      registry_register_sound "$REGISTER" "$@" || fail 65 "the register $REGISTER is not to be believed: see above"
      return 0
      ;;
    *) rm -rf "$work" && fail 69 "the register in $1 cannot be read: $REGISTRY_WHY" ;;
  esac
  mkdir "$work/register"
  registry_oras pull --output "$work/register" "$1@sha256:$(sha256sum "$work/manifest" | cut -d ' ' -f 1)" >"$work/log" 2>&1 ||
    { code=$(tail -n 1 "$work/log") && rm -rf "$work" && fail 69 "the register in $1 could not be fetched: $code"; }
  registry_register_sound "$work/register" "$@" || { rm -rf "$work" && fail 65 "the register in the registry is not to be believed: see above"; }
  registry_register_take "$1" "$work" "${2:-}"
  rm -rf "$work"
}

# Decides between the copy here and the one that was fetched, which is sound.
registry_register_take() { # repository work-folder [unsigned]
  local here=0 there
  there=$(wc -c <"$2/register/releases.jsonl")
  if [[ -e $REGISTER/releases.jsonl ]]; then here=$(wc -c <"$REGISTER/releases.jsonl"); fi
  if ((here > there)); then
    # Ours goes on from it: whoever appended was stopped before the push, or the registry's was shortened. The push mends both.
    cmp -s -n "$there" "$2/register/releases.jsonl" "$REGISTER/releases.jsonl" || registry_register_split "$1" "$2"
    registry_register_sound "$REGISTER" "$1" "${3:-}" || { rm -rf "$2" && fail 65 "the register $REGISTER is not to be believed: see above"; }
    say "   the register in $1 lacks lines that are known here"
    return 0
  fi
  ((here == 0)) || cmp -s -n "$here" "$2/register/releases.jsonl" "$REGISTER/releases.jsonl" || registry_register_split "$1" "$2"
  # The same lines under another head: it was signed anew elsewhere.
  if ((here == there)) && cmp -s "$2/register/head.json" "$REGISTER/head.json" && cmp -s "$2/register/head.json.sig" "$REGISTER/head.json.sig"; then return 0; fi
  rm -rf "$REGISTER.new"
  cp -R "$2/register" "$REGISTER.new" || fail 73 "$REGISTER.new cannot be written"
  mv "$REGISTER.new" "$REGISTER.ready" || fail 73 "$REGISTER.ready cannot be written"
  register_settle "$1"
}

registry_register_split() { # repository work-folder
  rm -rf "$2"
  fail 65 "the register in $1 and the one in $REGISTER went different ways: one of them was rewritten. Compare both with a head known elsewhere (scripts/release verify --head sha256:…) and remove the wrong one"
}

# Brings the register to the registry, if it is sound.
registry_register_push() { # repository
  local log why
  (register_verify "$REGISTER" "$1") >/dev/null || fail 65 "the register $REGISTER is not to be believed, so it is not pushed: see above"
  log=$(mktemp)
  (cd "$REGISTER" && registry_oras push --artifact-type "$register_artifact" --annotation "org.opencontainers.image.created=$(jq -r .issued head.json)" \
    "$1:$register_tag" "releases.jsonl:$register_artifact+jsonl" "head.json:$register_artifact.head+json" "head.json.sig:$register_artifact.signature") \
    >"$log" 2>&1 || { why=$(tail -n 1 "$log") && rm -f "$log" && fail 69 "the register could not be pushed to $1: $why"; }
  rm -f "$log"
}
