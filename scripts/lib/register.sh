# shellcheck shell=bash
# The register of releases: REGISTER/releases.jsonl, one JSON object a line, each with the SHA-256 of the line before it, so that
# the last line's hash, the head, stands for all. head.json names it, signed like every document (head.json.sig). A register that
# was rewritten or shortened still agrees with itself: it is found by a head known from elsewhere. docs/release.md is the manual.

REGISTER=${REGISTER:-$ROOT/.local/register}
# What a register amounts to, once register_verify has read it.
REGISTER_LINES=0 REGISTER_HEAD=''

# Prints "NUMBER HASH" of every line, in order.
register_hashes() { # file
  local work
  work=$(mktemp -d)
  if [[ -s $1 ]]; then
    split --lines=1 --numeric-suffixes --suffix-length=9 "$1" "$work/"
    (cd "$work" && find . -type f -print0 | sort -z | xargs -0 sha256sum) | awk '{ print NR, $1 }'
  fi
  rm -rf "$work"
}

# Fails with 65 unless every line is a release that follows the one before; sets REGISTER_LINES and REGISTER_HEAD.
register_chain() { # file
  local work why
  [[ -f $1 ]] || fail 66 "there is no register $1"
  [[ ! -s $1 || $(tail -c 1 "$1" | od -An -tx1) == ' 0a' ]] || fail 65 "the register's last line is cut off"
  work=$(mktemp -d)
  register_hashes "$1" >"$work/hashes"
  jq -c '[.n, .previous, (.version | type), (.commit | type), (.digest | type), (.repository | type)]' "$1" >"$work/said" 2>/dev/null ||
    { rm -rf "$work" && fail 65 "the register has a line that is no JSON"; }
  why=$(paste -d ' ' "$work/hashes" "$work/said" | awk '
    { wanted = sprintf("[%d,\"%s\",\"string\",\"string\",\"string\",\"string\"]", NR, before) }
    NF != 3 || $3 != wanted { printf "line %d does not follow the one before it, or is no release", NR; exit }
    { before = "sha256:" $2 }')
  REGISTER_LINES=$(wc -l <"$work/hashes")
  REGISTER_HEAD=$(awk 'END { if (NR) print "sha256:" $2 }' "$work/hashes")
  rm -rf "$work"
  [[ ! $why ]] || fail 65 "the register was altered: $why"
}

# Fails with 65 unless the head is signed by a key that may speak for the repository, and is the last line's.
register_signed() { # repository
  local head=$REGISTER/head.json id audience
  [[ -f $head && -f $head.sig ]] || fail 65 "the register has no signed head"
  audience=$(jq -r .audience "$TRUST/trust.json")
  document_is "$head" register-head/v1 "$audience" release
  id=$(jq -r '.signer // ""' "$head")
  trust_judge "$id" release "$1" || fail 65 "the register's head is not to be believed: $TRUST_WHY"
  document_signed "$head" "$head.sig" "$TRUST_KEYS/$id.pub" || fail 65 "the register's head is not signed by key $id"
  jq -e --arg repository "$1" --arg head "$REGISTER_HEAD" --argjson lines "$REGISTER_LINES" \
    '.repository == $repository and .head == $head and .lines == $lines' "$head" >/dev/null ||
    fail 65 "the register's head speaks of $(jq -r '"\(.lines) lines of \(.repository)"' "$head"), and here are $REGISTER_LINES of $1: it was shortened, or the head is another's"
}

# Verifies the register of a repository; a head known from elsewhere (a bundle, a receipt, a printed sheet) must be one of its
# lines. Says plainly what was shown.
register_verify() { # repository [known-head]
  local line
  register_settle
  register_chain "$REGISTER/releases.jsonl"
  register_signed "$1"
  if [[ ! ${2:-} ]]; then
    say "the register of $1 has $REGISTER_LINES releases and is consistent with itself and its signed head; whether it was rewritten only a head known from elsewhere can tell: release verify --head sha256:…"
    return
  fi
  line=$(register_hashes "$REGISTER/releases.jsonl" | awk -v wanted="${2#sha256:}" '$2 == wanted { print $1 }')
  [[ $line ]] || fail 65 "the head $2, known from elsewhere, is no line of this register: it was rewritten or shortened"
  say "the register of $1 has $REGISTER_LINES releases; the first $line are those that were known elsewhere"
}

# Appends a release and signs the new head; whole or not at all. The release is a JSON object without number and predecessor.
register_append() { # repository release-json key-id key
  local file=$REGISTER/releases.jsonl new=$REGISTER.new
  register_settle
  rm -rf "$new"
  mkdir -p "$REGISTER" "$new"
  [[ -f $file ]] || : >"$file"
  register_chain "$file"
  if ((REGISTER_LINES)); then register_signed "$1"; fi
  cp "$file" "$new/releases.jsonl"
  jq -cS --argjson n $((REGISTER_LINES + 1)) --arg previous "$REGISTER_HEAD" --arg repository "$1" \
    '. + {n: $n, previous: $previous, repository: $repository}' <<<"$2" >>"$new/releases.jsonl"
  register_chain "$new/releases.jsonl"
  jq -n --arg audience "$(jq -r .audience "$TRUST/trust.json")" --arg signer "$3" --arg repository "$1" --arg head "$REGISTER_HEAD" \
    --argjson lines "$REGISTER_LINES" --arg issued "$(trust_now)" '{type: "register-head/v1", audience: $audience, purpose: "release",
      signer: $signer, repository: $repository, lines: $lines, head: $head, issued: $issued}' >"$new/head.json"
  document_sign "$new/head.json" "$4" "$new/head.json.sig"
  document_signed "$new/head.json" "$new/head.json.sig" "$TRUST_KEYS/$3.pub" || {
    rm -rf "$new"
    fail 65 "the key $4 is not the one that the trust file calls $3"
  }
  mv "$new" "$REGISTER.ready"
  register_settle
}

# Puts a register that was written to its end in the place of the one before; goes on where somebody was stopped doing it.
register_settle() {
  [[ -d $REGISTER.ready ]] || return 0
  rm -rf "$REGISTER.old"
  if [[ -d $REGISTER ]]; then mv "$REGISTER" "$REGISTER.old"; fi
  mv "$REGISTER.ready" "$REGISTER"
  rm -rf "$REGISTER.old"
}

# Prints the lines of the releases with this digest (of the image, a platform or a document), commit or version.
register_trace() { # digest|commit|version
  local found
  register_settle
  [[ $1 =~ ^[A-Za-z0-9:.-]{5,80}$ ]] || fail 64 "trace wants a digest, a commit or a version"
  # grep first: a hundred thousand lines are read faster than understood.
  found=$(grep -F "\"$1" "$REGISTER/releases.jsonl" 2>/dev/null | jq -c --arg wanted "$1" 'select(.version == $wanted or (.commit | startswith($wanted))
    or ([.. | strings] | any(. == $wanted)))' || true)
  [[ $found ]] || fail 65 "no release has $1"
  printf '%s\n' "$found"
}
