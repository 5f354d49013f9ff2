# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/release
# What is told of releases: to people as tables, to programs as JSON.

# Fetches the register if its repository is named; else the local copy is what there is.
tell_fetch() {
  [[ -e $REGISTER || $REPOSITORY ]] || fail 66 "there is no register $REGISTER: name its repository with --repository"
  "$ROOT/scripts/setup" jq
  trust_open "$TEMPORARY/keys"
  if [[ ! $REPOSITORY ]]; then
    BASE=$(register_reading jq -rn 'first(inputs) | .repository' "$REGISTER/releases.jsonl") || fail 65 "the register $REGISTER cannot be read"
    say "the local copy alone is read: --repository asks the registry as well"
  else
    "$ROOT/scripts/setup" curl oras
    reference_parse "$REPOSITORY" repository || fail 65 "the repository $REPOSITORY is refused: $REF_WHY"
    BASE=$REPOSITORY
    tell_bring
  fi
  tell_copy
}

# From here on one state of the register is told of, whoever writes it meanwhile.
tell_copy() {
  register_reading register_copy "$TEMPORARY/register"
  REGISTER=$TEMPORARY/register
}

# Brings the local copy up to the registry's.
tell_bring() { # [known-head]
  local code=0
  registry_register_fetch "$BASE" "$@" || code=$?
  ((code != 66)) || fail 66 "there is no register of $BASE, neither here nor in the registry"
  ((code == 0)) || exit "$code"
}

tell_log() {
  tell_fetch
  (register_verify "$REGISTER" "$BASE") >/dev/null || exit
  if [[ $form == json ]]; then
    cat "$REGISTER/releases.jsonl"
    return
  fi
  {
    printf 'N\tVERSION\tTIME\tCOMMIT\tKEY\tDIGEST\n'
    jq -r '[.n, .version, .time, .commit[:12], .key, .digest] | @tsv' "$REGISTER/releases.jsonl"
  } | awk -F '\t' '{ printf "%5s  %-18s %-20s  %-12s  %-14s  %s\n", $1, $2, $3, $4, $5, $6 }'
}

# Reads the local copy alone, so that it is instant; whether it is sound is for verify to say.
tell_trace() {
  ((${#words[@]} == 1)) || misuse "trace wants one digest, commit or version"
  say "from the local copy $REGISTER, which 'release verify' verifies"
  register_reading register_trace "$REGISTER" "${words[0]}"
}

tell_verify() {
  local vouched
  tell_fetch
  vouched=$(register_verify "$REGISTER" "$BASE" "$head") || exit
  register_tell "$REGISTER" "$BASE" "$vouched"
}

# Prints the head; with --sign, a head signed anew by a key that is believed now, if the lines are those a known head stands for.
tell_head() {
  if [[ $sign ]]; then
    [[ $head && $KEY && $REPOSITORY ]] || misuse "--sign wants --head sha256:… as it is known from elsewhere, --key and --repository"
    "$ROOT/scripts/setup" jq curl cosign oras
    trust_open "$TEMPORARY/keys"
    CHANNEL=release
    ready_repository "$REPOSITORY"
    ready_key "$KEY" "$TEMPORARY"
    tell_bring "$head"
    register_locked register_sign "$BASE" "$head" "$KEY_ID" "$KEY"
    registry_register_push "$BASE"
    tell_copy
  else
    tell_fetch
    (register_verify "$REGISTER" "$BASE" "$head") >/dev/null || exit
  fi
  if [[ $form == json ]]; then cat "$REGISTER/head.json"; else jq -r '"\(.lines) releases of \(.repository), signed by \(.signer) at \(.issued)\n\(.head)"' "$REGISTER/head.json"; fi
}

# Signs what was released once more, index and images, with a key that is believed now. That it was released is the register's word,
# whose head must be believed; what was attested stays as it is, and the register has its digests.
tell_sign_again() {
  local line digest
  [[ $KEY && $REPOSITORY ]] || misuse "sign-again wants --key and --repository"
  ((${#words[@]} == 1)) || misuse "sign-again wants one version"
  "$ROOT/scripts/setup" jq curl cosign oras
  tell_fetch
  (register_verify "$REGISTER" "$BASE" "$head") >/dev/null || exit
  line=$(jq -cn --arg version "${words[0]}" '[inputs | select(.version == $version)][0] // empty' "$REGISTER/releases.jsonl")
  [[ $line ]] || fail 66 "no release is called ${words[0]}"
  CHANNEL=$(jq -r .channel <<<"$line")
  ready_repository "$REPOSITORY"
  ready_key "$KEY" "$TEMPORARY"
  while read -r digest; do
    publish_look "$digest"
    [[ $(publish_signature 1) ]] || image_sign "$IMAGES@$digest" "$KEY" release
  done < <(jq -r '.digest, .platforms[]' <<<"$line")
  "$ROOT/policy/admit" --purpose release "$IMAGES@$(jq -r .digest <<<"$line")"
}

# Prints a section for one version, by default the last: when, what digest, and the commits since the release before it, on the
# same channel or without one.
tell_changelog() {
  local line before range
  [[ -s $REGISTER/releases.jsonl ]] || fail 66 "there is no register $REGISTER: fetch it with 'release log --repository …'"
  tell_copy
  line=$(jq -cn --arg version "${words[0]:-}" '[inputs | select($version == "" or .version == $version)] | last // empty' "$REGISTER/releases.jsonl")
  [[ $line ]] || fail 66 "no release is called ${words[0]:-}"
  before=$(jq -rn --argjson this "$line" '[inputs | select(.n < $this.n and .commit != $this.commit and (.channel == $this.channel or .channel == "release"))] | last | .commit // ""' \
    "$REGISTER/releases.jsonl")
  range=$(jq -r .commit <<<"$line")
  jq -r '"## \(.version) (\(.time[:10]))\n\n`\(.image)`\n"' <<<"$line"
  git -C "$ROOT" log --no-merges --reverse --format='- %s' "${before:+$before..}$range" 2>/dev/null ||
    fail 66 "the commits of this release are not in this clone: git fetch"
}

# Says what would be done.
tell_plan() {
  say "release $VERSION may be made; nothing was built or written. It would:"
  say "   build $COMMIT twice for $(printf 'linux/%s\n' "${ARCHITECTURES[@]}" | paste -sd '&' | sed 's/&/ and /'), and compare"
  say "   push the image to $IMAGES by digest, sign it and its images with key $KEY_ID"
  say "   attest SPDX, CycloneDX and SLSA provenance, and verify all of it from outside"
  say "   append to the register of $BASE, and name the digest $VERSION"
}

# Says what was made; the last line on stdout is the reference.
tell_made() {
  local head
  head=$(jq -r .head "$REGISTER/head.json")
  say "released. The register's head, to be carried by another way: $head"
  if [[ $form == json ]]; then
    jq -c --arg version "$VERSION" 'select(.version == $version)' "$REGISTER/releases.jsonl"
  else
    echo "$IMAGES:$VERSION@$DIGEST"
  fi
}
