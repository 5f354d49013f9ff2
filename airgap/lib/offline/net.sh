# shellcheck shell=bash
# The network of prove-offline: one interface, `lo`, to which every route leads. What leaves a program is noted by nftables before it
# goes anywhere: what is for the named registries or for this network itself goes on, questions to a name server go to ours, the
# rest is refused.

# Its own addresses, other than loopback: for programs that ask for no name while they see no other. Nobody else has these
# (RFC 7600, RFC 6666).
net_own4=192.0.0.8 net_own6=100::8
# Non-empty where the kernel has IPv6.
ipv6=

# Makes it.
net_make() { # folder
  local folder=$1
  if [[ -e /proc/net/if_inet6 ]]; then ipv6=1; fi
  ip link set lo up || return 1
  ip address add "$net_own4/32" dev lo scope global || return 1
  ip route add local default dev lo src "$net_own4" || return 1
  if [[ $ipv6 ]]; then
    net_ipv6 || return 1
  fi
  net_rules "$folder" | nft -f - || return 1
  net_names "$folder"
}

# The same for IPv6, which may have been switched off for new interfaces.
net_ipv6() {
  if [[ $(</proc/sys/net/ipv6/conf/lo/disable_ipv6) == 1 ]]; then echo 0 >/proc/sys/net/ipv6/conf/lo/disable_ipv6 || return 1; fi
  ip -6 address add "$net_own6/128" dev lo nodad || return 1
  ip -6 route add local default dev lo src "$net_own6"
}

# Prints the elements of a set: where the registries answer, of one family.
net_elements() { # folder 4|6
  awk -v family="$2" '(index($3, ":") ? 6 : 4) == family { printf "%s%s . %s", (n++ ? ", " : "elements = { "), $3, $2 } END { if (n) print " }" }' "$1/registries"
}

# Prints the rules. The first packet of a connection is dropped and only its repetition refused: until then it can be seen who waits.
net_rules() { # folder
  cat <<NFT
table inet offline {
  set own4 { type ipv4_addr; flags interval; elements = { 127.0.0.0/8, $net_own4 } }
  set own6 { type ipv6_addr; elements = { ::1, $net_own6 } }
  set named4 { type ipv4_addr . inet_service; $(net_elements "$1" 4) }
  set named6 { type ipv6_addr . inet_service; $(net_elements "$1" 6) }
  set ports4 { type ipv4_addr . inet_proto . inet_service; flags dynamic; size 65535; }
  set ports6 { type ipv6_addr . inet_proto . inet_service; flags dynamic; size 65535; }
  set others4 { type ipv4_addr . inet_proto; flags dynamic; size 65535; }
  set others6 { type ipv6_addr . inet_proto; flags dynamic; size 65535; }
  set silent4 { type ipv4_addr . inet_service; flags dynamic; size 65535; }
  set silent6 { type ipv6_addr . inet_service; flags dynamic; size 65535; }
  set begun4 { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 30s; size 65535; }
  set begun6 { type ipv6_addr . inet_service; flags dynamic,timeout; timeout 30s; size 65535; }
  counter questions { }
  chain note {
    ip daddr @own4 return
    ip6 daddr @own6 return
    ip daddr . tcp dport @named4 return
    ip6 daddr . tcp dport @named6 return
    meta l4proto { tcp, udp, udplite, sctp, dccp } add @ports4 { ip daddr . meta l4proto . th dport }
    meta l4proto { tcp, udp, udplite, sctp, dccp } add @ports6 { ip6 daddr . meta l4proto . th dport }
    meta l4proto != { tcp, udp, udplite, sctp, dccp } add @others4 { ip daddr . meta l4proto }
    meta l4proto != { tcp, udp, udplite, sctp, dccp } add @others6 { ip6 daddr . meta l4proto }
    meta mark set 1
  }
  chain leaves {
    type filter hook output priority raw;
    udp dport 53 counter name questions
    # Asked on loopback, and nobody there.
    ip saddr @own4 tcp flags == (rst | ack) tcp sequence 0 add @silent4 { ip saddr . tcp sport }
    ip6 saddr @own6 tcp flags == (rst | ack) tcp sequence 0 add @silent6 { ip6 saddr . tcp sport }
    jump note
  }
  chain ask {
    type nat hook output priority -100;
    udp dport 53 redirect to :53
    tcp dport 53 redirect to :53
  }
  chain refuse {
    type filter hook output priority filter;
    meta l4proto { tcp, udp } th dport 53 meta mark set 0 accept
    meta mark != 1 accept
    tcp flags & (syn | ack) == syn ip saddr . tcp sport != @begun4 add @begun4 { ip saddr . tcp sport } drop
    tcp flags & (syn | ack) == syn ip6 saddr . tcp sport != @begun6 add @begun6 { ip6 saddr . tcp sport } drop
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }
  # What goes past the rules above, as a frame made by hand, comes back here.
  chain arrives {
    type filter hook prerouting priority raw;
    jump note
    meta mark 1 drop
  }
}
NFT
}

