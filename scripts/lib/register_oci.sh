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
# registers that went different ways one was rewritten. Returns 66 when there is none, neither here nor there. With a known head,
# for whoever is about to sign anew, that head stands in for the signatures.
registry_register_fetch() { register_locked registry_register_bring "$@"; } # repository [known-head]

# Fails unless a register is sound: by its signed head, or because its last line is the one that a known head names.
registry_register_sound() { # folder repository [known-head]
  if [[ ${3:-} ]]; then
    (register_chain "$1/releases.jsonl" "$2" && { [[ ${REGISTER_HEAD#sha256:} == "${3#sha256:}" ]] || fail 65 "its last line has the head $REGISTER_HEAD"; })
  else
    (register_verify "$1" "$2") >/dev/null
  fi
}

# Fails if what lies here is the register of another repository.
registry_register_ours() { # repository
  local copy other
  for copy in "$REGISTER" "$REGISTER.ready"; do
    [[ -s $copy/releases.jsonl ]] || continue
    other=$(jq -rn 'input | .repository | strings' "$copy/releases.jsonl" 2>/dev/null) || other='something else'
    [[ $other == "$1" ]] || fail 65 "$copy is the register of $other: name another folder for the one of $1 (REGISTER)"
  done
}

registry_register_bring() { # repository [known-head]
  local work code=0
  registry_register_ours "$1"
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
      registry_register_sound "$REGISTER" "$@" || fail 65 "the register $REGISTER is not to be believed: see above"
      return 0
      ;;
    *) rm -rf "$work" && fail 69 "the register in $1 cannot be read: $REGISTRY_WHY" ;;
  esac
  mkdir "$work/register"
  registry_oras pull --output "$work/register" "$1@sha256:$(sha256sum "$work/manifest" | cut -d ' ' -f 1)" >"$work/log" 2>&1 ||
    { code=$(tail -n 1 "$work/log") && rm -rf "$work" && fail 69 "the register in $1 could not be fetched: $code"; }
  if registry_register_sound "$work/register" "$@"; then
    registry_register_take "$1" "$work" "${2:-}"
  elif [[ ${2:-} && -e $REGISTER ]]; then
    registry_register_shorter "$1" "$work"
    say "   the register in $1 does not end with the head you know: the one here stands for it"
  else
    rm -rf "$work"
    fail 65 "the register in the registry is not to be believed: see above"
  fi
  rm -rf "$work"
}

# Fails if the registry's register has all lines of ours and more: signing ours would take them away.
registry_register_shorter() { # repository work-folder
  local here there
  here=$(wc -c <"$REGISTER/releases.jsonl") there=$(wc -c <"$2/register/releases.jsonl")
  if ((there <= here)) || ! cmp -s -n "$here" "$REGISTER/releases.jsonl" "$2/register/releases.jsonl"; then return 0; fi
  (register_chain "$2/register/releases.jsonl" "$1") 2>/dev/null || return 0
  there=$(($(wc -l <"$2/register/releases.jsonl") - $(wc -l <"$REGISTER/releases.jsonl")))
  rm -rf "$2"
  fail 65 "the register in $1 has $there more lines than the head you know stands for: name the head of its last line; if a thief wrote them, remove the tag $register_tag there and try again"
}

# Decides between the copy here and the one that was fetched, which is sound.
registry_register_take() { # repository work-folder [known-head]
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
  if ((here == there)); then
    if cmp -s "$2/register/head.json" "$REGISTER/head.json" && cmp -s "$2/register/head.json.sig" "$REGISTER/head.json.sig"; then return 0; fi
    if (register_verify "$REGISTER" "$1") >/dev/null 2>&1 && [[ $(jq -r .issued "$REGISTER/head.json") > $(jq -r .issued "$2/register/head.json") ]]; then
      say "   the head of the register in $1 is older than the one here"
      return 0
    fi
  fi
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
registry_register_push() { register_locked registry_register_carry "$@"; } # repository

registry_register_carry() { # repository
  local log why
  (register_verify "$REGISTER" "$1") >/dev/null || fail 65 "the register $REGISTER is not to be believed, so it is not pushed: see above"
  log=$(mktemp)
  (cd "$REGISTER" && registry_oras push --artifact-type "$register_artifact" --annotation "org.opencontainers.image.created=$(jq -r .issued head.json)" \
    "$1:$register_tag" "releases.jsonl:$register_artifact+jsonl" "head.json:$register_artifact.head+json" "head.json.sig:$register_artifact.signature") \
    >"$log" 2>&1 || { why=$(tail -n 1 "$log") && rm -f "$log" && fail 69 "the register could not be pushed to $1: $why"; }
  rm -f "$log"
}
