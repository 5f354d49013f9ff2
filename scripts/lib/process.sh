# shellcheck shell=bash
# Processes we started: each is the leader of its own session (setsid), so that it can be ended with all it started.

# True while a process runs; one that ended and waits to be reaped does not.
process_alive() { # pid
  local stat
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  stat=${stat##*) }
  [[ ${stat:0:1} != [ZX] ]]
}

# Asks a session's leader to end, gives it some seconds, then ends whatever is left of the session.
process_end() { # pid seconds
  local deadline=$((SECONDS + $2))
  kill -TERM "$1" 2>/dev/null || true
  while process_alive "$1" && ((SECONDS < deadline)); do sleep 0.05; done
  kill -KILL -- "-$1" 2>/dev/null || true
}
