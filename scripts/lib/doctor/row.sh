# shellcheck shell=bash
# shellcheck disable=SC2034  # nexts is read by scripts/doctor
# What a check says: rows of the table, each with the next command where something is to be done.

# By check: what to type when it could not even be looked at.
declare -A nexts=(
  [engine]="systemctl status docker" [registry]="scripts/doctor again, once the network is mended"
  [images]="policy/admit REFERENCE says more" [ports]="scripts/compose config"
  [database]="scripts/compose ps" [service]="scripts/compose ps" [logs]="scripts/compose ps"
  [disk]="df -h" [settings]="scripts/compose config"
)

# Writes a row; the code is what the whole ends with if this is the first that is bad.
row() { # check ok|warning|bad|unknown found [next [code]]
  local found=${3//[$'\n\r\t\037']/ } next=${4:-}
  printf '%s\037%s\037%s\037%s\037%s\n' "$1" "$2" "$found" "${next//[$'\n\r\t\037']/ }" "${5:-69}" >>"$ROWS"
}

# Turns rows on standard input into JSON, one object a line.
rows_read() {
  jq -Rc 'split("\u001f") | {check: .[0], state: .[1], found: .[2], next: .[3], code: (.[4] | tonumber)}'
}

# Prints rows as a table, or as an array for programs.
rows_print() { # file table|json
  if [[ $2 == json ]]; then
    jq -s 'map(del(.code) | if .next == "" then del(.next) else . end)' "$1"
    return
  fi
  jq -rs '(["CHECK", "STATE", "FOUND", "NEXT"], (.[] | [.check, .state, .found, .next])) | @tsv' "$1" | awk -F '\t' '
    {
      for (i = 1; i <= 4; i++) cell[NR, i] = $i
      for (i = 1; i <= 2; i++) if (length($i) > width[i]) width[i] = length($i)
      # Long findings do not push the last column out of sight: what to type then stands below.
      if ($4 != "" || NR == 1) if (length($3) > width[3] && length($3) <= 60) width[3] = length($3)
    }
    END {
      for (row = 1; row <= NR; row++) {
        line = sprintf("%-" width[1] "s  %-" width[2] "s  ", cell[row, 1], cell[row, 2])
        if (cell[row, 4] == "") line = line cell[row, 3]
        else if (length(cell[row, 3]) <= width[3]) line = line sprintf("%-" width[3] "s  ", cell[row, 3]) cell[row, 4]
        else line = line cell[row, 3] "\n" sprintf("%" (width[1] + width[2] + 4 + width[3] + 2) "s", "") cell[row, 4]
        print line
      }
    }'
}

# Prints seconds as a span that people read.
span() { # seconds
  local -i s=$1
  if ((s >= 172800)); then
    echo "$((s / 86400)) days"
  elif ((s >= 7200)); then
    echo "$((s / 3600)) hours"
  elif ((s >= 120)); then
    echo "$((s / 60)) minutes"
  else
    echo "$s s"
  fi
}

# Prints KiB as a size that people read.
size() { # KiB
  if (($1 >= 10485760)); then echo "$(($1 / 1048576)) GiB"; elif (($1 >= 1024)); then echo "$(($1 / 1024)) MiB"; else echo "$1 KiB"; fi
}

# Judges a difference between two clocks, the other's less ours, in seconds.
row_clock() { # check whose difference
  local -i off=${3#-}
  local way="ahead of"
  [[ $3 != -* ]] || way=behind
  if ((off <= 5)); then
    row "$1" ok "$2 agrees within $((off + 1)) s"
  elif ((off <= 60)); then
    row "$1" warning "$2 is $off s $way this machine" "chronyc makestep, on the one that is wrong (docs/runbooks/clock.md)"
  else
    row "$1" bad "$2 is $(span "$off") $way this machine: one of them is wrong" \
      "chronyc makestep, on the one that is wrong (docs/runbooks/clock.md)" 78
  fi
}