# Lays files over those that would lead a question for a name past our name server: to the one of the machine, or to a daemon's socket.
net_names() { # folder
  local place
  printf 'nameserver 127.0.0.1\n' >"$1/resolv.conf"
  if [[ -e /etc/resolv.conf ]]; then mount --bind "$1/resolv.conf" /etc/resolv.conf || return 1; fi
  if [[ -e /etc/nsswitch.conf ]]; then
    { grep -v '^[[:space:]]*hosts:' /etc/nsswitch.conf && printf 'hosts: files dns\n'; } >"$1/nsswitch.conf"
    mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf || return 1
  fi
  mkdir -p "$1/empty"
  for place in /run/nscd /run/systemd/resolve/io.systemd.Resolve /run/avahi-daemon; do
    if [[ -d $place ]]; then mount --bind "$1/empty" "$place" || return 1; fi
    if [[ -S $place ]]; then mount --bind "$1/resolv.conf" "$place" || return 1; fi
  done
}

# Starts the relays' inner ends and the name server, and waits until they listen.
net_serve() { # folder here
  local n=0 port address listen family=4 loopback=127.0.0.1
  ln -s "$2/answer" "$1/answer"
  : >"$1/asked"
  while read -r _ port address; do
    n=$((n + 1)) listen=TCP4-LISTEN:$port,bind=$address
    [[ $address != *:* ]] || listen=TCP6-LISTEN:$port,bind=[$address],ipv6only=1
    net_listen "$1" -b 131072 -t 60 "$listen,reuseaddr,fork,backlog=128" "UNIX-CONNECT:relay.$n"
  done <"$1/registries"
  for family in 4 ${ipv6:+6}; do
    [[ $family == 4 ]] || loopback='[::1],ipv6only=1'
    net_listen "$1" -T 5 "UDP$family-RECVFROM:53,bind=$loopback,fork" 'EXEC:./answer udp'
    net_listen "$1" -T 5 "TCP$family-LISTEN:53,bind=$loopback,reuseaddr,fork" 'EXEC:./answer tcp'
    n=$((n + 2))
  done
  local deadline=$((SECONDS + 10))
  until (($(ss -Hlntu | wc -l) >= n)); do
    ((SECONDS < deadline)) || give_up "a relay inside does not listen" "socat says: $(tail -n 1 "$1/log")"
    sleep 0.02
  done
}

# Runs socat in the folder of the proof, where names are short enough for it. Bash has nothing to say of its end.
net_listen() { # folder words of socat…
  (
    cd "$1" && exec socat "${@:2}"
  ) >>"$1/log" 2>&1 </dev/null &
  disown
}

# Forgets what was seen so far.
net_forget() {
  local set
  for set in ports4 ports6 others4 others6 silent4 silent6 begun4 begun6; do nft flush set inet offline "$set"; done
  nft reset counter inet offline questions
}

# Writes what was seen to the file `seen`.
net_seen() { nft -j list table inet offline >"$1/seen"; } # folder

# Waits until every question that was sent is written down, but not for long.
net_settle() { # folder
  local deadline=$((SECONDS + 3))
  while net_seen "$1" && (($(jq '[.nftables[].counter? | select(.name == "questions") | .packets] | add // 0' "$1/seen") > $(grep -c $'\tudp\t' "$1/asked"))); do
    ((SECONDS < deadline)) || break
    sleep 0.05
  done
}
