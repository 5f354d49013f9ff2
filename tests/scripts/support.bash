# shellcheck shell=bash
# What the tests of the scripts share: a copy of the project whose cargo hands out the binary that the tier has built, so
# that the real .local and target stay as they are. The tier gives WORK, ROOT and BINARY.

# Makes the copy and goes where no script lies.
make_copy() {
  : "${WORK:?scripts/test scripts gives it}" "${ROOT:?scripts/test scripts gives it}"
  source "$ROOT/scripts/lib/log.sh"
  source "$ROOT/scripts/lib/network.sh"
  source "$ROOT/scripts/lib/process.sh"
  COPY=$(mktemp -d "$WORK/copy.XXXXXX")
  chmod 0755 "$COPY"
  cp -a "$ROOT"/{scripts,Cargo.toml,Containerfile} "$COPY/"
  mkdir -p "$COPY/stub" "$COPY/.tools" "$ROOT/.tools/stamps"
  cp -a "$ROOT/.tools/stamps" "$COPY/.tools/"
  for tool in postgres venv; do
    if [[ -e $ROOT/.tools/$tool ]]; then ln -s "$ROOT/.tools/$tool" "$COPY/.tools/$tool"; fi
  done
  if [[ -e $ROOT/.tools/bin/jq ]]; then install -D --target-directory="$COPY/.tools/bin" "$ROOT/.tools/bin/jq"; fi
  printf '#!/bin/sh\nexec install -D "%s" "%s/target/debug/mini-api"\n' "$BINARY" "$COPY" >"$COPY/stub/cargo"
  chmod 0755 "$COPY/stub/cargo"
  PATH=$COPY/stub:$PATH
  unset DATABASE_URL JWT_SECRET JWT_SECRET_FILE
  cd /
}

# Starts scripts/run of the copy on a free port and waits until it says that it is ready.
start_run() {
  port=$(free_port)
  # What a shell starts in the background is deaf to SIGINT unless told otherwise.
  setsid env --default-signal=INT "$COPY/scripts/run" --port "$port" >"$COPY/out" 2>"$COPY/err" 3>&- &
  run_pid=$!
  wait_until 90 said_ready || {
    cat "$COPY/out" "$COPY/err" >&2
    return 1
  }
}

# True when scripts/run has told the address of the docs; false at once would be no use, so callers wait.
said_ready() { grep -q "http://127.0.0.1:$port/docs" "$COPY/out"; }

# Ends scripts/run by a signal and sets exit_code.
end_run() { # signal
  kill -s "$1" "$run_pid"
  exit_code=0
  wait "$run_pid" || exit_code=$?
}

# Prints the processes that run a program, or work on a file, of the copy.
processes_of_copy() {
  local pid
  for pid in /proc/[0-9]*; do
    if tr '\0' ' ' <"$pid/cmdline" 2>/dev/null | grep -qF "$COPY/"; then
      echo "${pid#/proc/} $(tr '\0' ' ' <"$pid/cmdline")"
    fi
  done 2>/dev/null
}

# Ends whatever a failed test left behind.
remove_copy() {
  # Whoever works on a file of nothing in particular is everybody.
  [[ ${COPY:-} == */copy.* ]] || return 0
  [[ ! ${run_pid:-} ]] || process_end "$run_pid" 20
  processes_of_copy | while read -r pid _; do kill -KILL "$pid" 2>/dev/null || true; done
  rm -rf "$COPY"
}

# Sends JSON to a path of the service and prints the status code.
post() { # path json
  local status
  exec 4<>"/dev/tcp/127.0.0.1/$port"
  printf 'POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s' \
    "$1" "${#2}" "$2" >&4
  read -r _ status _ <&4
  exec 4>&-
  echo "$status"
}
