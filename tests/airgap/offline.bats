#!/usr/bin/env bats
# prove-offline: what a command reaches for is seen, whatever it is; and where it cannot be seen, nothing is proven. As root.

bats_require_minimum_version 1.5.0

setup_file() {
  export ROOT
  ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd -P)
  load outside
  outside_house
  outside_start "$BATS_FILE_TMPDIR"
  IMAGE=$(BATS_TEST_TMPDIR=$BATS_FILE_TMPDIR push_image "$LISTING/mini/mini-api" proven)
  export IMAGE
  sign_image
}

teardown_file() {
  load outside
  outside_house
  stop_registries "$BATS_FILE_TMPDIR"
}

setup() {
  load outside
  outside_house
  cd "$BATS_FILE_TMPDIR" || return
  report=$BATS_TEST_TMPDIR/report.json
}

# Signs the image, as a release is signed.
sign_image() {
  cosign_offline sign --key release.key -a purpose=release -a repository="${IMAGE%@*}" "$IMAGE" >sign.log 2>&1
}

# Runs a command in the proof; its report as JSON is in $report. Nothing may take longer than this.
proof() { timeout 60 "$ROOT/airgap/prove-offline" --json --report "$report" "$@"; }

# Fails, and shows the report, unless a question to it is answered with yes.
reported() { # filter
  jq -e "$1" "$report" >/dev/null || {
    cat "$report" >&2
    return 1
  }
}

# Prints what of a proof is there on this machine: its processes and their networks.
traces() { pgrep -f "lib/offline/inside|lib/offline/answer|UNIX-LISTEN:relay|UNIX-CONNECT:relay|$1" || true; } # words of the command

# True when nothing of it is there.
nothing_left() { [[ ! $(traces "$1") && ! $(lsns --type net --noheadings --output COMMAND | grep -F "$1") ]]; } # words of the command

@test "a command that reaches the registry and nothing else passes" {
  run --separate-stderr proof --registry "$LISTING" -- curl --silent --cacert "$REGISTRY_CA" --write-out '%{http_code}' --output /dev/null "https://$LISTING/v2/"
  [[ $status == 0 && $output == 200 ]]
  reported '.verdict == "offline" and .code == 0 and .attempts == []'
}

@test "a registry that is not named is not reached" {
  run proof --registry "$LISTING" -- curl --silent --cacert "$REGISTRY_CA" "https://$PLAIN/v2/"
  [[ $status == 7 ]]
  reported ".silent | any(.port == ${PLAIN#*:})"
}

@test "a command that fails keeps its code, and its words" {
  run --separate-stderr proof -- bash -c 'echo out; echo err >&2; exit 23'
  [[ $status == 23 && $output == out && $stderr == err ]]
  reported '.verdict == "offline" and .code == 23'
}

@test "what is read from standard input comes through" {
  run --separate-stderr proof -- cat <<<'through and through'
  [[ $status == 0 && $output == "through and through" ]]
}

@test "a connection elsewhere is reported with its program, even of a command that succeeds" {
  run proof -- bash -c 'curl --silent --max-time 5 http://192.0.2.7:8080/ || true'
  [[ $status == 65 ]]
  reported '.verdict == "attempted" and .code == 0 and .attempts == [{protocol: "tcp", address: "192.0.2.7", port: 8080, program: "curl"}]'
}

@test "a connection over IPv6 is reported" {
  [[ -e /proc/net/if_inet6 ]] || { echo "this kernel has no IPv6" >&2 && false; }
  run proof -- curl --silent --max-time 5 'http://[2001:db8::7]/'
  [[ $status == 65 ]]
  reported '.attempts == [{protocol: "tcp", address: "2001:db8::7", port: 80, program: "curl"}]'
}

@test "a name that is asked for is reported, and gets no answer" {
  run proof -- getent hosts tuf.example.org
  [[ $status == 65 ]]
  reported '.code == 2 and (.attempts[0] | .protocol == "dns" and .name == "tuf.example.org" and .program == "getent")'
}

