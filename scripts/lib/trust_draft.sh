# shellcheck shell=bash
# Changes to the trust file: a draft of the next version, next.json, which the roots sign and which is then put in force.

# Writes a new draft, sound and following the version in force; signatures of an earlier draft mean nothing any more.
trust_draft_write() { # json
  local why version
  printf '%s\n' "$1" >"$TRUST/next.json.new"
  why=$(trust_draft_faults "$TRUST/next.json.new")
  if [[ $why ]]; then
    rm -f "$TRUST/next.json.new"
    fail 65 "that makes no sound trust file: ${why%%$'\n'*}"
  fi
  # Sound, so it follows the version in force, and these signatures are an earlier draft's.
  version=$(jq .version "$TRUST/next.json.new")
  rm -f "$TRUST/signatures/$version".*.sig
  mv "$TRUST/next.json.new" "$TRUST/next.json"
  say "drafted version $version: look at it with 'trust show --draft', then 'trust sign KEY…'"
}

# Prints what the next version begins as: the draft that is there, or a copy of the version in force.
trust_draft_base() {
  trust_follow
  # Clocks differ: never before the version it follows.
  if [[ -f $TRUST_COPY/next.json ]]; then
    jq --arg now "$(trust_now)" '.issued = ([$now, .issued] | max)' "$TRUST_COPY/next.json"
  else
    jq --arg now "$(trust_now)" --arg hash "sha256:$(trust_hash "$TRUST_COPY/trust.json")" \
      '.version += 1 | .previous = $hash | .issued = ([$now, .issued] | max)' "$TRUST_COPY/trust.json"
  fi
}

# Prints a public key in openssl's spelling; refuses other kinds than ECDSA on P-256, which every tool here can verify.
trust_public() { # file
  [[ -f $1 ]] || fail 66 "there is no public key $1"
  document_fingerprint "$1" >/dev/null || fail 65 "$1 is no public ECDSA key on the curve P-256: make one with 'trust key NAME'"
  openssl pkey -pubin -in "$1" -ec_conv_form uncompressed
}

# Prints N days after a time, as documents write it.
trust_later() { date -u -d "$1 + $2 days" +%Y-%m-%dT%H:%M:%SZ; } # time days

# Drafts version 1.
trust_draft_init() {
  local audience='' threshold='' roots='[]' file
  while (($#)); do
    case $1 in
      --audience) audience=${2:-} && shift ;;
      --threshold) threshold=${2:-} && shift ;;
      -*) misuse "init does not know '$1'" ;;
      *)
        file=$(trust_public "$1") || exit
        roots=$(jq --arg id "$(basename "$1" .pub)" --arg public "$file"$'\n' '. + [{id: $id, public: $public}]' <<<"$roots")
        ;;
    esac
    shift || misuse "the last option wants a value"
  done
  [[ $audience ]] || misuse "init wants --audience NAME: the organisation whose documents these are"
  [[ ! -f $TRUST_COPY/trust.json ]] || fail 73 "$TRUST/trust.json is there already: change it with add, revoke and rotate"
  trust_draft_gone
  threshold=${threshold:-$(jq 'length / 2 + 1 | floor' <<<"$roots")}
  [[ $threshold =~ ^[1-9][0-9]*$ ]] || misuse "--threshold wants a number"
  mkdir -p "$TRUST/signatures" "$TRUST/history"
  trust_draft_write "$(jq --arg audience "$audience" --argjson threshold "$threshold" --arg now "$(trust_now)" '{
    type: "trust/v1", audience: $audience, purpose: "trust", version: 1, previous: "", issued: $now,
    roots: {threshold: $threshold, keys: .}, keys: []}' <<<"$roots")"
}

