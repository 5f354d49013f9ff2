# shellcheck shell=bash
# The images of images.env: all there, each by digest, and each may run here, as policy/admit judges.

doctor_images() {
  local name reference verdict why references=() code=0
  local mend="policy/admit --write-env images.env MINI_API_IMAGE=REFERENCE POSTGRES_IMAGE=REFERENCE"
  local -A named=()
  if [[ ! -s images.env ]]; then
    row images bad "no image is chosen: there is no images.env" "$mend" 78
    return
  fi
  while read -r name reference; do
    if reference_parse "$reference" pinned; then
      references+=("$reference") named[$reference]=$name
    else
      row images bad "$name is $reference, which is refused: $REF_WHY" \
        "policy/admit --write-env images.env $name=REGISTRY/ORG/SERVICE@sha256:DIGEST" 65
    fi
  done < <(compose_images)
  for name in MINI_API_IMAGE POSTGRES_IMAGE; do
    grep -q "^$name=." images.env || row images bad "images.env has no $name" "policy/admit --write-env images.env $name=REFERENCE" 78
  done
  ((${#references[@]})) || return 0
  trust_aside
  TRUST_PIN=$TRUST_PIN "$ROOT/policy/admit" --json "${references[@]}" >"$TEMPORARY/verdicts" 2>"$TEMPORARY/why" || code=$?
  if ((code == 78)); then
    # The row of trust says what to do.
    why=$(tail -n 1 "$TEMPORARY/why")
    row images unknown "nobody can say whether they may run: ${why#*: }" "scripts/trust verify" 78
    return
  fi
  [[ -s $TEMPORARY/verdicts ]] || fail 69 "$(tail -n 1 "$TEMPORARY/why")"
  while IFS=$'\t' read -r reference verdict why; do
    name=${named[$reference]}
    case $verdict in
      admitted) row images ok "$name may run${why:+ (key $why)}" ;;
      unknown) row images unknown "whether $name may run: $why" "policy/admit $reference, once the registry answers" 69 ;;
      revoked) row images bad "$name may not run: $why" \
        "scripts/release sign-again, or policy/admit --write-env images.env $name=ANOTHER" 65 ;;
      *) row images bad "$name may not run: $why" "policy/admit --write-env images.env $name=REFERENCE, with one that is signed" 65 ;;
    esac
  done < <(jq -r '[.reference, if .verdict == "refused" and (.why | test("revoked")) then "revoked" else .verdict end, .why // .key // ""]
    | @tsv' "$TEMPORARY/verdicts")
}
