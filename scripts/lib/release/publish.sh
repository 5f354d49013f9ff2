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
  local -i n=0
  publish_look
  while read -r digest; do
    n=$((n + 1))
    [[ $(publish_signature "$n") ]] || image_sign "$IMAGES@$digest" "$1" release
  done < <(publish_digests)
}

# Attests whatever is not attested by our key yet, in the same words.
publish_attest() { # key
  local digest type name
  local -i n=0
  publish_look
  while read -r digest; do
    n=$((n + 1))
    while read -r type name; do
      [[ $(publish_attested "$n" "$type" "$name") ]] || image_attest "$IMAGES@$digest" "$1" "$type" "$RELEASE/documents/$name.json"
    done <<<"$publish_predicates"
  done < <(publish_digests)
}

# Gathers what hangs on the images in the registry, below LOOK/1, LOOK/2, … in the order of publish_digests.
publish_look() { # [digest…]
  local digest code why references=()
  local -i n
  if (($# == 0)); then mapfile -t references < <(publish_digests); else references=("$@"); fi
  references=("${references[@]/#/$IMAGES@}")
  LOOK=$TEMPORARY/look
  rm -rf "$LOOK"
  mkdir -p "$LOOK"
  sign_gather "$LOOK" "${references[@]}"
  for ((n = 1; n <= ${#references[@]}; n++)); do
    read -r code why <"$LOOK/$n/outcome" || true
    [[ $code == 0 && ! -s $LOOK/$n/unsure ]] || fail 69 "${references[n - 1]} cannot be looked at: ${why:-$(head -n 1 "$LOOK/$n/unsure")}"
  done
}

# Prints the digest of a signature by our key, if publish_look saw one; others may hang beside it.
publish_signature() { # n
  local id type purpose repository bundle
  while IFS=$'\t' read -r id type purpose repository bundle; do
    if [[ $id == "$KEY_ID" && $type == "$SIGN_STATEMENT" && $purpose == release && $repository == "$IMAGES" ]]; then
      cat "${bundle%.bundle}.digest"
      return
    fi
  done <"$LOOK/$1/found"
}

# Prints the digest of an attestation of ours that says what the document says, if publish_look saw one.
publish_attested() { # n type name
  local id type bundle
  while IFS=$'\t' read -r id type _ _ bundle; do
    if [[ $id == "$KEY_ID" && $type == "$2" ]] && sign_predicate "$bundle" | cmp -s - "$RELEASE/documents/$3.json"; then
      cat "${bundle%.bundle}.digest"
      return
    fi
  done <"$LOOK/$1/found"
}

# Verifies from outside: what the registry serves, judged by policy/admit as any user would, against what we built and described.
publish_verify() {
  local work=$RELEASE/outside digest type name references=()
  local -i n=0
  rm -rf "$work"
  registry_oras cp --to-oci-layout "$IMAGES@$DIGEST" "$work/image" >"$RELEASE/pull.log" 2>&1 ||
    fail 69 "the image could not be pulled again: $(tail -n 1 "$RELEASE/pull.log")"
  diff -r "$BUILDS/here/blobs" "$work/image/blobs" >/dev/null || fail 65 "the registry serves something else than was pushed"
  mapfile -t references < <(publish_digests | sed "s#^#$IMAGES@#")
  "$ROOT/policy/admit" --purpose release "${references[@]}" >&2 || fail $? "what was released would not be admitted: see above"
  publish_look
  while read -r digest; do
    n=$((n + 1))
    while read -r type name; do
      [[ $(publish_attested "$n" "$type" "$name") ]] || fail 65 "$IMAGES@$digest has no $name of ours"
    done <<<"$publish_predicates"
  done < <(publish_digests)
  rm -rf "$work"
}

# Prints the release as a line of the register.
publish_line() {
  local type name documents
  publish_look "$DIGEST"
  documents=$(jq -n --arg digest "$(publish_signature 1)" '{signature: $digest}')
  while read -r type name; do
    documents=$(jq --arg name "$name" --arg digest "$(publish_attested 1 "$type" "$name")" '.[$name] = $digest' <<<"$documents")
  done <<<"$publish_predicates"
  jq -nc --arg version "$VERSION" --arg channel "$CHANNEL" --arg commit "$COMMIT" --arg digest "$DIGEST" --arg image "$IMAGES@$DIGEST" \
    --arg time "$(trust_now)" --arg key "$KEY_ID" --argjson documents "$documents" \
    --argjson platforms "$(build_platforms | jq -Rn '[inputs / " " | {key: .[0], value: .[1]}] | from_entries')" \
    '{$version, $channel, $commit, $digest, $image, $platforms, $documents, $time, $key}'
}

# Appends the release to the register, unless it is there, and brings the register to the registry.
publish_register() { # key
  local code=0 line begin=
  registry_register_fetch "$BASE" || code=$?
  ((code == 0 || code == 66)) || exit "$code"
  if [[ ! -e $REGISTER && -e $RELEASE/begin ]]; then begin=begin; fi
  line=$(publish_line)
  register_append "$BASE" "$line" "$KEY_ID" "$1" "$begin"
  registry_register_push "$BASE"
}

# Names the digest by its version, last of all; a tag that names another is not moved.
publish_tag() {
  ready_untaken "$TEMPORARY"
  ready_unmoved "$DIGEST"
  registry_oras tag "$IMAGES@$DIGEST" "$VERSION" >"$RELEASE/tag.log" 2>&1 ||
    fail 69 "the tag could not be set: $(tail -n 1 "$RELEASE/tag.log")"
}
