# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153,SC2154  # BUNDLE is medium.sh's, MARK_… mark.sh's, TARGET target.sh's
# A bundle goes inside: verified as a whole before the first write, then blobs, manifests, what hangs on them, read back, verified in
# place, countersigned, and named last. The registry is asked what is there; there is no other memory of how far an import came. What was
# verified and countersigned once is not verified again while everything that this rests on is the same.

# The words of import and of its kin.
import_to='' import_stream='' import_site='' import_key=${IMPORT_KEY:-} import_receipt_key=${RECEIPT_KEY:-} import_second='' import_reason='' import_dry='' import_form=table import_dirs=()
import_keys=()

import_parse() {
  while (($#)); do
    case $1 in
      --to | --stream | --site | --key | --receipt-key | --second-key | --allow-expired)
        [[ ${2:-} ]] || misuse "$1 wants a value, and here is none"
        case $1 in
          --to) import_to=$2 ;;
          --stream) import_stream=$2 ;;
          --site) import_site=$2 ;;
          --key) import_key=$2 && import_keys+=("$2") ;;
          --receipt-key) import_receipt_key=$2 ;;
          --second-key) import_second=$2 ;;
          --allow-expired) import_reason=$2 ;;
        esac
        shift
        ;;
      --partial) BUNDLE_PARTIAL=1 ;;
      --dry-run) import_dry=1 ;;
      --json) import_form=json ;;
      -*) misuse "unknown word '$1'" ;;
      *) import_dirs+=("$1") ;;
    esac
    shift
  done
  [[ $import_to ]] || misuse "which registry? --to HOST[:PORT]"
  reference_registry_known "$import_to" || fail 78 "the registry '$import_to' is not in $(basename "$REFERENCE_REGISTRIES"): add it there, if it is one of yours"
}

