# shellcheck shell=bash
# This machine's clock: tokens, certificates and signatures are judged by it. Other clocks are compared where they are asked.

# Prints the newest moment that is known to have been, in seconds, and where that is known from.
clock_floor() {
  local -i newest=0 moment
  local source='' what file
  while IFS=$'\t' read -r moment what; do
    if ((moment > newest)); then newest=$moment source=$what; fi
  done < <(
    printf '%s\tthe commit of this tree\n' "$(project_epoch)"
    for file in compose.yaml .env images.env "$TRUST/trust.json" "$TRUST_PIN"; do
      [[ ! -e $file ]] || printf '%s\t%s\n' "$(stat -L -c %Y "$file")" "$file"
    done
    [[ ! -r $TRUST/trust.json ]] ||
      jq -r '"\(.issued | fromdateiso8601)\tthe trust file"' "$TRUST/trust.json" 2>/dev/null || true
  )
  printf '%s\t%s\n' "$newest" "$source"
}

# Says whether the time can be true at all.
clock_plausible() {
  local -i now=$EPOCHSECONDS floor
  local what shown
  shown=$(date -u -d "@$now" +%Y-%m-%dT%H:%M:%SZ)
  IFS=$'\t' read -r floor what < <(clock_floor)
  if ((now < floor - 60)); then
    row clock bad "it is said to be $shown, but $what is $(span $((floor - now))) younger" \
      "chronyc makestep, or date --utc --set=TIME (docs/runbooks/clock.md)" 78
  elif ((now > floor + 20 * 31557600)); then
    row clock bad "it is said to be $shown, more than 20 years after $what" \
      "chronyc makestep, or date --utc --set=TIME (docs/runbooks/clock.md)" 78
  else
    row clock ok "it is $shown"
  fi
}

# Says whether anybody keeps the clock right.
clock_kept() {
  local told=''
  if command -v timedatectl >/dev/null; then told=$(timeout 5 timedatectl show --property NTPSynchronized --value 2>/dev/null) || told=; fi
  if [[ ! $told ]] && command -v chronyc >/dev/null; then
    told=$(timeout 5 chronyc -c tracking 2>/dev/null | awk -F, '{ print ($NF == "Not synchronised" ? "no" : "yes") }') || told=
  fi
  if [[ ! $told ]] && command -v adjtimex >/dev/null; then
    # Bit 6 of the status means that nobody has set the clock right for long.
    told=$(timeout 5 adjtimex --print 2>/dev/null | awk '$1 == "status:" { print (int($2 / 64) % 2 ? "no" : "yes") }') || told=
  fi
  case $told in
    yes) row clock-kept ok "the kernel says that it is kept right" ;;
    no) row clock-kept warning "the kernel says that nobody keeps it right" "timedatectl set-ntp true, or systemctl start chronyd" ;;
    *) row clock-kept warning "nobody here can tell whether it is kept right" "apt-get install chrony, or as your system has it" ;;
  esac
}

doctor_clock() {
  clock_plausible
  clock_kept
}
