# shellcheck shell=bash
# Looks over a command's shoulder: who waits for a connection, and what prove-offline has to say.

# Every tenth of a second notes the programs that wait, until the command has ended. A TERM that is said on the control file is passed
# on; if that does not help within ten seconds, or the control file ends, so does everything in here.
watch() { # folder control
  local folder=$1 control=$2 word code ending=
  while [[ ! -e $folder/ended ]]; do
    code=0
    read -r -t 0.1 -u "$control" word || code=$?
    if ((code == 0)) && [[ $word == TERM && -s $folder/command ]]; then
      kill -TERM "$(<"$folder/command")" || true
      ending=${ending:-$((SECONDS + 10))}
    elif ((code <= 128 && code != 0)); then
      : >"$folder/alone"
      kill -KILL -1
    fi
    if [[ $ending ]] && ((SECONDS >= ending)); then kill -KILL -1; fi
    if watch_waits; then ss -Htunp state syn-sent state established >>"$folder/waiting" || true; fi
  done
}

# True when somebody waits for a connection to begin, or has said where its datagrams go.
declare -A watch_known=()
watch_waits() {
  local protocol slot near far state new=1
  for protocol in tcp tcp6 udp udp6; do
    while read -r slot near far state _; do
      if [[ $protocol == tcp* && $state == 02 || $protocol == udp* && $state == 01 ]] && [[ ! ${watch_known["$near $far"]+known} ]]; then
        watch_known["$near $far"]=$slot new=0
      fi
    done 2>/dev/null <"/proc/net/$protocol" || true
  done
  return "$new"
}
