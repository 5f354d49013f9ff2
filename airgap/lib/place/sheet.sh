# shellcheck shell=bash
# The sheet to print: what is compared by eye or typed in elsewhere. No password and no private key is on it.

# Writes OUT/sheet.txt.
sheet_write() {
  local name role
  {
    printf 'REGISTRIES OF %s\n\n' "$REGISTRY"
    printf 'registry    https://%s\n' "$REGISTRY"
    printf 'mirror      https://%s%s\n' "$MIRROR" "$([[ $(setting MIRROR_UPSTREAM) ]] && echo " of $(setting MIRROR_UPSTREAM)" || echo ', not started')"
    printf '\nSHA-256 of certificates\n'
    printf '  authority %s\n            until %s; the file is ca/ca.pem\n' "$(authority_print "$OUT/ca/ca.pem")" "$(authority_until "$OUT/ca/ca.pem")"
    printf '  gateway   %s\n            until %s: airgap/bootstrap renew\n' "$(authority_print "$OUT/ca/server.pem")" "$(authority_until "$OUT/ca/server.pem")"
    printf '\nWhat runs\n'
    if [[ -s $OUT/images.env ]]; then sed 's/^/  /' "$OUT/images.env"; else echo '  nothing yet'; fi
    printf '\nUsers and their roles\n'
    while read -r name role _; do printf '  %-16s %s\n' "$name" "$role"; done <"$OUT/users"
    printf '\nThe trust file\n'
    "$ROOT/scripts/trust" show --sheet 2>/dev/null | sed 's/^/  /'
    if ! keys_believed import || ! keys_believed receipt; then
      printf '\nNOT BELIEVED YET. The roots of the trust file add the keys of this place:\n'
      printf "  scripts/trust add import.pub --id import --purpose import --repository '%s/*'\n" "$REGISTRY"
      printf '  scripts/trust add receipt.pub --id receipt --purpose receipt\n'
      for name in import receipt; do printf '  SHA-256 of %s.pub: %s\n' "$name" "$(document_fingerprint "$OUT/keys/$name.pub")"; done
    fi
    printf '\nTo a drawer, off this machine: ca/ca.key keys/root.key. Handed over, then removed: passwords/*\n'
  } | files_put "$OUT/sheet.txt"
  chmod 0600 "$OUT/sheet.txt"
  # What the other commands want to know.
  printf '%s\n' "$REGISTRY" | files_put "$OUT/registries.txt"
  say "print $OUT/sheet.txt; here: export REGISTRY_CA=$OUT/ca/ca.pem REFERENCE_REGISTRIES=$OUT/registries.txt"
}
