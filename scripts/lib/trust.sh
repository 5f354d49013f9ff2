# shellcheck shell=bash
# Who is believed. The folder TRUST holds
#   trust.json                 the version in force          next.json                  a draft that waits for signatures
#   history/N.json             the versions before it        signatures/N.ROOT.sig      what root ROOT says of version N
# and the file TRUST_PIN, outside that folder, the version and SHA-256 that this machine last believed: whatever arrives must
# lead on from there. docs/trust.md is the manual.

TRUST=${TRUST:-$ROOT/policy/trust}
TRUST_PIN=${TRUST_PIN:-$LOCAL/trust.pin}
# Where trust_open puts what it verified: KEYS/ID.pub and the table KEYS/table.
TRUST_KEYS=''
# Why the last key was refused.
TRUST_WHY=''

# Prints the present, as documents write it.
trust_now() { date -u +%Y-%m-%dT%H:%M:%SZ; }

trust_hash() { sha256sum "$1" | cut -d ' ' -f 1; } # file

# Prints what is wrong with the form of a trust file, a sentence a line.
trust_form() { # file
  jq -rn -L "$ROOT/scripts/lib" 'include "trust"; [inputs] | if length == 1 then .[0] | faults[] else "it is not one JSON object" end' \
    "$1" 2>/dev/null || echo "it is no JSON"
}

# Prints what is wrong with one version following another.
trust_step() { # old new
  jq -r -L "$ROOT/scripts/lib" --slurpfile old "$1" 'include "trust"; step_faults($old[0])[]' "$2"
  [[ $(jq -r .previous "$2") == "sha256:$(trust_hash "$1")" ]] || echo "it follows another version $(jq .version "$1") than this one"
}

# Prints the roots of ROOTS that signed FILE, one a line.
trust_signers() { # file roots-file
  local id version work
  version=$(jq -r .version "$1")
  work=$(mktemp -d)
  while IFS= read -r id; do
    jq -j --arg id "$id" '.roots.keys[] | select(.id == $id).public' "$2" >"$work/root.pub"
    if [[ -f $TRUST/signatures/$version.$id.sig ]] && document_signed "$1" "$TRUST/signatures/$version.$id.sig" "$work/root.pub"; then
      echo "$id"
    fi
  done < <(jq -r '.roots.keys[].id' "$2")
  rm -rf "$work"
}

# Prints nothing when enough of the roots in ROOTS signed FILE, else a sentence.
trust_short() { # file roots-file
  local signed wanted
  signed=$(trust_signers "$1" "$2" | wc -l)
  wanted=$(jq .roots.threshold "$2")
  ((signed >= wanted)) ||
    echo "version $(jq .version "$1") has $signed of $wanted signatures by the roots of version $(jq .version "$2")"
}

# The file of a version, in force or before.
trust_version() { # number
  if [[ $(jq -r .version "$TRUST/trust.json" 2>/dev/null) == "$1" ]]; then echo "$TRUST/trust.json"; else echo "$TRUST/history/$1.json"; fi
}

# Fails unless the version in force is the pinned one or leads on from it, signed by the roots before and by its own; pins it.
trust_follow() {
  local pinned_version pinned_hash version step old new why
  [[ -f $TRUST/trust.json ]] || fail 78 "there is no $TRUST/trust.json: make one with scripts/trust init, or bring yours"
  [[ -f $TRUST_PIN ]] || fail 78 "no trust file was ever confirmed on this machine: compare the printed sheet, then scripts/trust verify --sha256 HASH"
  read -r pinned_version pinned_hash <"$TRUST_PIN"
  [[ $pinned_version =~ ^[1-9][0-9]*$ && $pinned_hash =~ ^[0-9a-f]{64}$ ]] || fail 78 "$TRUST_PIN is damaged: confirm the trust file anew with scripts/trust verify --sha256 HASH"
  trust_sound "$TRUST/trust.json"
  version=$(jq .version "$TRUST/trust.json")
  ((version >= pinned_version)) || fail 65 "the trust file is version $version, older than version $pinned_version that was believed here: bring the newer one"
  old=$(trust_version "$pinned_version")
  [[ -f $old ]] || fail 65 "the trust file is version $version, but version $pinned_version, believed here, is not in its history: bring it whole"
  [[ $(trust_hash "$old") == "$pinned_hash" ]] || fail 65 "the trust file's version $pinned_version is another than the one believed here: somebody altered it"
  for ((step = pinned_version + 1; step <= version; step++)); do
    new=$(trust_version "$step")
    [[ -f $new ]] || fail 65 "version $step of the trust file is missing from its history: bring it whole"
    trust_sound "$new"
    why=$(trust_step "$old" "$new" && trust_short "$new" "$old" && trust_short "$new" "$new")
    [[ ! $why ]] || fail 65 "the trust file cannot be believed: ${why%%$'\n'*}"
    old=$new
  done
  # Where nothing can be written, the same steps are checked again the next time.
  ((version == pinned_version)) || (trust_pin) || true
}

