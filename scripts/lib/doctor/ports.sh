# shellcheck shell=bash
# The ports that will be published: free, or ours already.

# True when somebody listens on a port, at this address or at all addresses. Read from the kernel: asking would be a connection.
port_held() { # address port
  local hex
  hex=$(printf '%04X' "$2")
  # 0A is the state of listening; the address stands before the port, its four bytes from the last to the first.
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$hex" -v wanted="$(port_address "$1")" '
    $4 == "0A" { split($2, at, ":"); if (at[2] == port && (wanted == "" || at[1] == wanted || at[1] ~ /^0+$/)) held = 1 }
    END { exit !held }'
}

# Prints an IPv4 address as the kernel's table has it; nothing for all of them, and for any other.
port_address() { # address
  local part hex=''
  [[ $1 =~ ^[0-9]+(\.[0-9]+){3}$ && $1 != 0.0.0.0 ]] || return 0
  # shellcheck disable=SC2086
  for part in ${1//./ }; do hex=$(printf '%02X' "$part")$hex; done
  echo "$hex"
}

# Prints who listens on a port, as far as one may know.
port_holder() { # port
  local name=''
  if command -v ss >/dev/null; then
    name=$(ss -ltnpH "sport = :$1" 2>/dev/null | sed -nE 's/.*users:\(\("([^"]+)",pid=([0-9]+).*/\1, process \2/p' | head -n 1)
  fi
  echo "${name:-another program}"
}

doctor_ports() {
  local merged='' service address port ours
  if [[ -r .env && -s images.env ]]; then merged=$(doctor_merged) || merged=; fi
  if [[ ! $merged ]]; then
    row ports unknown "which ports are wanted is not known before settings and images are right" "scripts/compose config" 78
    return
  fi
  while IFS=$'\t' read -r service address port; do
    if ! port_held "$address" "$port"; then
      row ports ok "port $port is free for $service"
      continue
    fi
    if ! ours=$(database_neighbours "$(jq -r .name <<<"$merged")" --filter "publish=$port" 2>/dev/null); then
      row ports unknown "port $port is held by $(port_holder "$port"), and the engine does not say whether it is ours" \
        "ss -ltnp 'sport = :$port'" 69
    elif [[ $ours ]]; then
      row ports ok "port $port is held by $service itself"
    else
      row ports bad "port $port, wanted for $service, is held by $(port_holder "$port")" \
        "ss -ltnp 'sport = :$port', and stop it, or choose another API_PORT in .env" 75
    fi
  done < <(jq -r '.services | to_entries[] | .key as $service | .value.ports[]?
    | [$service, .host_ip // "0.0.0.0", .published] | @tsv' <<<"$merged")
}
