# shellcheck shell=bash
# The register of releases: REGISTER/releases.jsonl, one JSON object a line, each with the SHA-256 of the line before it, so that
# the last line's hash, the head, stands for all. head.json names it, signed like every document (head.json.sig). A register that
# was rewritten or shortened still agrees with itself: it is found by a head known from elsewhere. docs/release.md is the manual.

REGISTER=${REGISTER:-$LOCAL/register}
REGISTER=${REGISTER%/}
# What a register amounts to, once register_chain has read it.
REGISTER_LINES=0 REGISTER_HEAD=''

# What a line must have, beside its number, predecessor and repository. Digests are what it is traced by.
register_line='def text: type == "string" and test("\\A[^\\p{Cc}]{1,300}\\z");
  def hash: type == "string" and test("\\Asha256:[0-9a-f]{64}\\z");
  (.version | text) and (.commit | type == "string" and test("\\A[0-9a-f]{40}\\z")) and (.digest | hash)
  and (.platforms | type == "object" and all(.[]; hash)) and (.documents | type == "object" and all(.[]; hash))
  and (.platforms + .documents | keys | all(text)) and (.image | text)
  and (.channel | IN("dev", "beta", "rc", "release")) and (.time | text) and (.key | text)'

# Prints "NUMBER HASH" of every line, in order.
register_hashes() { # file
  local work
  work=$(mktemp -d)
  if [[ -s $1 ]]; then
    # Callers may have turned errexit off, so each step is looked at.
    if ! split --lines=1 --numeric-suffixes --suffix-length=9 "$1" "$work/" ||
      ! (cd "$work" && find . -type f -print0 | sort -z | xargs -0 sha256sum) | awk '{ print NR, $1 }'; then
      rm -rf "$work"
      return 1
    fi
  fi
  rm -rf "$work"
}

