# shellcheck shell=bash
# An authority for one host name: it certifies the gateway and the machines that pull from the mirror, and nothing outside that name.

# Days that a certificate lasts; `bootstrap renew` makes the next one.
authority_days=397

# Prints how certificates name a host: DNS:NAME or IP:ADDRESS.
authority_name() { # host
  if [[ $1 =~ ^[0-9]+(\.[0-9]+){3}$ ]]; then echo "IP:$1"; else echo "DNS:$1"; fi
}

# Prints what the authority may certify: the host itself, by name (with what is below it) or by address, and nothing of the other kind.
authority_constraint() { # host
  local name
  name=$(authority_name "$1")
  if [[ $name == IP:* ]]; then
    echo "permitted;$name/255.255.255.255,permitted;DNS:none.invalid"
  else
    echo "permitted;$name,excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::"
  fi
}

# Runs openssl req for a new key on P-256; words are more of its options. The key is its owner's alone.
authority_request() { # key-file out-file subject words…
  local key=$1 out=$2 subject=$3
  shift 3
  (umask 077 && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -sha256 -keyout "$key" -out "$out" -subj "$subject" "$@" 2>"$TEMPORARY/openssl.log") ||
    fail 73 "openssl made no key or request: $(tail -n 1 "$TEMPORARY/openssl.log")"
}

# Makes the authority, if it is not there.
authority_make() { # host
  if [[ -s $OUT/ca/ca.pem ]]; then
    say "the authority is there already"
    return
  fi
  mkdir -p "$OUT/ca"
  authority_request "$OUT/ca/ca.key" "$OUT/ca/ca.pem.new" "/CN=Registries of $1" -x509 -days 3650 \
    -addext basicConstraints=critical,CA:true,pathlen:0 -addext keyUsage=critical,keyCertSign \
    -addext "nameConstraints=critical,$(authority_constraint "$1")"
  mv "$OUT/ca/ca.pem.new" "$OUT/ca/ca.pem"
  chmod 0644 "$OUT/ca/ca.pem"
  say "the authority was made; bring $OUT/ca/ca.key to a drawer: only renew and machine want it"
}

# Certifies a new key for a purpose, and writes certificate and key into two files; whole or not at all.
authority_certify() { # subject purpose(serverAuth|clientAuth) name certificate-file key-file
  [[ -s $OUT/ca/ca.key ]] || fail 66 "the authority's key is not at $OUT/ca/ca.key: bring it back from where it lies"
  authority_request "$TEMPORARY/key" "$TEMPORARY/request" "/CN=$1"
  printf 'basicConstraints = critical, CA:false\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = %s\nsubjectAltName = %s\n' "$2" "$3" >"$TEMPORARY/extensions"
  openssl x509 -req -sha256 -in "$TEMPORARY/request" -CA "$OUT/ca/ca.pem" -CAkey "$OUT/ca/ca.key" -set_serial "0x$(openssl rand -hex 16)" \
    -days "$authority_days" -extfile "$TEMPORARY/extensions" -out "$TEMPORARY/certificate" 2>"$TEMPORARY/openssl.log" ||
    fail 73 "openssl made no certificate: $(tail -n 1 "$TEMPORARY/openssl.log")"
  openssl verify -x509_strict -CAfile "$OUT/ca/ca.pem" "$TEMPORARY/certificate" >"$TEMPORARY/openssl.log" 2>&1 ||
    fail 78 "the authority in $OUT/ca does not certify $1: $(tail -n 1 "$TEMPORARY/openssl.log")"
  install -m 0644 "$TEMPORARY/certificate" "$4.new" || fail 73 "$4 cannot be written"
  install -m 0600 "$TEMPORARY/key" "$5.new" || fail 73 "$5 cannot be written"
  mv "$5.new" "$5"
  mv "$4.new" "$4"
}

# Certifies the gateway, which wants certificate and key in one file; its user reads it, and the folder is closed.
authority_server() { # host
  mkdir -p "$OUT/ca" "$OUT/gateway"
  authority_certify gateway serverAuth "$(authority_name "$1")" "$OUT/ca/server.pem" "$OUT/ca/server.key"
  cat "$OUT/ca/server.pem" "$OUT/ca/server.key" | files_put "$OUT/gateway/server.pem"
  rm "$OUT/ca/server.key"
}

# Certifies a machine: what Docker shows to a mirror, to which it sends no password.
authority_machine() { # name host
  mkdir -p "$OUT/machines"
  authority_certify "$1" clientAuth "$(authority_name "$2")" "$OUT/machines/$1.cert" "$OUT/machines/$1.key"
}

# Prints the SHA-256 of a certificate, as everything that shows certificates does.
authority_print() { openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//'; } # certificate

# Prints until when a certificate is valid.
authority_until() { date -u -d "$(openssl x509 -in "$1" -noout -enddate | cut -d = -f 2)" +%Y-%m-%dT%H:%M:%SZ; } # certificate
