# shellcheck shell=bash
# Room and inodes where something is written: the engine's data, the secrets, the backups, temporary files.

# Prints the nearest folder above a path that exists.
disk_there() { # path
  local path=$1
  until [[ -d $path ]]; do path=$(dirname "$path"); done
  echo "$path"
}

# Prints "MOUNT KiB-free percent-free inode-percent-free" of a path's file system; 100 where inodes are not counted.
disk_room() { # path
  local mount free percent inodes
  read -r free percent mount < <(df -Pk "$1" | awk 'NR == 2 { print $4, ($3 + $4 ? int($4 * 100 / ($3 + $4)) : 0), $6 }')
  inodes=$(df -Pi "$1" | awk 'NR == 2 { print ($2 + 0 ? int($4 * 100 / $2) : 100) }')
  printf '%s %s %s %s\n' "$mount" "$free" "$percent" "$inodes"
}

# Judges one file system by the largest of the needs on it.
disk_judge() { # check what path least-KiB
  local mount free percent inodes
  read -r mount free percent inodes < <(disk_room "$3")
  if ((free < $4)); then
    row "$1" bad "$mount ($2) has $(size "$free") left, and $(size "$4") are wanted" "docker image prune --force (docs/runbooks/disk.md)" 73
  elif ((inodes < 1)); then
    row "$1" bad "$mount ($2) has no inodes left" "df -i $mount (docs/runbooks/disk.md)" 73
  elif ((percent < 10 && free < 10485760)) || ((inodes < 5)); then
    row "$1" warning "$mount ($2) has $(size "$free") left, $percent %, and $inodes % of its inodes" "less docs/runbooks/disk.md"
  else
    row "$1" ok "$mount ($2) has $(size "$free") left, $percent %"
  fi
}

doctor_disk() {
  local root newest need=32768
  if root=$(timeout 8 docker info --format '{{.DockerRootDir}}' 2>/dev/null) && [[ -d $root ]]; then
    disk_judge disk-engine "the engine's data" "$root" $((${LEAST_FREE_MIB:-512} * 1024))
  fi
  # The next backup is about as large as the last one.
  if newest=$(backup_newest "$(backup_folder)"); then need=$((need + $(stat -c %s "$newest") / 1024)); fi
  disk_judge disk-backups "the backups" "$(disk_there "$(backup_folder)")" "$need"
  disk_judge disk-secrets "the secrets" "$(disk_there "$(compose_secrets)")" 1024
  disk_judge disk-temporary "temporary files" "$(disk_there "${TMPDIR:-/tmp}")" 32768
}