# Drafts a new key.
trust_draft_add() {
  local public='' id='' purpose='' repositories=() from until='' draft
  from=$(trust_now)
  while (($#)); do
    case $1 in
      --id) id=${2:-} && shift ;;
      --purpose) purpose=${2:-} && shift ;;
      --repository) repositories+=("${2:-}") && shift ;;
      --from) from=${2:-} && shift ;;
      --until) until=${2:-} && shift ;;
      -*) misuse "add does not know '$1'" ;;
      *)
        [[ ! $public ]] || misuse "add wants one public key"
        public=$(trust_public "$1") || exit
        ;;
    esac
    shift || misuse "the last option wants a value"
  done
  [[ $public && $id && $purpose ]] || misuse "add wants a public key, --id and --purpose"
  [[ $until ]] || until=$(trust_later "$from" 365) || misuse "--from is no time such as 2026-01-31T00:00:00Z"
  draft=$(trust_draft_base) || exit
  trust_draft_write "$(jq --arg public "$public"$'\n' --arg id "$id" --arg purpose "$purpose" --arg from "$from" --arg until "$until" '
    .keys += [{id: $id, public: $public, purpose: $purpose, repositories: $ARGS.positional, from: $from, until: $until}]' \
    --args -- "${repositories[@]}" <<<"$draft")"
}

# Drafts a revocation.
trust_draft_revoke() {
  local id='' reason='' since draft
  since=$(trust_now)
  while (($#)); do
    case $1 in
      --reason) reason=${2:-} && shift ;;
      --since) since=${2:-} && shift ;;
      -*) misuse "revoke does not know '$1'" ;;
      *) id=$1 ;;
    esac
    shift || misuse "the last option wants a value"
  done
  [[ $id && $reason ]] || misuse "revoke wants the id of a key and --reason TEXT"
  draft=$(trust_draft_base) || exit
  jq -e --arg id "$id" '.keys | any(.id == $id)' >/dev/null <<<"$draft" ||
    fail 65 "no working key is called '$id': 'trust show' lists them; roots are replaced with rotate"
  trust_draft_write "$(jq --arg id "$id" --arg since "$since" --arg reason "$reason" '
    (.keys[] | select(.id == $id)).revoked = {since: $since, reason: $reason}' <<<"$draft")"
}

# Drafts another key in the place of one.
trust_draft_rotate() {
  local old='' new='' public='' days=30 draft now
  now=$(trust_now)
  while (($#)); do
    case $1 in
      --id) new=${2:-} && shift ;;
      --overlap) days=${2:-} && shift ;;
      -*) misuse "rotate does not know '$1'" ;;
      *) if [[ ! $old ]]; then old=$1; else public=$(trust_public "$1") || exit; fi ;;
    esac
    shift || misuse "the last option wants a value"
  done
  [[ $old && $public && $new ]] || misuse "rotate wants the id of a key, a public key and --id NEW"
  [[ $days =~ ^(0|[1-9][0-9]{0,3})$ ]] || misuse "--overlap wants a number of days"
  draft=$(trust_draft_base) || exit
  jq -e --arg id "$old" '[.roots.keys[], .keys[]] | any(.id == $id)' >/dev/null <<<"$draft" ||
    fail 65 "no key is called '$old': 'trust show' lists them"
  trust_draft_write "$(jq --arg old "$old" --arg new "$new" --arg public "$public"$'\n' --arg now "$now" \
    --arg ends "$(trust_later "$now" "$days")" --arg until "$(trust_later "$now" 365)" '
    (.roots.keys[] | select(.id == $old)) |= {id: $new, public: $public}
    | .keys += [.keys[] | select(.id == $old) | del(.revoked) + {id: $new, public: $public, from: $now, until: $until}]
    | (.keys[] | select(.id == $old and .until > $ends)).until = $ends' <<<"$draft")"
}

# Fails when this machine believes a version, and none is there: whoever took it away shall not have another signed instead.
trust_draft_gone() {
  [[ ! -e $TRUST_PIN ]] || fail 65 "a trust file was believed on this machine ($TRUST_PIN), and $TRUST/trust.json is gone: bring it back, or remove $TRUST_PIN to begin anew"
}

