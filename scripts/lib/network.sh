# shellcheck shell=bash
# Ports of this machine, asked by bash itself: no other tool is needed.

# True when something accepts connections on 127.0.0.1:PORT.
port_answers() { # port
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Prints a port of 127.0.0.1 on which nothing listens, outside the range the kernel gives to outgoing connections.
free_port() {
  local port
  for _ in {1..200}; do
    port=$((20000 + RANDOM % 12000))
    port_answers "$port" || {
      echo "$port"
      return
    }
  done
  die "no free port between 20000 and 32000"
}

# Waits until a command succeeds; fails when it did not within the given seconds.
wait_until() { # seconds command…
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}
