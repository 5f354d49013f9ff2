# shellcheck shell=bash
# Documents that are signed: JSON whose exact bytes count, with a detached signature in a file of its own. Every one says
# what it is (type), for whom (audience) and what for (purpose), so that none passes for another. Signing is cosign's, because
# it knows keys in files, tokens and key managers, or openssl's with a key that it can read; checking needs openssl alone.

# Runs cosign without a network: no transparency log, no time stamps, no certificates.
cosign_offline() { # verb arguments…
  local verb=$1
  shift
  [[ -s $TOOLS/cosign/signing-config.json && -s $TOOLS/cosign/trusted-root.json ]] || die "cosign is not set up: scripts/setup cosign"
  case $verb in
    sign | sign-blob | attest)
      cosign "$verb" --yes --signing-config "$TOOLS/cosign/signing-config.json" --trusted-root "$TOOLS/cosign/trusted-root.json" "$@"
      ;;
    *) cosign "$verb" --trusted-root "$TOOLS/cosign/trusted-root.json" --insecure-ignore-tlog "$@" ;;
  esac
}

# Asks the person at the keyboard for the password of a key in a file, once; cosign takes it from COSIGN_PASSWORD.
document_password() { # key
  if [[ ${COSIGN_PASSWORD+set} || ! -f $1 || ! -t 0 ]] || ! grep -q ENCRYPTED "$1"; then return 0; fi
  read -rsp "password of $1: " COSIGN_PASSWORD
  echo >&2
  export COSIGN_PASSWORD
}

# True for a key in a file that openssl reads, in PEM.
document_pem() { [[ -f $1 ]] && grep -qE '^-----BEGIN (EC |ENCRYPTED )?PRIVATE KEY-----$' "$1"; } # key

# Runs openssl with such a key on standard input. Its password goes through the environment, as cosign takes it.
document_openssl() { # key words…
  local key=$1 password=()
  shift
  [[ ! ${COSIGN_PASSWORD+set} ]] || password=(-passin env:COSIGN_PASSWORD)
  openssl "$1" "${password[@]}" "${@:2}" <"$key"
}

# Writes the public half of a key into a file; fails with 77 when the key cannot be used.
document_public() { # key file
  local why code=0
  why=$(mktemp)
  (
    document_password "$1"
    if document_pem "$1"; then document_openssl "$1" pkey -pubout; else cosign public-key --key "$1" </dev/null; fi >"$2" 2>"$why"
  ) || code=$?
  if ((code != 0)); then
    code=$(grep -v '^$' "$why" | tail -n 1 || true)
    rm -f "$why"
    fail 77 "the key $1 cannot be used: ${code:-no reason was given} (a password is asked for at a keyboard, else read from COSIGN_PASSWORD)"
  fi
  rm -f "$why"
}

# Signs the bytes of a file: base64 of an ECDSA signature over their SHA-256, one line. The key is a file or what else cosign
# takes (pkcs11:…, awskms://…, hashivault://…).
document_sign() { # file key signature-file
  local work code=0
  work=$(mktemp -d)
  # In a subshell: the next key has a password of its own.
  (
    document_password "$2"
    if document_pem "$2"; then
      document_openssl "$2" dgst -sha256 -sign /dev/stdin "$1" 2>"$work/log" | base64 -w 0 | cat - <(echo) >"$3.new"
    else
      cosign_offline sign-blob --key "$2" --bundle "$work/bundle" "$1" >"$work/log" 2>&1 </dev/null &&
        jq -er '.messageSignature.signature' "$work/bundle" >"$3.new"
    fi
  ) || code=$?
  if ((code != 0)); then
    local why
    why=$(grep -v '^$' "$work/log" | tail -n 1 || true)
    rm -rf "$work" "$3.new"
    fail 77 "the key $2 does not sign: ${why:-no reason was given} (a password is asked for at a keyboard, else read from COSIGN_PASSWORD)"
  fi
  rm -rf "$work"
  mv "$3.new" "$3"
}

# True when the signature is one of these bytes by this key.
document_signed() { # file signature-file public-key-file
  openssl dgst -sha256 -verify "$3" -signature <(base64 -d <"$2" 2>/dev/null) "$1" >/dev/null 2>&1
}

# Prints lines of words apart by tabs, in which every word base64:… has become what printf '%b' writes out as these bytes: a program
# for each would cost more than its work.
document_bytes() {
  awk -F '\t' -v OFS='\t' '
    BEGIN {
      signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
      for (i = 1; i <= 64; i++) value[substr(signs, i, 1)] = i - 1
    }
    function escaped(text,  i, n, bits, out, pad) {
      n = length(text)
      pad = substr(text, n - 1) == "==" ? 2 : substr(text, n) == "=" ? 1 : 0
      for (i = 1; i <= n; i += 4) {
        bits = ((value[substr(text, i, 1)] * 64 + value[substr(text, i + 1, 1)]) * 64 + value[substr(text, i + 2, 1)]) * 64 + value[substr(text, i + 3, 1)]
        out = out sprintf("\\x%02x", int(bits / 65536))
        if (i + 4 <= n || pad < 2) out = out sprintf("\\x%02x", int(bits / 256) % 256)
        if (i + 4 <= n || pad < 1) out = out sprintf("\\x%02x", bits % 256)
      }
      return out
    }
    { for (i = 1; i <= NF; i++) if ($i ~ /^base64:/) $i = escaped(substr($i, 8)); print }'
}

# What the DER form of every ECDSA key on P-256 begins with, before the 64 bytes of its point.
document_p256=3059301306072a8648ce3d020106082a8648ce3d03010703420004

# Prints the fingerprint of a public key: SHA-256 of its DER form, the point written out. Fails for what is no ECDSA key on P-256.
document_fingerprint() { # public-key-file
  local der
  der=$(document_der "$1" | od -An -v -tx1 | tr -d ' \n') || return 1
  [[ $der =~ ^${document_p256}[0-9a-f]{128}$ ]] || return 1
  document_der "$1" | sha256sum | cut -d ' ' -f 1
}

# Prints the DER form of a public key.
document_der() { openssl pkey -pubin -in "$1" -ec_conv_form uncompressed -outform DER 2>/dev/null; } # public-key-file

# Fails with 65, and a sentence, unless a document says it is of this type, for this audience and purpose.
document_is() { # file type audience purpose
  local why
  why=$(jq -rn --arg type "$2" --arg audience "$3" --arg purpose "$4" '[inputs] | if length != 1 then "it is not one JSON object" else .[0]
    | if type != "object" then "it is no JSON object"
    elif .type != $type then "it is of type \(.type | tojson), not \"\($type)\""
    elif .audience != $audience then "it is for \(.audience | tojson), not for \"\($audience)\""
    elif .purpose != $purpose then "it serves \(.purpose | tojson), not \"\($purpose)\""
    else "" end end' "$1" 2>/dev/null) || why="it is no JSON"
  [[ ! $why ]] || fail 65 "$1 is not what is wanted here: $why"
}