@test "a name server of the command's own choice is reported, with what it was asked" {
  run proof -- python3 -c '
import socket
question = bytes.fromhex("123401000001000000000000") + b"\x03www\x07example\x03org\x00\x00\x10\x00\x01"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(question, ("192.0.2.53", 53))
answer = s.recv(512)
assert answer[:2] == question[:2] and answer[3] & 15 == 3, answer'
  [[ $status == 65 ]]
  reported '.code == 0 and (.attempts | any(.address == "192.0.2.53" and .port == 53) and any(.name == "www.example.org" and .types == ["TXT"]))'
}

@test "a registry's own name may be asked for, over either protocol, and is answered" {
  run proof --registry "$LISTING" -- python3 -c '
import socket
question = bytes.fromhex("567801000001000000000000") + b"\x09localhost\x00\x00\x01\x00\x01"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(question, ("127.0.0.1", 53))
answer = s.recv(512)
t = socket.create_connection(("127.0.0.1", 53), 5)
t.sendall(len(question).to_bytes(2, "big") + question)
assert t.recv(2) == len(answer).to_bytes(2, "big") and t.recv(512) == answer, answer
assert answer[3] & 15 == 0 and answer[7] == 1 and answer[-4:] == socket.inet_aton("127.0.0.1"), answer'
  [[ $status == 0 ]]
  reported '.verdict == "offline"'
}

@test "a datagram and a ping are reported" {
  run proof -- python3 -c '
import socket
for family, kind, protocol, place in ((socket.AF_INET, socket.SOCK_DGRAM, 0, ("192.0.2.9", 123)), (socket.AF_INET, socket.SOCK_RAW, 1, ("192.0.2.10", 0))):
    try: socket.socket(family, kind, protocol).sendto(b"\x08\x00\xf7\xff\x00\x00\x00\x00", place)
    except PermissionError: pass'
  [[ $status == 65 ]]
  reported '[.attempts[] | [.protocol, .address, .port]] == [["udp", "192.0.2.9", 123], ["icmp", "192.0.2.10", null]]'
}

@test "a frame made by hand, past the rules for what leaves, is reported" {
  run proof -- python3 -c '
import socket
head = bytes.fromhex("4500001c0000000040110000") + socket.inet_aton("192.0.0.8") + socket.inet_aton("192.0.2.77")
total = sum(int.from_bytes(head[i:i + 2], "big") for i in range(0, 20, 2))
total = (total & 0xffff) + (total >> 16)
head = head[:10] + (~total & 0xffff).to_bytes(2, "big") + head[12:]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("lo", 0x0800))
s.send(bytes(12) + b"\x08\x00" + head + b"\x12\x34\x00\x09\x00\x08\x00\x00")'
  [[ $status == 65 ]]
  reported '.attempts | any(.address == "192.0.2.77")'
}

@test "the report is written for people as well, and whole" {
  run --separate-stderr timeout 60 "$ROOT/airgap/prove-offline" -- curl --silent --max-time 5 http://192.0.2.7/
  [[ $status == 65 && $stderr == *"tcp 192.0.2.7:80  by curl"* && $stderr == *"ended with 7"* ]]
  refused 73 "cannot be written" timeout 60 "$ROOT/airgap/prove-offline" --report "$BATS_TEST_TMPDIR/none/report" -- true
}

@test "who is not root is not root inside either, and is watched as well" {
  local nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups env TMPDIR=/tmp HOME=/tmp)
  "${nobody[@]}" unshare --user --map-root-user --net ip link set lo up || { echo "this machine forbids namespaces to users" >&2 && false; }
  run "${nobody[@]}" timeout 60 "$ROOT/airgap/prove-offline" -- bash -c 'id -u; curl --silent --max-time 5 http://192.0.2.7/'
  [[ $status == 65 && $output == *65534* && $output == *"tcp 192.0.2.7:80"* ]]
}

