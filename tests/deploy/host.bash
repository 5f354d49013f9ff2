# shellcheck shell=bash
# A machine for tests: Debian trixie out of .tools/podman, booted by its own systemd in namespaces of its own, with Podman in it. It
# shares the network namespace of whoever starts it, which therefore must be no machine's: run tests with `unshare --net`.

# Fails where the network namespace has more than a loopback.
host_alone() {
  [[ $(find /sys/class/net/ -mindepth 1 -maxdepth 1 2>/dev/null | wc -l) -gt 0 ]] || return 0
  [[ $(ip -json link show | jq -r 'map(.ifname) | join(" ")') == lo ]] || {
    echo "run this in a network namespace of its own: unshare --net bats ${BATS_TEST_FILENAME:-}" >&2
    return 1
  }
  ip link set lo up
}

# Makes a control group of our own in every hierarchy, and enters it.
host_groups() { # name
  local type mount
  while read -r type mount; do
    mkdir -p "$mount/$1"
    if [[ -e $mount/$1/cpuset.cpus && $type == cgroup ]]; then
      # In version 1 a group has no processors until it is told which.
      cat "$mount/cpuset.cpus" >"$mount/$1/cpuset.cpus"
      cat "$mount/cpuset.mems" >"$mount/$1/cpuset.mems"
      echo 1 >"$mount/$1/cgroup.clone_children"
    fi
    echo "$BASHPID" >"$mount/$1/cgroup.procs"
  done < <(awk '$3 == "cgroup" || $3 == "cgroup2" { print $3, $2 }' /proc/mounts)
}

# Removes them again, as soon as nobody is left in them.
host_groups_remove() { # name
  local mount
  for mount in $(awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts); do
    [[ ! -d $mount/$1 ]] || find "$mount/$1" -depth -type d -exec rmdir {} + || return 1
  done
}

# What is mounted where, before systemd begins. Runs inside the namespaces.
host_mount() { # folder shared-folder
  local m=$1/mount node type source
  mount --make-rprivate /
  mkdir -p "$1"/{upper,work,mount,containers}
  mount -t overlay overlay -o "lowerdir=$TOOLS/podman/root,upperdir=$1/upper,workdir=$1/work" "$m"
  mkdir -p "$m/var/lib/containers" "$m/old"
  mount -t proc proc "$m/proc"
  mount -t sysfs sysfs "$m/sys"
  for node in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$m/$node"; done
  chmod 1777 "$m/tmp"
  # Layers of images cannot lie on an overlay.
  mount --bind "$1/containers" "$m/var/lib/containers"
  mkdir -p "$m$2"
  mount --bind "$2" "$m$2"
  for node in null zero full random urandom tty fuse net/tun; do
    [[ -e /dev/$node ]] || continue
    mkdir -p "$(dirname "$m/dev/$node")"
    touch "$m/dev/$node"
    mount --bind "/dev/$node" "$m/dev/$node"
  done
  ln -s /proc/self/fd "$m/dev/fd"
  mkdir "$m/dev/pts" "$m/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$m/dev/pts"
  ln -s pts/ptmx "$m/dev/ptmx"
  mount -t tmpfs tmpfs "$m/dev/shm"
  # The same hierarchies as the machine has, of which our groups are the tops.
  if [[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]]; then
    mount -t cgroup2 cgroup2 "$m/sys/fs/cgroup"
  else
    mount -t tmpfs -o mode=755 tmpfs "$m/sys/fs/cgroup"
    while read -r type source; do
      mkdir -p "$m/sys/fs/cgroup/${source##*/}"
      case $type,${source##*/} in
        cgroup2,*) mount -t cgroup2 cgroup2 "$m/sys/fs/cgroup/${source##*/}" ;;
        *,systemd) mount -t cgroup -o none,name=systemd cgroup "$m/sys/fs/cgroup/systemd" ;;
        *) mount -t cgroup -o "${source##*/}" cgroup "$m/sys/fs/cgroup/${source##*/}" ;;
      esac
    done < <(awk '$3 == "cgroup" || $3 == "cgroup2" { print $3, $2 }' /proc/mounts)
  fi
  hostname host
  cd "$m"
  pivot_root . old
  mount --make-rslave /old
  umount -l /old
}

# Boots, and waits until systemd has done what it does at a start. Called again with the same folder it is the same machine.
host_boot() { # folder shared-folder
  export HOST=$1 HOST_SHARED=$2
  mkdir -p "$1"
  export -f host_mount host_groups
  # shellcheck disable=SC2016  # expanded inside the namespaces
  TOOLS=$TOOLS setsid bash -euo pipefail -c '
    host_groups "$3"
    exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child bash -euo pipefail -c '\''
      host_mount "$1" "$2"
      # Version 1 of control groups is tolerated if told so; without the warnings of it.
      exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1 \
        systemd.unified_cgroup_hierarchy=$4 systemd.legacy_systemd_cgroup_controller=0 systemd.setenv=PODMAN_IGNORE_CGROUPSV1_WARNING=1 \
        --log-target=null --show-status=0
    '\'' host "$@"
  ' host "$1" "$2" "test-host-$$" "$([[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]] && echo 1 || echo 0)" >"$1/log" 2>&1 3>&- </dev/null &
  echo "$!" >"$1/pid"
  echo "test-host-$$" >"$1/groups"
  wait_until 30 host_is_up || {
    cat "$1/log" >&2
    return 1
  }
}

# True when systemd has started everything; a unit of Debian's own may have failed in a place without hardware.
host_is_up() { [[ $(on_host systemctl is-system-running) =~ ^(running|degraded)$ ]]; }

# Prints the process that is number 1 there.
host_first() { pgrep -P "$(<"$HOST/pid")" | head -n 1; }

# Runs a command there, in the folder that is shared.
on_host() {
  nsenter --target "$(host_first)" --mount --uts --ipc --pid --cgroup --root --wd="/proc/$(host_first)/root$HOST_SHARED" \
    env PODMAN_IGNORE_CGROUPSV1_WARNING=1 PATH=/usr/sbin:/usr/bin:/sbin:/bin timeout 120 "$@"
}

# Switches it off as a machine is switched off, and waits.
host_off() {
  on_host systemctl --no-block poweroff || true
  wait_until 30 host_is_off
  wait_until 10 host_groups_remove "$(<"$HOST/groups")"
}

host_is_off() { ! process_alive "$(<"$HOST/pid")"; }

# Ends whatever is left of it.
host_end() {
  [[ -e ${HOST:-}/pid ]] || return 0
  kill -KILL "$(host_first)" 2>/dev/null || true
  process_end "$(<"$HOST/pid")" 5
  wait_until 10 host_groups_remove "$(<"$HOST/groups")" || true
}