# Signs the draft; puts it in force when enough roots have. What is shown, signed and put in force is one copy.
trust_draft_sign() {
  (($#)) || misuse "sign wants root keys"
  local draft=$TRUST_COPY/next.json old=$TRUST_COPY/trust.json key id version roots work why
  [[ -f $draft ]] || fail 66 "there is no draft: make one with init, add, revoke or rotate"
  if [[ -f $old ]]; then trust_follow; else trust_draft_gone && old=$draft; fi
  why=$(trust_draft_faults "$draft")
  [[ ! $why ]] || fail 65 "the draft is not sound: ${why%%$'\n'*}"
  [[ ! $(jq -r .issued "$draft") > $(trust_now) || $(jq .issued "$draft") == $(jq .issued "$old") && $old != "$draft" ]] ||
    fail 65 "the draft was issued at $(jq -r .issued "$draft"), and here it is $(trust_now): set the clocks"
  work=$(mktemp -d)
  trust_draft_changes "$work"
  version=$(jq .version "$draft")
  # Roots that go and roots that come both count.
  roots=$(jq -s '{roots: {keys: ([.[].roots.keys[]] | unique_by(.id))}}' "$draft" "$old")
  mkdir -p "$TRUST/signatures" "$TRUST_COPY/signatures"
  for key in "$@"; do
    document_sign "$draft" "$key" "$work/signature"
    id=$(trust_draft_signer "$work/signature" "$roots" "$work") || {
      rm -rf "$work"
      fail 65 "$key is no root key, neither before nor after this change"
    }
    cp "$work/signature" "$TRUST_COPY/signatures/$version.$id.sig"
    mv "$work/signature" "$TRUST/signatures/$version.$id.sig"
    say "root $id signed version $version"
  done
  rm -rf "$work"
  trust_draft_publish
}

# Prints what is wrong with a draft, which may have been edited by hand or be late.
trust_draft_faults() { # file
  local why
  why=$(trust_form "$1")
  if [[ ! $why && -f $TRUST_COPY/trust.json ]]; then why=$(trust_step "$TRUST_COPY/trust.json" "$1"); fi
  printf '%s' "$why"
}

# Shows whoever is about to sign what will be different; nobody signs what could not be shown.
trust_draft_changes() { # folder
  local code=0
  : >"$1/old"
  [[ ! -f $TRUST_COPY/trust.json ]] || trust_list "$TRUST_COPY/trust.json" >"$1/old"
  trust_list "$TRUST_COPY/next.json" >"$1/new"
  diff --unchanged-line-format= --old-line-format='- %L' --new-line-format='+ %L' "$1/old" "$1/new" >&2 || code=$?
  ((code < 2)) && [[ -s $1/new ]] || fail 69 "what would be signed could not be shown, so it is not signed"
}

# Prints which root made a signature of the draft.
trust_draft_signer() { # signature roots work
  local id
  while IFS= read -r id; do
    jq -j --arg id "$id" '.roots.keys[] | select(.id == $id).public' <<<"$2" >"$3/root.pub"
    if document_signed "$TRUST_COPY/next.json" "$1" "$3/root.pub"; then
      echo "$id"
      return
    fi
  done < <(jq -r '.roots.keys[].id' <<<"$2")
  return 1
}

# Puts the draft in force when enough roots signed it; the rename is the moment.
trust_draft_publish() {
  local why draft=$TRUST_COPY/next.json old=$TRUST_COPY/next.json version
  [[ ! -f $TRUST_COPY/trust.json ]] || old=$TRUST_COPY/trust.json
  why=$(trust_short "$draft" "$old" && trust_short "$draft" "$draft")
  if [[ $why ]]; then
    say "not in force yet: ${why%%$'\n'*}"
    return
  fi
  if [[ $old != "$draft" ]]; then
    version=$(jq .version "$old")
    mkdir -p "$TRUST/history"
    cp "$old" "$TRUST/history/$version.json.new"
    mv "$TRUST/history/$version.json.new" "$TRUST/history/$version.json"
  fi
  cp "$draft" "$TRUST/trust.json.new"
  mv "$TRUST/trust.json.new" "$TRUST/trust.json"
  rm -f "$TRUST/next.json"
  trust_pin "$draft"
  say "version $(jq .version "$draft") is in force; print it with 'trust show --sheet'"
}

trust_draft_drop() {
  [[ -f $TRUST_COPY/next.json ]] || fail 66 "there is no draft"
  local version now=0
  version=$(jq .version "$TRUST_COPY/next.json" 2>/dev/null || echo none)
  [[ ! -f $TRUST_COPY/trust.json ]] || now=$(jq .version "$TRUST_COPY/trust.json")
  # The signatures of a version in force are not the draft's, whatever number it gives itself.
  if [[ $version =~ ^[1-9][0-9]{0,8}$ && $now =~ ^[0-9]{1,9}$ ]] && ((version > now)); then rm -f "$TRUST/signatures/$version".*.sig; fi
  rm -f "$TRUST/next.json"
  say "the draft is gone"
}
