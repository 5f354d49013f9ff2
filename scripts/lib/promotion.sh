# shellcheck shell=bash
# shellcheck disable=SC2034  # SIGN_KEY and SIGN_FOUND are read by callers
# Promotions: what a key of the purpose `promotion` attests of an image, so that it may run where releases run. Needs document.sh,
# trust.sh, reference.sh, registry.sh and sign.sh; policy/promotion.md is the manual.

PROMOTION=https://mini-api.invalid/promotion/v1

# Prints what is wrong with the form of a promotion, a sentence a line.
promotion_form() { # predicate-file
  jq -rn -L "$ROOT/scripts/lib" 'include "promotion"; [inputs] | if length == 1 then .[0] | promotion_faults[] else "it is not one JSON object" end' \
    "$1" 2>/dev/null || echo "it is no JSON"
}

# Prints a promotion of an image in this repository.
promotion_new() { # repository until reason [from-repository] [version]
  jq -nS --arg audience "$(trust_audience)" --arg repository "$1" --arg now "$(trust_now)" --arg until "$2" --arg reason "$3" --arg from "${4:-}" --arg version "${5:-}" \
    '{audience: $audience, purpose: "promotion", repository: $repository, promoted: $now, until: $until, reason: $reason}
    + if $from == "" then {} else {from: $from} end + if $version == "" then {} else {version: $version} end'
}

# Attests that an image may run as a release; what is malformed is not signed.
promotion_attest() { # reference(pinned) key predicate-file
  local why
  why=$(promotion_form "$3")
  [[ ! $why ]] || fail 65 "$3 is no promotion: ${why%%$'\n'*}"
  image_attest "$1" "$2" "$PROMOTION" "$3"
}

# Whether an image that was gathered (sign_gather) is promoted in its repository. Returns 0, 65 or 69; SIGN_WHY says why not, SIGN_KEY
# and SIGN_FOUND by which key and attestation. One that holds is enough, whatever else hangs on the image.
promotion_verdict() { # folder reference
  local folder=$1 repository audience why id type bundle
  reference_parse "$2" || true
  repository=$REF_REPOSITORY
  sign_known "$folder" || return
  audience=$(trust_audience)
  while IFS=$'\t' read -r id type _ _ bundle; do
    [[ $type == "$PROMOTION" ]] || continue
    if ! trust_judge "$id" promotion "$repository"; then
      SIGN_WHY=${SIGN_WHY:-"it is promoted, but $TRUST_WHY"}
      continue
    fi
    why=$(jq -r -L "$ROOT/scripts/lib" --arg audience "$audience" --arg repository "$repository" --arg now "$(trust_now)" 'include "promotion";
      .dsseEnvelope.payload | @base64d | fromjson | .predicate | [promotion_why($audience; $repository; $now)][0] // ""' "$bundle" 2>/dev/null) || why="cannot be read"
    if [[ ! $why ]]; then
      SIGN_KEY=$id SIGN_WHY='' SIGN_FOUND=$(<"${bundle%.bundle}.digest")
      return 0
    fi
    SIGN_WHY=${SIGN_WHY:-"the promotion by key $id $(trust_plain "$why")"}
  done <"$folder/found"
  sign_sure "$folder" || return
  SIGN_WHY=${SIGN_WHY:-"it is not promoted: no key of the trust file attested that"}
  return 65
}