verb_import() {
  import_parse "$@"
  ((${#import_dirs[@]})) || misuse "which media? Name their folders"
  [[ $import_dry || $import_key ]] || misuse "who countersigns? --key KEY of purpose import, or IMPORT_KEY"
  [[ $import_dry || $import_receipt_key ]] || misuse "who signs the receipt? --receipt-key KEY, or RECEIPT_KEY"
  [[ ! $import_reason || $import_second ]] || misuse "--allow-expired wants --second-key KEY, of purpose break-glass"
  local key_id='' receipt_id='' serial manifest unchanged=
  trust_open "$TEMPORARY/keys"
  bundle_open "${import_dirs[@]}"
  import_stream=$MEDIUM_STREAM serial=$MEDIUM_SERIAL
  import_begin
  # The time of the newest thing that was signed here counts when a clock was set back.
  registry_open "$import_to" "$TEMPORARY/registry"
  manifest=sha256:$(trust_hash "$BUNDLE/manifest.json")
  mark_read "$import_to" "$import_stream" "$TEMPORARY/marks" "$manifest"
  # Whether its key may speak was asked before it was known what time it is at least.
  trust_judge "$MEDIUM_KEY" bundle "" || fail 65 "the manifest of this bundle is not to be believed: $TRUST_WHY"
  if [[ $import_reason && $(trust_now) < $MEDIUM_EXPIRES ]]; then
    say "the bundle has not expired: no exception is made"
    import_reason=
  fi
  if [[ $import_reason ]]; then import_exception "$manifest"; fi
  bundle_prove
  mark_judge "$serial" "$manifest" "$(jq -r .previous "$BUNDLE/manifest.json")" "$import_stream"
  [[ $import_dry ]] || import_keys_ready
  target_tables
  import_paths
  target_ask
  target_base
  import_uncarried
  target_tags "$TEMPORARY/marks/receipt.json"
  target_plan
  [[ ${BUNDLE_PARTIAL:-} || ! -s $TARGET/pending ]] || fail 74 "a medium that was verified cannot be read any more: is it still there?"
  if [[ $import_dry ]]; then
    import_table "would send"
    return
  fi
  import_write "$serial" "$manifest"
}

# What every verb on a stream inside begins with.
import_begin() {
  reference_parse "$import_to/airgap/$import_stream" repository || fail 65 "stream '$import_stream' is no name: $REF_WHY"
  [[ $REF_CHANNEL == release ]] || fail 65 "stream '$import_stream' ends like a channel, where others may write: name it otherwise"
  mark_home "$import_to" "$import_stream"
  mark_alone
  if ! mark_take receipt "$TEMPORARY/marks"; then mkdir -p "$TEMPORARY/marks"; fi
  SITE=${import_site:-site-$(printf '%s' "$import_to" | sha256sum | cut -c 1-12)}
  [[ $SITE =~ ^[a-z0-9]+(-[a-z0-9]+)*$ ]] || misuse "--site wants lower-case words with '-' between them"
}

# Fails before anything is written when a key cannot sign, or may not.
import_keys_ready() {
  local path
  key_id=$(mark_key "$import_key")
  receipt_id=$(mark_key "$import_receipt_key")
  trust_judge "$receipt_id" receipt "" || fail 77 "the key $import_receipt_key signs no receipts: $TRUST_WHY"
  while IFS= read -r path; do
    trust_judge "$key_id" import "$import_to/$path" || fail 77 "the key $import_key countersigns nothing in $path: $TRUST_WHY"
  done < <(jq -r '[.images[].path] | unique[]' "$BUNDLE/manifest.json")
}

# Fails unless every path is one that the grammar allows here.
import_paths() {
  local path
  while IFS= read -r path; do
    reference_parse "$import_to/$path" repository || fail 65 "the place '$(trust_plain "$path")' is refused inside: $REF_WHY"
  done < <(cut -f 2 "$TARGET/images" | sort -u)
  mapfile -t paths < <(cut -f 2 "$TARGET/images" | sort -u)
  registry_may "${paths[@]}"
}

# Fails unless images that the bundle does not carry, because they are inside, are signed there as their rule wants.
import_uncarried() {
  local path digest n=0 references=() code worst=0
  # Those that are not carried, and those of which only the signature is not.
  awk -F '\t' -v OFS='\t' -v places="$TARGET/places" -v left="$BUNDLE/uncarried" '
    FILENAME == places { if ($3 == "manifests" && $6 == 0) base[$2, $4] = 1; next }
    FILENAME == left { split($0, word, " "); base[word[1], word[2]] = 1; next }
    $7 != "-" && ($2, $4) in base { print $2, $4, $7, $8 }' "$TARGET/places" "$BUNDLE/uncarried" "$TARGET/images" >"$TARGET/uncarried"
  [[ -s $TARGET/uncarried ]] || return 0
  while IFS=$'\t' read -r path digest _; do references+=("$import_to/$path@$digest"); done <"$TARGET/uncarried"
  mkdir -p "$TARGET/signed"
  sign_gather "$TARGET/signed" "${references[@]}"
  awk -F '\t' -v OFS='\t' '$3 == "keyless" { print NR, $4 }' "$TARGET/uncarried" >"$TARGET/certificates"
  keyless_judge "$TARGET/signed" <"$TARGET/certificates"
  while IFS=$'\t' read -r path digest purpose repository; do
    n=$((n + 1)) code=0
    keyless_or_signed "$TARGET/signed/$n" "$purpose" "$repository" || code=$?
    if ((code != 0)); then
      say "$path@$digest, which is inside: $SIGN_WHY"
      if ((worst != 69)); then worst=$code; fi
    fi
  done <"$TARGET/uncarried"
  ((worst == 0)) || fail "$worst" "what the bundle builds on may not stay: nothing is written"
}

# Takes responsibility for a bundle that expired: a second key, of purpose break-glass, signs the reason.
import_exception() { # manifest
  local id file=$TEMPORARY/exception.json
  [[ $import_reason =~ ^[^[:cntrl:]]{1,500}$ ]] || misuse "--allow-expired wants a reason of one line"
  id=$(mark_key "$import_second")
  trust_judge "$id" break-glass "" || fail 77 "the key $import_second makes no exceptions: $TRUST_WHY"
  jq -nS --arg audience "$(trust_audience)" --arg signer "$id" --arg manifest "$1" --arg reason "$import_reason" --arg time "$(trust_now)" \
    '{type: "exception/v1", purpose: "break-glass", $audience, $signer, $manifest, $reason, $time}' >"$file"
  document_sign "$file" "$import_second" "$file.sig"
  BUNDLE_ALLOW_EXPIRED=1
}

# From the first write to the receipt.
import_write() { # serial manifest
  mark_raise "$import_to" "$import_stream" "$1" "$2" "$import_receipt_key" "$receipt_id"
  mark_keep "manifests/$1.json" <"$BUNDLE/manifest.json"
  push_all "$import_stream" "$1"
  accept_read "$import_to"
  accept_list
  if accept_unchanged "$import_to" "$2" "$key_id"; then
    unchanged=1
  else
    accept_gather "$import_to"
    accept_verify
    accept_sign "$import_to" "$import_key" "$key_id"
  fi
  [[ $unchanged && ! -s $TARGET/moves ]] || accept_tags "$import_stream" "$1"
  if [[ -s $TARGET/pending ]]; then
    import_table sent
    say "$(wc -l <"$TARGET/pending") images wait for media that were not given$(import_waiting)"
    return 0
  fi
  [[ $unchanged ]] || push_unroot "$import_stream" "$1"
  receipt_make "$1" "$2"
  [[ $unchanged ]] || accept_lists "$import_to" "$2" "$key_id" | mark_keep accepted
  import_table sent
}

# Prints which media are still to come.
import_waiting() {
  awk -F '\t' -v given=" ${!MEDIUM_DIRS[*]} " 'FILENAME == ARGV[1] { pending[$1] = 1; next } $1 in pending && $6 > 0 && !index(given, " " $6 " ") { wanted[$6] = 1 }
    END { for (m in wanted) list = list (list == "" ? ": medium " : ", ") m; printf "%s", list }' "$TARGET/pending" "$TARGET/places"
}

# Tells what was done, or would be.
import_table() { # sent|"would send"
  local moves
  moves=$(wc -l <"$TARGET/moves")
  if [[ $import_form == json ]]; then
    jq -n --arg stream "$import_stream" --argjson serial "$MEDIUM_SERIAL" --arg manifest "sha256:$(trust_hash "$BUNDLE/manifest.json")" --arg what "$1" \
      --argjson blobs "$(wc -l <"$TARGET/send")" --argjson bytes "$(awk -F '\t' '{ sum += $5 } END { printf "%.0f", sum }' "$TARGET/send")" --argjson moves "$moves" \
      --rawfile images "$TARGET/images" --rawfile pending "$TARGET/pending" --arg registry "$import_to" '($pending | split("\n")) as $waits
      | {$stream, $serial, $manifest, complete: ($pending == ""), dry_run: ($what != "sent"), blobs: $blobs, bytes: $bytes, names_moved: $moves,
        images: [$images | split("\n")[] | select(. != "") | split("\t") | {reference: "\($registry)/\(.[1])@\(.[3])", whole: (.[0] | IN($waits[]) | not)}
          + (.[2] as $tag | if $tag == "-" then {} else {$tag} end)]}'
    return
  fi
  {
    printf 'IMAGE\tNAME\t\n'
    awk -F '\t' -v OFS='\t' -v registry="$import_to" 'FILENAME == ARGV[1] { pending[$1] = 1; next } { print registry "/" $2 "@" substr($4, 1, 19) "..", $3, ($1 in pending ? "waits" : "whole") }' \
      "$TARGET/pending" "$TARGET/images"
  } | column -t -s $'\t'
  printf 'serial %s of stream %s: %s %d blobs, %sB; names to move: %d\n' "$MEDIUM_SERIAL" "$import_stream" "$1" "$(wc -l <"$TARGET/send")" \
    "$(awk -F '\t' '{ sum += $5 } END { printf "%.0f", sum }' "$TARGET/send" | numfmt --to=si)" "$moves"
}