# Fails with 65 unless every line is a release of the repository that follows the one before; sets REGISTER_LINES and
# REGISTER_HEAD.
register_chain() { # file repository
  local work why
  [[ -f $1 ]] || fail 66 "there is no register $1"
  [[ ! -s $1 || $(tail -c 1 "$1" | od -An -tx1) == ' 0a' ]] || fail 65 "the register's last line is cut off"
  work=$(mktemp -d)
  register_hashes "$1" >"$work/hashes" || { rm -rf "$work" && fail 69 "the register cannot be read here: is there room in ${TMPDIR:-/tmp}?"; }
  jq -rc --arg repository "$2" "[.n, .previous, (.repository == \$repository), ($register_line)] | @json" "$1" >"$work/said" 2>/dev/null ||
    { rm -rf "$work" && fail 65 "the register has a line that is no JSON"; }
  why=$(paste -d ' ' "$work/hashes" "$work/said" | awk '
    { wanted = sprintf("[%d,\"%s\",true,true]", NR, before) }
    NF != 3 || $3 != wanted { printf "line %d does not follow the one before it, or is no release of this repository", NR; exit }
    { before = "sha256:" $2 }') || why='it cannot be read here'
  REGISTER_LINES=$(wc -l <"$work/hashes")
  REGISTER_HEAD=$(awk 'END { if (NR) print "sha256:" $2 }' "$work/hashes")
  rm -rf "$work"
  [[ ! $why ]] || fail 65 "the register was altered: $why"
}

# Fails with 65 unless the head is signed by a key that may speak for the repository, and is the last line's.
register_signed() { # folder repository
  local head=$1/head.json
  [[ -f $head && -f $head.sig ]] || fail 65 "the register has no signed head"
  document_is "$head" register-head/v1 "$(trust_audience)" release
  # Who signed it is what the head itself says, so it is only a name until trust_judge knows it.
  trust_judge "$(jq -r '.signer // "" | strings' "$head")" release "$2" || fail 65 "the register's head is not to be believed: $TRUST_WHY"
  document_signed "$head" "$head.sig" "$TRUST_KEYS/$TRUST_ID.pub" || fail 65 "the register's head is not signed by key $TRUST_ID"
  jq -e --arg repository "$2" --arg head "$REGISTER_HEAD" --argjson lines "$REGISTER_LINES" \
    '.repository == $repository and .head == $head and .lines == $lines' "$head" >/dev/null ||
    fail 65 "the register's head speaks of $(jq -r '"\(.lines) lines of \(.repository)"' "$head"), and here are $REGISTER_LINES of $2: it was shortened, or the head is another's"
}

# Fails unless the register is sound in itself, and a head known from elsewhere (a bundle, a receipt, a printed sheet) is one of
# its lines. Prints how many lines that head vouches for, 0 when none was named.
register_verify() { # folder repository [known-head]
  local line
  register_chain "$1/releases.jsonl" "$2"
  register_signed "$1" "$2"
  [[ ${3:-} ]] || { echo 0 && return; }
  line=$(register_hashes "$1/releases.jsonl" | wanted=${3#sha256:} awk '$2 == ENVIRON["wanted"] { print $1 }')
  [[ $line ]] || fail 65 "the head $3, known from elsewhere, is no line of this register: it was rewritten or shortened"
  echo "$line"
}

# Says in words what register_verify has shown.
register_tell() { # folder repository lines-vouched-for
  local lines
  lines=$(wc -l <"$1/releases.jsonl")
  if (($3 == 0)); then
    echo "the register of $2 has $lines releases and is consistent with itself and its signed head; whether it was rewritten only a head known from elsewhere can tell: scripts/release verify --head sha256:…"
  else
    echo "the register of $2 has $lines releases; the first $3 are those that were known elsewhere"
  fi
}

# Runs a command while nobody else on this machine reads or writes the register.
register_locked() { # command…
  mkdir -p "$(dirname "$REGISTER")" || fail 73 "the folder of $REGISTER cannot be made"
  (
    exec 8>"$REGISTER.lock" || fail 73 "$REGISTER.lock cannot be written"
    flock --timeout 600 8 || fail 75 "somebody else has been at the register for ten minutes"
    "$@"
  )
}

# Runs a command while nobody writes the register; where it cannot be written, nobody does.
register_reading() { # command…
  if [[ ! -w $REGISTER.lock && (-e $REGISTER.lock || ! -w $(dirname "$REGISTER")) ]]; then
    "$@"
    return
  fi
  (
    exec 8<>"$REGISTER.lock"
    flock --shared --timeout 600 8 || fail 75 "somebody else has been at the register for ten minutes"
    "$@"
  )
}

# Copies the register, so that whoever reads it in several steps reads one.
register_copy() { # folder
  [[ -d $REGISTER ]] || fail 66 "there is no register $REGISTER: name its repository with --repository"
  cp -R "$REGISTER" "$1" || fail 73 "$1 cannot be written"
}

# Appends a release and signs the new head; whole or not at all. The release is a JSON object without number and predecessor; one
# that is there already is not appended again. A register is begun only by whoever says so: one whose lines were taken away is not
# begun again.
register_append() { register_locked register_add "$@"; } # repository release-json key-id key [begin]

# The same, while nobody else does. Each step is looked at: callers may have turned errexit off.
register_add() { # repository release-json key-id key [begin]
  local new=$REGISTER.new lines taken
  register_settle "$1"
  rm -rf "$new"
  mkdir "$new" || fail 73 "$new cannot be made"
  if [[ ${5:-} == begin ]]; then
    [[ ! -e $REGISTER ]] || fail 65 "there is a register already: $REGISTER"
    : >"$new/releases.jsonl" || fail 73 "$new cannot be written"
    REGISTER_LINES=0 REGISTER_HEAD=
  else
    [[ -d $REGISTER ]] || fail 66 "there is no register $REGISTER: fetch it, or begin one"
    register_chain "$REGISTER/releases.jsonl" "$1"
    register_signed "$REGISTER" "$1"
    cp "$REGISTER/releases.jsonl" "$new/" || fail 73 "$new cannot be written"
  fi
  taken=$(jq -rn --argjson release "$2" '[inputs | select(.version == $release.version)][0] | .digest // ""' "$new/releases.jsonl" 2>/dev/null) ||
    fail 65 "what is to be registered is no JSON object"
  if [[ $taken ]]; then
    rm -rf "$new"
    [[ $taken == "$(jq -r .digest <<<"$2")" ]] || fail 65 "$(jq -r .version <<<"$2") is registered already, as $taken: take the next version"
    return 0
  fi
  lines=$REGISTER_LINES
  jq -cS --argjson n $((REGISTER_LINES + 1)) --arg previous "$REGISTER_HEAD" --arg repository "$1" \
    '. + {n: $n, previous: $previous, repository: $repository}' <<<"$2" >>"$new/releases.jsonl" || fail 65 "what is to be registered is no JSON object"
  register_chain "$new/releases.jsonl" "$1"
  ((REGISTER_LINES == lines + 1)) || fail 65 "what is to be registered is not one release"
  register_head "$new" "$1" "$3" "$4"
  mv "$new" "$REGISTER.ready" || fail 73 "$REGISTER.ready cannot be written"
  register_settle "$1"
}

# Writes and signs the head of what register_chain has read.
register_head() { # folder repository key-id key
  trust_judge "$3" release "$2" || { rm -rf "$1" && fail 65 "the register's head would not be believed: $TRUST_WHY"; }
  jq -n --arg audience "$(trust_audience)" --arg signer "$3" --arg repository "$2" --arg head "$REGISTER_HEAD" \
    --argjson lines "$REGISTER_LINES" --arg issued "$(trust_now)" '{type: "register-head/v1", audience: $audience, purpose: "release",
      signer: $signer, repository: $repository, lines: $lines, head: $head, issued: $issued}' >"$1/head.json"
  document_sign "$1/head.json" "$4" "$1/head.json.sig"
  document_signed "$1/head.json" "$1/head.json.sig" "$TRUST_KEYS/$TRUST_ID.pub" || {
    rm -rf "$1"
    fail 65 "the key $4 is not the one that the trust file calls $3"
  }
}

# Signs the head anew, with a key that is believed now: the old one was revoked or has ended. What the lines are worth is then
# vouched for by the head known from elsewhere, which must be the last line's.
register_sign() { # repository known-head key-id key
  local new=$REGISTER.new
  [[ -d $REGISTER ]] || fail 66 "there is no register of $1, neither here nor in the registry"
  register_chain "$REGISTER/releases.jsonl" "$1"
  [[ ${2#sha256:} == "${REGISTER_HEAD#sha256:}" ]] || fail 65 "the head known from elsewhere is not that of the last line ($REGISTER_HEAD)"
  rm -rf "$new"
  mkdir "$new" || fail 73 "$new cannot be made"
  cp "$REGISTER/releases.jsonl" "$new/" || fail 73 "$new cannot be written"
  register_head "$new" "$1" "$3" "$4"
  mv "$new" "$REGISTER.ready" || fail 73 "$REGISTER.ready cannot be written"
  register_settle "$1"
}

# Puts a register that was written to its end in the place of the one before; goes on where somebody was stopped doing it.
register_settle() { # repository
  if [[ ! -e $REGISTER && ! -e $REGISTER.ready && -e $REGISTER.old ]]; then mv "$REGISTER.old" "$REGISTER" || fail 73 "$REGISTER cannot be written"; fi
  [[ -d $REGISTER.ready ]] || return 0
  (register_chain "$REGISTER.ready/releases.jsonl" "$1" && [[ -s $REGISTER.ready/head.json && -s $REGISTER.ready/head.json.sig ]]) ||
    fail 65 "$REGISTER.ready was left behind and is not sound: look at it, and remove it"
  if [[ -d $REGISTER ]]; then
    rm -rf "$REGISTER.old"
    mv "$REGISTER" "$REGISTER.old" || fail 73 "$REGISTER.old cannot be written"
  fi
  mv "$REGISTER.ready" "$REGISTER" || fail 73 "$REGISTER cannot be written"
  rm -rf "$REGISTER.old"
}

# Prints the lines of the releases with this digest (of the image, a platform or a document), commit (seven digits or more) or
# version. Reads, and verifies nothing.
register_trace() { # folder digest|commit|version
  local found
  [[ $2 =~ ^[0-9a-f]{64}$ ]] && set -- "$1" "sha256:$2"
  [[ $2 =~ ^[A-Za-z0-9:.-]{5,80}$ ]] || fail 64 "trace wants a digest, a commit or a version"
  [[ -f $1/releases.jsonl ]] || fail 66 "there is no register $1: fetch it with scripts/release log"
  # grep first: a hundred thousand lines are read faster than understood.
  found=$(LC_ALL=C grep -F "\"$2" "$1/releases.jsonl" | wanted=$2 jq -c '$ENV.wanted as $wanted
    | select(.version == $wanted or ([.digest, .platforms[], .documents[]] | any(. == $wanted))
      or (($wanted | test("\\A[0-9a-f]{7,40}\\z")) and (.commit | startswith($wanted))))' || true)
  [[ $found ]] || fail 66 "no release has $2"
  printf '%s\n' "$found"
}