@test "where namespaces are forbidden nothing is proven, and the command does not run" {
  # shellcheck disable=SC2016
  run unshare --user --map-root-user bash -c 'echo 0 >/proc/sys/user/max_user_namespaces; echo 0 >/proc/sys/user/max_net_namespaces; exec "$@"' - \
    timeout 60 "$ROOT/airgap/prove-offline" --json --report "$report" -- touch "$BATS_TEST_TMPDIR/ran"
  [[ $status == 69 && $output == *"unproven: namespaces are forbidden"*"CAP_SYS_ADMIN"* && ! -e $BATS_TEST_TMPDIR/ran ]]
  reported '.verdict == "unproven" and (has("code") | not)'
}

@test "a proof that does not see its own attempts is none" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  # An nft that forgets the rule for datagrams.
  cat >"$BATS_TEST_TMPDIR/bin/nft" <<SH
#!/usr/bin/env bash
if [[ \$1 == -f ]]; then sed 's/{ tcp, udp, udplite, sctp, dccp } add/{ tcp } add/' | $(type -P nft) -f -; else exec $(type -P nft) "\$@"; fi
SH
  chmod +x "$BATS_TEST_TMPDIR/bin/nft"
  PATH=$BATS_TEST_TMPDIR/bin:$PATH refused 69 "unproven: an attempt made for a test was not seen" proof -- touch "$BATS_TEST_TMPDIR/ran"
  [[ ! -e $BATS_TEST_TMPDIR/ran ]]
}

@test "a registry that does not answer proves nothing" {
  refused 69 "localhost:1 does not answer" proof --registry localhost:1 -- true
}

@test "a missing tool is named with its package" {
  mkdir "$BATS_TEST_TMPDIR/bin"
  local tool
  for tool in bash env dirname jq mktemp rm; do ln -s "$(type -P "$tool")" "$BATS_TEST_TMPDIR/bin/"; done
  PATH=$BATS_TEST_TMPDIR/bin refused 69 "nft is missing: install the package nftables" "$ROOT/airgap/prove-offline" true
}

@test "a TERM is passed on, and nothing is left" {
  "$ROOT/airgap/prove-offline" --json --report "$report" --registry "$LISTING" -- bash -c 'trap "exit 9" TERM; echo begun >"$1"; while :; do sleep 0.1; done' mark.term "$BATS_TEST_TMPDIR/begun" 3>&- &
  local pid=$! code=0
  wait_until 30 test -s "$BATS_TEST_TMPDIR/begun"
  kill -TERM "$pid"
  wait "$pid" || code=$?
  [[ $code == 9 ]]
  wait_until 10 nothing_left mark.term
}

@test "after a kill -9 nothing is left: no process, no network" {
  "$ROOT/airgap/prove-offline" --registry "$LISTING" -- bash -c 'echo begun >"$1"; while :; do sleep 0.1; done' mark.kill "$BATS_TEST_TMPDIR/begun" 3>&- &
  local pid=$!
  wait_until 30 test -s "$BATS_TEST_TMPDIR/begun"
  [[ $(traces mark.kill) ]]
  kill -KILL "$pid"
  wait_until 20 nothing_left mark.kill
}

@test "what a command leaves running ends with it" {
  run proof -- bash -c 'setsid sleep 86399 >/dev/null 2>&1 & exit 0'
  [[ $status == 0 ]]
  wait_until 10 nothing_left 'sleep 86399'
}

@test "policy/admit says what may run, and reaches nothing but the registry" {
  run --separate-stderr proof --registry "$LISTING" -- "$ROOT/policy/admit" "$IMAGE"
  [[ $status == 0 && $output == admitted* ]]
  reported '.verdict == "offline"'
}

@test "cosign without its own root of trust is caught asking for another" {
  run proof --registry "$LISTING" -- env HOME="$BATS_TEST_TMPDIR" timeout 30 "$TOOLS/bin/cosign" verify --key release.pub --registry-cacert "$REGISTRY_CA" "$IMAGE"
  [[ $status == 65 ]]
  reported '.attempts | any(.protocol == "dns" and (.name | endswith("sigstore.dev")) and .program == "cosign")'
}