# Fails with the first fault of form.
trust_sound() { # file
  local why
  why=$(trust_form "$1")
  [[ ! $why ]] || fail 65 "$1 is no trust file: ${why%%$'\n'*}"
}

# Remembers the version in force.
trust_pin() {
  mkdir -p "$(dirname "$TRUST_PIN")" || fail 73 "the folder of $TRUST_PIN cannot be made"
  if ! { printf '%s %s\n' "$(jq .version "$TRUST/trust.json")" "$(trust_hash "$TRUST/trust.json")" >"$TRUST_PIN.new" &&
    mv "$TRUST_PIN.new" "$TRUST_PIN"; }; then
    fail 73 "$TRUST_PIN cannot be written"
  fi
}

# Verifies what is in force and lays its keys out in a folder, for trust_judge.
trust_open() { # folder
  local id
  trust_follow
  TRUST_KEYS=$1
  mkdir -p "$TRUST_KEYS"
  : >"$TRUST_KEYS/table"
  while IFS= read -r id; do
    jq -j --arg id "$id" '.keys[] | select(.id == $id).public' "$TRUST/trust.json" >"$TRUST_KEYS/$id.pub"
    jq -r --arg id "$id" --arg fingerprint "$(document_fingerprint "$TRUST_KEYS/$id.pub" || echo none)" '.keys[] | select(.id == $id)
      | [.id, $fingerprint, .purpose, .from, .until, .revoked.since // "-", (.repositories | join(" "))] | join("\t")' \
      "$TRUST/trust.json" >>"$TRUST_KEYS/table"
  done < <(jq -r '.keys[].id' "$TRUST/trust.json")
}

# Prints the id of the key with a fingerprint; fails when nobody is known by it.
trust_key() { # fingerprint
  awk -F '\t' -v wanted="$1" '$2 == wanted { print $1; found = 1 } END { exit !found }' "$TRUST_KEYS/table"
}

# Whether a key may speak for this purpose and repository (empty: none) now. Returns 65 and sets TRUST_WHY when it may not.
trust_judge() { # id purpose repository
  local id purpose from until revoked repositories pattern now
  TRUST_WHY=
  now=$(trust_now)
  IFS=$'\t' read -r id _ purpose from until revoked repositories < <(grep -P "^\Q$1\E\t" "$TRUST_KEYS/table") ||
    trust_refuse "no key is called '$1'" || return
  [[ $revoked == - ]] || trust_refuse "key $id is revoked since $revoked" || return
  [[ $purpose == "$2" ]] || trust_refuse "key $id is for $purpose, not for $2" || return
  [[ ! $now < $from ]] || trust_refuse "key $id is not valid before $from (here it is $now)" || return
  [[ $now < $until ]] || trust_refuse "key $id is not valid since $until (here it is $now)" || return
  [[ $3 ]] || return 0
  for pattern in $repositories; do
    if [[ $3 == "$pattern" || ($pattern == */\* && $3 == "${pattern%\*}"*) ]]; then return 0; fi
  done
  trust_refuse "key $id does not speak for $3"
}

trust_refuse() { # why
  # shellcheck disable=SC2034  # read by callers
  TRUST_WHY=$1
  return 65
}
