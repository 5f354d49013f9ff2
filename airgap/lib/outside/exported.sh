# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # EXPORTED_ are read by others; AIRGAP_STATE and TEMPORARY stand in airgap/bundle
# What was exported before, and what is inside already: AIRGAP_STATE/exports/STREAM/SERIAL.json is the manifest of each export, with
# its signature beside; receipts, or over a one-way line an earlier manifest, say what the next export need not carry. Needs
# document.sh and trust.sh.

# The last serial that is known, 0 if there is none, and the digest of its manifest.
EXPORTED_SERIAL=0 EXPORTED_DIGEST=''
# What the base is, as the manifest tells it; and a file of what it holds: repository, digest.
EXPORTED_BASE=null EXPORTED_HOLDS=

# Sets EXPORTED_SERIAL and EXPORTED_DIGEST to those of the last export this host remembers.
exported_last() { # stream
  local folder=$AIRGAP_STATE/exports/$1 file
  for file in "$folder"/*.json; do
    file=${file##*/} && file=${file%.json}
    if [[ $file =~ ^[1-9][0-9]{0,8}$ ]] && ((file > EXPORTED_SERIAL)); then
      EXPORTED_SERIAL=$file EXPORTED_DIGEST=sha256:$(trust_hash "$folder/$file.json")
    fi
  done
}

# Remembers a later serial that a receipt or a manifest speaks of: the state of this host may have been lost.
exported_later() { # serial digest
  if (($1 > EXPORTED_SERIAL)); then EXPORTED_SERIAL=$1 EXPORTED_DIGEST=$2; fi
}

# Reads what --since names: receipts, of which everything counts that all of them hold, or one manifest.
exported_since() { # stream audience file…
  local stream=$1 audience=$2 file type copy n=0 receipts=() manifests=()
  shift 2
  EXPORTED_BASE=null EXPORTED_HOLDS=$TEMPORARY/base
  : >"$EXPORTED_HOLDS" || fail 73 "$EXPORTED_HOLDS cannot be written"
  for file in "$@"; do
    # What was verified is what is used.
    copy=$TEMPORARY/since.$((n += 1))
    { cp "$file" "$copy" && cp "$file.sig" "$copy.sig"; } 2>/dev/null || fail 66 "$file and its signature $file.sig cannot be read: --since names a receipt or a manifest"
    type=$(jq -r '.type? // "" | strings' "$copy" 2>/dev/null) || type=
    case $type in
      receipt/*) exported_believe "$copy" receipt/v1 receipt && receipts+=("$copy") ;;
      bundle/*) exported_believe "$copy" bundle/v1 bundle && manifests+=("$copy") ;;
      *) fail 65 "$file is neither a receipt nor the manifest of a bundle" ;;
    esac
  done
  ((${#manifests[@]} == 0 || ${#manifests[@]} + ${#receipts[@]} == 1)) ||
    misuse "--since names receipts, or one manifest: what all sites have is known from the receipts of all"
  exported_holds "${receipts[@]}" "${manifests[@]}"
  exported_base "${receipts[@]}" "${manifests[@]}"
}

# Fails unless a document is what it is taken for, of this stream, and signed by a key that may.
exported_believe() { # copy type purpose
  document_is "$1" "$2" "$audience" "$3"
  trust_judge "$(jq -r '.signer // "" | strings' "$1")" "$3" "" || fail 65 "$file is not to be believed: $TRUST_WHY"
  document_signed "$1" "$1.sig" "$TRUST_KEYS/$TRUST_ID.pub" || fail 65 "$file is not signed by key $TRUST_ID"
  jq -e 'def sha: type == "string" and test("\\Asha256:[0-9a-f]{64}\\z");
    def path: type == "string" and test("\\A[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)+\\z");
    (.serial | type == "number" and . >= 1 and . == floor and . < 1e9) and (.stream | type == "string")
    and if .type == "receipt/v1" then (.manifest | sha) and (.holds | type == "object" and all(keys[]; path) and all(.[]; type == "array" and all(.[]; sha)))
      else (.images | type == "array" and all(.[]; (.path | path) and (.manifests | type == "array" and all(.[]; .digest | sha)) and (.blobs | type == "array" and all(.[]; sha)))) end' \
    "$1" >/dev/null 2>&1 || fail 65 "$file does not say what it should: a field is missing or is not as airgap/format.md has it"
  [[ $(jq -r .stream "$1") == "$stream" ]] || fail 65 "$file is of the stream '$(jq -r .stream "$1")', and this is an export of '$stream'"
  exported_later "$(jq .serial "$1")" "$(jq -r --arg digest "sha256:$(trust_hash "$1")" 'if .type == "receipt/v1" then .manifest else $digest end' "$1")"
}

# Writes down what all of them hold, by repository.
exported_holds() { # file…
  local file
  for file in "$@"; do
    jq -r 'if .type == "receipt/v1" then .holds | to_entries[] | "\(.key)\t\(.value[])" else .images[] | "\(.path)\t\(.manifests[].digest, .blobs[])" end' "$file" | LC_ALL=C sort -u
  done | LC_ALL=C sort | uniq -c | awk -v all="$#" '$1 == all { print $2 "\t" $3 }' >"$EXPORTED_HOLDS" || fail 73 "$EXPORTED_HOLDS cannot be written"
}

# Says what the base is, by digest.
exported_base() { # file…
  local file digests=()
  (($#)) || return 0
  for file in "$@"; do digests+=("sha256:$(trust_hash "$file")"); done
  EXPORTED_BASE=$(jq -cn --arg type "$(jq -r .type "$1")" '$ARGS.positional | if $type == "receipt/v1" then {receipts: (sort | unique)} else {manifest: .[0]} end' --args "${digests[@]}")
}

# Remembers a manifest before anybody can see it: no serial is ever two manifests.
exported_remember() { # stream serial manifest signature
  local folder=$AIRGAP_STATE/exports/$1
  {
    mkdir -p "$folder" && cp "$4" "$folder/$2.json.sig" && cp "$3" "$folder/$2.json.new" && mv "$folder/$2.json.new" "$folder/$2.json"
  } 2>/dev/null || fail 73 "$folder/$2.json cannot be written: it is what the next export follows"
}

# Waits until nobody else on this host gives a serial of the stream; lasts until the script ends.
exported_alone() { # stream
  local lock
  mkdir -p "$AIRGAP_STATE/exports/$1" 2>/dev/null || fail 73 "$AIRGAP_STATE/exports/$1 cannot be made (AIRGAP_STATE)"
  exec {lock}<"$AIRGAP_STATE/exports/$1"
  flock --timeout 60 "$lock" || fail 75 "another export of the stream $1 has been at its end for a minute: try again"
}
