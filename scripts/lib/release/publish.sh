# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what the rooms pass on stands in scripts/release
# Out into the registry: pushed by digest, signed, attested, verified from outside, registered, and only then named by a tag.

# What is attested of an image, and the file it stands in.
publish_predicates="https://spdx.dev/Document spdx
https://cyclonedx.org/bom cyclonedx
https://slsa.dev/provenance/v1 provenance"

# Prints every digest that may be pulled: the index and its images.
publish_digests() { echo "$DIGEST" && build_platforms | cut -d ' ' -f 2; }

# Puts the index and its images into the registry, under no name but their digests.
publish_push() {
  registry_oras cp --from-oci-layout "$BUILDS/here@$DIGEST" "$IMAGES@$DIGEST" >"$RELEASE/push.log" 2>&1 ||
    fail 69 "the image could not be pushed to $IMAGES: $(tail -n 1 "$RELEASE/push.log")"
}

# Signs whatever of it is not signed by our key yet.
publish_sign() { # key
  local digest
  while read -r digest; do
    publish_look "$IMAGES@$digest"
    publish_signed "$IMAGES@$digest" || image_sign "$IMAGES@$digest" "$1" release
  done < <(publish_digests)
}

# Attests whatever is not attested by our key yet, in the same words.
publish_attest() { # key
  local digest type name
  while read -r digest; do
    publish_look "$IMAGES@$digest"
    while read -r type name; do
      [[ $(publish_attested "$type" "$name") ]] || image_attest "$IMAGES@$digest" "$1" "$type" "$RELEASE/documents/$name.json"
    done <<<"$publish_predicates"
  done < <(publish_digests)
}

# Gathers what hangs on one image in the registry.
publish_look() { # reference
  rm -rf "$RELEASE/look"
  mkdir -p "$RELEASE/look"
  sign_gather "$RELEASE/look" "$1"
  local code why
  read -r code why <"$RELEASE/look/1/outcome" || true
  [[ $code == 0 && ! -s $RELEASE/look/1/unsure ]] || fail 69 "$1 cannot be looked at: ${why:-$(head -n 1 "$RELEASE/look/1/unsure")}"
}

# True when publish_look saw a signature by our key; SIGN_FOUND is its digest.
publish_signed() { # reference
  sign_verdict "$RELEASE/look/1" "$1" release && [[ $SIGN_KEY == "$KEY_ID" ]]
}

# Prints the digest of an attestation of ours that says what the document says, if publish_look saw one.
publish_attested() { # type name
  local id type bundle
  while IFS=$'\t' read -r id type _ _ bundle; do
    if [[ $id == "$KEY_ID" && $type == "$1" ]] && diff -q <(sign_predicate "$bundle") <(jq -S . "$RELEASE/documents/$2.json") >/dev/null; then
      cat "${bundle%.bundle}.digest"
      return
    fi
  done <"$RELEASE/look/1/found"
}

# Verifies from outside: what the registry serves, judged by policy/admit as any user would, against what we built and described.
publish_verify() {
  local work=$RELEASE/outside digest type name references=()
  rm -rf "$work"
  registry_oras cp --to-oci-layout "$IMAGES@$DIGEST" "$work/image" >"$RELEASE/pull.log" 2>&1 ||
    fail 69 "the image could not be pulled again: $(tail -n 1 "$RELEASE/pull.log")"
  diff -r "$BUILDS/here/blobs" "$work/image/blobs" >/dev/null || fail 65 "the registry serves something else than was pushed"
  mapfile -t references < <(publish_digests | sed "s#^#$IMAGES@#")
  "$ROOT/policy/admit" --purpose release "${references[@]}" >&2 || fail 65 "what was released would not be admitted: see above"
  while read -r digest; do
    publish_look "$IMAGES@$digest"
    while read -r type name; do
      [[ $(publish_attested "$type" "$name") ]] || fail 65 "$IMAGES@$digest has no $name of ours"
    done <<<"$publish_predicates"
  done < <(publish_digests)
  rm -rf "$work"
}

# Prints the release as a line of the register.
publish_line() {
  local type name documents='{}'
  publish_look "$IMAGES@$DIGEST"
  publish_signed "$IMAGES@$DIGEST"
  documents=$(jq --arg digest "$SIGN_FOUND" '. + {signature: $digest}' <<<"$documents")
  while read -r type name; do
    documents=$(jq --arg name "$name" --arg digest "$(publish_attested "$type" "$name")" '.[$name] = $digest' <<<"$documents")
  done <<<"$publish_predicates"
  jq -nc --arg version "$VERSION" --arg channel "$CHANNEL" --arg commit "$COMMIT" --arg digest "$DIGEST" --arg image "$IMAGES@$DIGEST" \
    --arg time "$(trust_now)" --arg key "$KEY_ID" --argjson documents "$documents" \
    --argjson platforms "$(build_platforms | jq -Rn '[inputs / " " | {key: .[0], value: .[1]}] | from_entries')" \
    '{$version, $channel, $commit, $digest, $image, $platforms, $documents, $time, $key}'
}

# Appends the release to the register, unless it is there, and brings the register to the registry.
publish_register() { # key
  local code=0
  registry_register_fetch "$BASE" || code=$?
  ((code == 0 || code == 66)) || exit "$code"
  if ! jq -e --arg version "$VERSION" --arg digest "$DIGEST" 'select(.version == $version and .digest == $digest)' \
    "$REGISTER/releases.jsonl" >/dev/null 2>&1; then
    register_append "$BASE" "$(publish_line)" "$KEY_ID" "$1" "$([[ -e $REGISTER || ! -e $RELEASE/begin ]] || echo begin)"
  fi
  registry_register_push "$BASE"
}

# Names the digest by its version, last of all; a tag that names another is not moved.
publish_tag() {
  ready_untaken "$RELEASE/look"
  ready_unmoved "$DIGEST"
  registry_oras tag "$IMAGES@$DIGEST" "$VERSION" >"$RELEASE/tag.log" 2>&1 ||
    fail 69 "the tag could not be set: $(tail -n 1 "$RELEASE/tag.log")"
}
