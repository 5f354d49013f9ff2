# shellcheck shell=bash
# shellcheck disable=SC2034  # what it finds is read by callers
# One grammar for image references. policy/image-reference.md says why each rule is there; policy/image-reference.tsv has
# examples that every engine is tested against.

# Sites name their registries here, one HOST[:PORT] a line.
REFERENCE_REGISTRIES=${REFERENCE_REGISTRIES:-$ROOT/policy/registries.txt}

# What the last reference consists of; empty where it has no such part.
REF_REGISTRY='' REF_REPOSITORY='' REF_CHANNEL='' REF_TAG='' REF_DIGEST=''
# Why the last one was refused, as one sentence with the remedy.
REF_WHY=''

# Takes a reference apart. `pinned` ones, the default, must have a digest; `named` ones may have; a `repository` has
# neither tag nor digest. Returns 65 and sets REF_WHY when it is refused.
reference_parse() { # reference [pinned|named|repository]
  local LC_ALL=C rest=$1 kind=${2:-pinned}
  REF_REGISTRY='' REF_REPOSITORY='' REF_CHANNEL='' REF_TAG='' REF_DIGEST='' REF_WHY=''
  [[ $kind =~ ^(pinned|named|repository)$ ]] || die "no kind of reference is called '$kind'"
  [[ $rest ]] || reference_refuse "it is empty: write REGISTRY/ORG/SERVICE@sha256:DIGEST" || return
  [[ $rest != *[![:graph:]]* ]] || reference_refuse "it has a space or another sign that no reference may have: remove it" || return
  [[ $rest != *://* ]] || reference_refuse "it has a scheme: leave '${rest%%://*}://' out" || return
  case $rest in
    *@*@*) reference_refuse "it has two '@': keep the one before the digest" || return ;;
    *@*)
      reference_digest "${rest#*@}" || return
      rest=${rest%@*}
      ;;
    *) [[ $kind != pinned ]] || reference_refuse "it is not pinned: append @sha256:DIGEST (oras resolve prints it)" || return ;;
  esac
  # A colon after the last slash begins a tag; one before it, a port.
  if [[ ${rest##*/} == *:* && $rest == */* ]]; then
    reference_tag "${rest##*:}" || return
    rest=${rest%:*}
  fi
  [[ $kind != repository || ! $REF_TAG$REF_DIGEST ]] || reference_refuse "a repository has neither tag nor digest: leave them out" || return
  reference_repository "$rest"
}

# Notes why, and fails.
reference_refuse() { # why
  REF_REGISTRY='' REF_REPOSITORY='' REF_CHANNEL='' REF_TAG='' REF_DIGEST=''
  REF_WHY=$1
  return 65
}

reference_digest() { # digest
  [[ $1 == sha256:* ]] || reference_refuse "its digest is not sha256: write @sha256: and 64 hexadecimal digits" || return
  [[ $1 =~ ^sha256:[0-9a-f]{64}$ ]] || reference_refuse "its digest is not 64 hexadecimal digits in lower case: copy it whole" || return
  REF_DIGEST=$1
}

reference_tag() { # tag
  [[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] || reference_refuse "its tag is not one: up to 128 letters, digits, '_', '.', '-'" || return
  [[ ${1,,} != latest ]] || reference_refuse "its tag is 'latest', which says nothing: name a version, or no tag beside the digest" || return
  REF_TAG=$1
}

reference_repository() { # registry/path
  local registry=${1%%/*} path=${1#*/} part='[a-z0-9]+(-[a-z0-9]+)*'
  [[ $1 == */* ]] || reference_refuse "it names no registry, and none is assumed: write REGISTRY/ORG/SERVICE" || return
  ((${#1} <= 255)) || reference_refuse "its name is longer than 255 signs: shorten it" || return
  [[ $registry != *[A-Z]* && $path != *[A-Z]* ]] || reference_refuse "it has capital letters: names are in lower case" || return
  reference_registry_known "$registry" || reference_refuse "its registry '$registry' is not in $(basename "$REFERENCE_REGISTRIES"): use one that is" || return
  [[ $path == */* ]] || reference_refuse "it names no organisation: write REGISTRY/ORG/SERVICE" || return
  [[ $path =~ ^$part/($part/)?$part$ ]] ||
    reference_refuse "its path is not ORG/[PROJECT/]SERVICE of lower-case letters and digits with single '-' between them" || return
  [[ ! ${path%/*}/ =~ -(dev|beta|rc)/ && ! $path =~ -(dev|beta|rc)-(dev|beta|rc)$ ]] ||
    reference_refuse "its path has -dev, -beta or -rc where no channel is: they end the name of a service, once" || return
  REF_REGISTRY=$registry REF_REPOSITORY=$registry/$path
  case $path in
    *-dev | *-beta | *-rc) REF_CHANNEL=${path##*-} ;;
    *) REF_CHANNEL=release ;;
  esac
}

# True when the list has exactly this registry: never a prefix, never a pattern.
reference_registry_known() { # host[:port]
  [[ $1 =~ ^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[1-9][0-9]{0,4})?$ ]] || return 1
  [[ -r $REFERENCE_REGISTRIES ]] || fail 78 "the list of registries is missing: $REFERENCE_REGISTRIES"
  local line
  while IFS= read -r line || [[ $line ]]; do
    if [[ $line == "$1" ]]; then return 0; fi
  done <"$REFERENCE_REGISTRIES"
  return 1
}
