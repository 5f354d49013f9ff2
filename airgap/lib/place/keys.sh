# shellcheck shell=bash
# The keys of the closed network, and whom it believes: a root that signs the list, the key that countersigns what was let in, and the
# one that signs receipts.

# Makes the keys that are missing.
keys_make() {
  local name missing=()
  for name in root import receipt; do
    if [[ ! -s $OUT/keys/$name.pub ]]; then missing+=("$name"); fi
  done
  if ((${#missing[@]} == 0)); then
    say "the keys are there already"
    return
  fi
  [[ ${COSIGN_PASSWORD+set} || -t 0 ]] || fail 77 "keys are encrypted: give their password in COSIGN_PASSWORD, or call this at a keyboard"
  (umask 077 && mkdir -p "$OUT/keys") || fail 73 "$OUT/keys cannot be made"
  for name in "${missing[@]}"; do
    [[ ! -e $OUT/keys/$name.key ]] || fail 66 "$OUT/keys/$name.key is there without $name.pub: bring that back, or remove the key if it was never used"
    "$ROOT/scripts/trust" key "$OUT/keys/$name" || exit
  done
}

# Makes the list of who is believed, unless there is one; then the keys of this place are missing from it, or not.
keys_trust() { # audience registry
  local audience=$1 draft=
  if [[ ! -s $TRUST/trust.json ]]; then
    [[ $audience ]] || misuse "whose documents are believed here? --audience NAME, the same as outside"
    [[ -s $TRUST/next.json ]] || "$ROOT/scripts/trust" init --audience "$audience" "$OUT/keys/root.pub" || exit
    "$ROOT/scripts/trust" sign "$OUT/keys/root.key" || exit
  fi
  if keys_believed import && keys_believed receipt; then
    say "the trust root is there already"
    return
  fi
  jq -e --rawfile public "$OUT/keys/root.pub" '.roots.keys | any(.public == $public)' "$TRUST/trust.json" >/dev/null || {
    say "$TRUST is of other roots: they let the keys of this place in (the sheet tells how)"
    return
  }
  # What an earlier call left half drafted is drafted anew.
  [[ ! -s $TRUST/next.json ]] || "$ROOT/scripts/trust" drop || exit
  keys_believed import || {
    "$ROOT/scripts/trust" add "$OUT/keys/import.pub" --id import --purpose import --repository "$2/*" || exit
    draft=1
  }
  keys_believed receipt || {
    "$ROOT/scripts/trust" add "$OUT/keys/receipt.pub" --id receipt --purpose receipt || exit
    draft=1
  }
  [[ ! $draft ]] || "$ROOT/scripts/trust" sign "$OUT/keys/root.key" || exit
}

# True when one of our keys is believed.
keys_believed() { # name
  jq -e --rawfile public "$OUT/keys/$1.pub" '.keys | any(.public == $public)' "$TRUST/trust.json" >/dev/null
}
