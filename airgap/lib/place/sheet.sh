# shellcheck shell=bash
# The sheet to print: what is compared by eye or typed in elsewhere. No password and no private key is on it.

# Writes OUT/sheet.txt, whole; where a part of it is not to be had the sheet that was there stays.
sheet_write() {
  local believed
  # Before anything of it is written: what is believed is often in another folder.
  believed=$("$ROOT/scripts/trust" show --sheet 2>"$TEMPORARY/why") ||
    fail "$?" "$OUT/sheet.txt is not written: $(tail -n 1 "$TEMPORARY/why" | sed 's/^trust: //'). TRUST names the folder of the trust file, which is $TRUST here"
  # Not behind a condition: there a part that fails would be passed over.
  sheet_print "$believed" >"$TEMPORARY/sheet"
  files_put "$OUT/sheet.txt" <"$TEMPORARY/sheet"
  chmod 0600 "$OUT/sheet.txt"
  # What the other commands want to know.
  printf '%s\n' "$REGISTRY" | files_put "$OUT/registries.txt"
  say "print $OUT/sheet.txt; here: export REGISTRY_CA=$OUT/ca/ca.pem REFERENCE_REGISTRIES=$OUT/registries.txt"
}

# Prints the sheet.
sheet_print() { # trust-sheet
  local name role upstream
  upstream=$(setting MIRROR_UPSTREAM)
  printf 'REGISTRIES OF %s\n\n' "$REGISTRY"
  printf 'registry    https://%s\n' "$REGISTRY"
  printf 'mirror      https://%s%s\n' "$MIRROR" "${upstream:+ of }${upstream:-, not started}"
  printf '\nSHA-256 of certificates\n'
  sheet_certificate authority "$OUT/ca/ca.pem" '; the file is ca/ca.pem'
  sheet_certificate gateway "$OUT/ca/server.pem" ': airgap/bootstrap renew'
  printf '\nWhat runs\n'
  if [[ -s $OUT/images.env ]]; then sed 's/^/  /' "$OUT/images.env"; else echo '  nothing yet'; fi
  printf '\nUsers and their roles\n'
  while read -r name role _; do printf '  %-16s %s\n' "$name" "$role"; done <"$OUT/users"
  printf '\nThe trust file\n'
  printf '  %s\n' "${1//$'\n'/$'\n  '}"
  if ! keys_believed import || ! keys_believed receipt; then
    printf '\nNOT BELIEVED YET. The roots of the trust file add the keys of this place:\n'
    printf "  scripts/trust add import.pub --id import --purpose import --repository '%s/*'\n" "$REGISTRY"
    printf '  scripts/trust add receipt.pub --id receipt --purpose receipt\n'
    for name in import receipt; do sheet_key "$name"; done
  fi
  printf '\nTo a drawer, off this machine: ca/ca.key keys/root.key. Handed over, then removed: passwords/*\n'
}

# Prints the lines of a certificate.
sheet_certificate() { # name file remark
  local print until
  print=$(authority_print "$2")
  until=$(authority_until "$2")
  printf '  %-9s %s\n            until %s%s\n' "$1" "$print" "$until" "$3"
}

# Prints the line of a key.
sheet_key() { # name
  local print
  print=$(document_fingerprint "$OUT/keys/$1.pub")
  printf '  SHA-256 of %s.pub: %s\n' "$1" "$print"
}
