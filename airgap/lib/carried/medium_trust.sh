# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # what medium.sh declares, and reads
# Whether the manifest of a bundle is to be believed: who signed it, whom it is for, and whether all it says has the form it should
# (manifest.jq). Nothing of it is read before its signature holds. Needs medium.sh, trust.sh, document.sh.

# No registry takes a larger manifest of an image.
medium_manifest_largest=$((8 * 1024 * 1024))

# Finds the key of the trust file that signed a file; whether it may speak is another question. Sets MEDIUM_KEY.
medium_signer() { # file signature-file
  local id
  [[ -f $1 && -f $2 ]] || return 1
  # Signatures have one spelling: what differs from it was altered, even if it means the same.
  { base64 -d <"$2" 2>/dev/null | base64 -w 0 && echo; } >"$BUNDLE/spelling" || return 1
  cmp -s "$BUNDLE/spelling" "$2" || return 1
  # Most likely one that is for it.
  for id in $MEDIUM_KEY $(medium_keys); do
    if document_signed "$1" "$2" "$TRUST_KEYS/$id.pub"; then
      MEDIUM_KEY=$id
      return
    fi
  done
  return 1
}

# Prints the ids of all keys, those for bundles first.
medium_keys() {
  local id others=()
  for id in "${!TRUST_ROWS[@]}"; do
    if [[ ${TRUST_ROWS[$id]} == *$'\t'bundle$'\t'* ]]; then printf '%s\n' "$id"; else others+=("$id"); fi
  done
  printf '%s\n' "${others[@]}"
}

# Fails unless the manifest is signed by a key that may, says what a manifest says, and is for us. On which medium it was damaged is told
# with the other faults, if another medium has it whole.
medium_trust() { # [audience]
  local n good='' why
  [[ $TRUST_KEYS ]] || trust_open "$TEMPORARY/keys"
  for n in "${!MEDIUM_DIRS[@]}"; do
    MEDIUM_KEY=
    if ! medium_signer "$BUNDLE/$n/manifest.json" "$BUNDLE/$n/manifest.json.sig"; then continue; fi
    if [[ ! $good ]]; then
      good=$n
    elif ! cmp -s "$BUNDLE/$good/manifest.json" "$BUNDLE/$n/manifest.json"; then
      fail 65 "these are media of different bundles: medium $good in ${MEDIUM_DIRS[good]} and medium $n in ${MEDIUM_DIRS[n]} have different manifests, each signed"
    fi
  done
  [[ $good ]] || medium_unsigned
  medium_settle "$good"
  MEDIUM_KEY=
  medium_signer "$BUNDLE/manifest.json" "$BUNDLE/manifest.json.sig" || fail 65 "manifest.json changed while it was read"
  trust_judge "$MEDIUM_KEY" bundle "" || fail 65 "the manifest of this bundle is not to be believed: $TRUST_WHY"
  why=$(medium_form "${1:-$(trust_audience)}") || fail 69 "manifest.json cannot be read here: is there room in ${TMPDIR:-/tmp}, and is jq sound?"
  [[ ! $why ]] || { say "$why" && fail 65 "manifest.json is not what a bundle has: see above"; }
  medium_others
}

# Fails because no manifest is signed by a key we know. A list that is signed knows better which file is to blame.
medium_unsigned() {
  local n name listed hash
  for n in "${!MEDIUM_DIRS[@]}"; do
    MEDIUM_KEY=
    if medium_signer "$BUNDLE/$n/SHA256SUMS" "$BUNDLE/$n/SHA256SUMS.sig" && trust_judge "$MEDIUM_KEY" bundle ""; then
      for name in manifest.json manifest.json.sig; do
        [[ -f $BUNDLE/$n/$name ]] || continue
        listed=$(awk -v name="$name" '$2 == name { print $1; exit }' "$BUNDLE/$n/SHA256SUMS")
        hash=$(trust_hash "$BUNDLE/$n/$name")
        [[ $listed == "$hash" ]] || medium_fault 65 "medium $n: $name is damaged: copy it again from the original of medium $n"
      done
    fi
  done
  medium_told "no whole manifest.json can be had"
  fail 65 "manifest.json is signed by no key that the trust file has (version $(jq .version "$TRUST_COPY/trust.json")): it was altered, or a stranger signed it. If a newer trust file is carried, airgap/bundle follow takes it over"
}

# Prints what is wrong with the form of the manifest; if nothing is, lays out what it says: entries, manifests, images.
medium_form() { # audience
  local rows=$BUNDLE/rows
  jq -rn -L "$ROOT/airgap/lib/carried" --arg audience "$1" --argjson largest "$medium_manifest_largest" --arg key "$MEDIUM_KEY" 'include "manifest";
    [inputs] | if length != 1 then "F\tit is not one JSON object" else .[0] | faults($audience; $largest) as $faults
      | if $faults != [] then $faults[:20][] | "F\t\(.)"
        elif .signer != $key then "F\tit says that key \(.signer) signed it, and it was \($key)"
        else "H\t\(.stream)\t\(.serial)\t\(.media)\t\(.expires)", rows end end' "$BUNDLE/manifest.json" >"$rows" 2>/dev/null ||
    printf 'F\tit is no JSON\n' >"$rows"
  awk -F '\t' -v folder="$BUNDLE/" 'BEGIN { name["H"] = "head"; name["E"] = "entries"; name["M"] = "manifests.list"; name["I"] = "images"
      for (kind in name) printf "" >(folder name[kind]) }
    { kind = $1; sub(/^[A-Z]\t/, "") } kind == "F" { print; next } { print >(folder name[kind]) }' "$rows" || return 1
  rm -f "$rows"
}

# Notes which of the media carry the manifest otherwise than it is, and whether the signatures of their lists hold.
medium_others() {
  local n key=$MEDIUM_KEY
  IFS=$'\t' read -r MEDIUM_STREAM MEDIUM_SERIAL MEDIUM_COUNT MEDIUM_EXPIRES <"$BUNDLE/head"
  for n in "${!MEDIUM_DIRS[@]}"; do
    if ((n > MEDIUM_COUNT)); then
      medium_fault 65 "medium $n: SHA256SUMS is damaged, since there are $MEDIUM_COUNT media: copy it again from the original (${MEDIUM_DIRS[n]})"
    fi
    if [[ -f $BUNDLE/$n/manifest.json ]] && ! cmp -s "$BUNDLE/$n/manifest.json" "$BUNDLE/manifest.json"; then
      medium_fault 65 "medium $n: manifest.json is damaged: copy it again from the original of medium $n"
      medium_spoilt[n]=1
    elif [[ -f $BUNDLE/$n/manifest.json.sig ]] && ! medium_signer "$BUNDLE/manifest.json" "$BUNDLE/$n/manifest.json.sig"; then
      medium_fault 65 "medium $n: manifest.json.sig is damaged: copy it again from the original of medium $n"
      medium_spoilt[n]=1
    fi
    if medium_signer "$BUNDLE/$n/SHA256SUMS" "$BUNDLE/$n/SHA256SUMS.sig" && [[ $MEDIUM_KEY == "$key" ]]; then medium_sums[n]=1; fi
    MEDIUM_KEY=$key
  done
}

# Fails when the bundle is no longer good.
medium_expiry() {
  if [[ ${BUNDLE_ALLOW_EXPIRED:-} || $(trust_now) < $MEDIUM_EXPIRES ]]; then return 0; fi
  fail 65 "the bundle $MEDIUM_STREAM $MEDIUM_SERIAL was good until $MEDIUM_EXPIRES, and here it is $(trust_now): have it exported anew"
}
