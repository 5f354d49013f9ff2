# shellcheck shell=bash
# The newest backup: whole, and not old.

doctor_backup() {
  local newest age damaged
  damaged=$(backup_list "$(backup_folder)" json | jq -r 'map(select(.state != "whole").file)[-1] // empty')
  [[ ! $damaged ]] || row backup warning "$damaged is damaged" "scripts/backup verify $damaged"
  if ! newest=$(backup_newest "$(backup_folder)"); then
    row backup warning "there is no backup in $(backup_folder)" "scripts/backup create"
    return
  fi
  age=$((EPOCHSECONDS - $(jq -r '.began | fromdateiso8601' "$newest.json")))
  if ((age > 8 * 86400)); then
    row backup bad "the newest backup is $(span "$age") old" "scripts/backup create, and look at its timer (docs/runbooks/backup.md)" 78
  elif ((age > 26 * 3600)); then
    row backup warning "the newest backup is $(span "$age") old" "scripts/backup create, and look at its timer (docs/runbooks/backup.md)"
  elif ((age < -300)); then
    row backup warning "the newest backup is of the future, by $(span $((-age)))" "date --utc (docs/runbooks/clock.md)"
  else
    row backup ok "the newest backup is $(span "$age") old"
  fi
}
