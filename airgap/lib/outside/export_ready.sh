# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # what begins with EXPORT stands in export_words.sh, and is read by media.sh too
# What must be true before anything is fetched: each refusal is a sentence with its remedy.

# Refuses whatever can be refused before anything is fetched.
export_ready() {
  export_lock
  trust_open "$TEMPORARY/keys"
  EXPORT_AUDIENCE=${EXPORT_AUDIENCE:-$(trust_audience)}
  exported_last "$EXPORT_STREAM"
  exported_since "$EXPORT_STREAM" "$EXPORT_AUDIENCE" "${EXPORT_SINCE[@]}"
  export_serial
  export_key "$EXPORT_KEY"
  export_times
}

# Fails unless the serial that was asked for is a later one.
export_serial() {
  [[ ! $EXPORT_SERIAL ]] || ((EXPORT_SERIAL > EXPORTED_SERIAL)) ||
    fail 65 "serial $EXPORT_SERIAL is not above $EXPORTED_SERIAL, the last of the stream $EXPORT_STREAM: serials only rise"
}

# Sets when it is made and until when it may be imported.
export_times() {
  EXPORT_CREATED=$(trust_now)
  EXPORT_EXPIRES=$(date -u -d "@$(($(date -u -d "$EXPORT_CREATED" +%s) + EXPORT_SECONDS))" +%Y-%m-%dT%H:%M:%SZ)
}

# Refuses a key that may not sign bundles; sets EXPORT_SIGNER. Asks for its password once.
export_key() { # key
  document_password "$1"
  document_public "$1" "$TEMPORARY/public"
  EXPORT_SIGNER=$(trust_key "$(document_fingerprint "$TEMPORARY/public")") || fail 65 "the key $1 is not in the trust file: scripts/trust show lists those that are"
  trust_judge "$EXPORT_SIGNER" bundle "" || fail 65 "this key may not sign bundles: $TRUST_WHY"
}

# Reads the lock: refuses one whose form is wrong, or by which somebody's word for an image has run out. Writes `sources`: number of the
# image, registry, repository, reference.
export_lock() {
  local n=0 reference why
  [[ -r $EXPORT_LOCK ]] || fail 66 "$EXPORT_LOCK cannot be read: airgap/bundle lock writes it"
  cp "$EXPORT_LOCK" "$TEMPORARY/lock" || fail 73 "$TEMPORARY cannot be written"
  why=$(export_faults "$TEMPORARY/lock" 2>/dev/null) || why="it is no JSON"
  [[ ! $why ]] || fail 65 "$EXPORT_LOCK is no lock: ${why%%$'\n'*}; airgap/bundle lock makes one"
  while IFS= read -r reference; do
    reference_parse "$reference" named || fail 65 "$EXPORT_LOCK is no lock: '$(trust_plain "$reference")' is refused: $REF_WHY"
    printf '%d\t%s\t%s\t%s\n' "$((n++))" "$REF_REGISTRY" "${REF_REPOSITORY#*/}" "$reference"
  done < <(jq -r '.images[].reference' "$TEMPORARY/lock") >"$TEMPORARY/sources"
  why=$(jq -r --arg now "$(trust_now)" '.images[] | select(.rule.rule == "vouched" and .rule.until <= $now) | "\(.reference): the word of \(.rule.who) for it ended on \(.rule.until[:10]): have it reviewed anew"' \
    "$TEMPORARY/lock")
  [[ ! $why ]] || { say "$why" && fail 65 "not every image may cross any more: lock anew"; }
}

# Prints what is wrong with the form of a lock, a sentence a line.
export_faults() { # file
  jq -rn 'def sha: type == "string" and test("\\Asha256:[0-9a-f]{64}\\z");
    def path: type == "string" and test("\\A[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)+\\z");
    def tag: type == "string" and test("\\A[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\\z");
    def media: type == "string" and test("\\A[A-Za-z0-9][A-Za-z0-9.+_/-]{0,254}\\z");
    def bytes: type == "number" and . >= 0 and . == floor and . <= 9007199254740991;
    def sentence: type == "string" and test("\\A[^\\p{Cc}]{1,500}\\z");
    def instant: type == "string" and test("\\A[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z\\z");
    def blob: type == "object" and (.digest | sha) and (.size | bytes) and (.mediaType | media);
    def rule: type == "object" and if .rule == "signed" then .purpose | IN("release", "import", "promotion")
      elif .rule == "keyless" then (.root | test("\\A[a-z0-9]+(-[a-z0-9]+)*\\z")) and (.sha256 | test("\\A[0-9a-f]{64}\\z")) and (.identity | sentence) and (.issuer | sentence)
      elif .rule == "keyless" then (.root | sentence) and (.sha256 | sentence) and (.identity | sentence) and (.issuer | sentence)
      elif .rule == "vouched" then (.who | sentence) and (.until | instant) and (.why | sentence) else false end;
    def image_faults: if type != "object" then "it is no object" else
      (if .reference | sentence then empty else "it has no reference" end),
      (if .path | path then empty else "its place inside is not ORG/[PROJECT/]SERVICE" end),
      (if (has("tag") | not) or (.tag | tag) then empty else "its tag is none" end),
      (if .rule | rule then empty else "its rule is none" end),
      (if (.platforms | type) == "array" and all(.platforms[]; sentence) then empty else "its platforms are not listed" end),
      (if (.blobs | type) == "array" and all(.blobs[]; blob) then empty else "its blobs are not listed with digest, size and type" end),
      (if (.manifests | type) != "array" or (all(.manifests[]; blob and (.kind | IN("image", "child", "referrer", "tagged"))
          and ((has("of") | not) or (.of | sha)) and ((has("tag") | not) or (.tag | tag))) | not) then "its manifests are not listed with digest, size, type and kind"
        else .digest as $digest | .mediaType as $type | [.manifests[] | select(.kind == "image")]
          | if length == 1 and .[0].digest == $digest and .[0].mediaType == $type then empty else "its own manifest is not among its manifests" end end) end;
    [inputs] | if length != 1 or (.[0] | type) != "object" then "it is not one JSON object" else .[0]
    | if .type != "images-lock/v1" then "it is of type \(.type | tojson), not \"images-lock/v1\""
      elif (.images | type) != "array" or .images == [] then "it has no images"
      else (.images | to_entries[] | "image \(.key + 1)" as $name | .value | image_faults | "\($name): \(.)") end end' "$1"
}
