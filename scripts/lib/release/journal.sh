# shellcheck shell=bash
# What of a release is done: RELEASE/journal has a line for each step that was finished, and RELEASE/plan says which release it
# is. Steps may be repeated, so whoever was stopped begins again at the first step that has no line.

# The folder of the release at hand.
RELEASE=''

# Opens the journal of a release; one that was begun is gone on with only when asked to.
journal_open() { # folder plan-json resume(or empty)
  RELEASE=$1
  if [[ -e $RELEASE/plan && ! $3 ]]; then
    fail 65 "this release was begun already: 'scripts/release … --resume' goes on; to begin anew remove $RELEASE"
  fi
  mkdir -p "$RELEASE" || fail 73 "$RELEASE cannot be made"
  exec 9>"$RELEASE/lock"
  flock --nonblock 9 || say "   somebody else is at work on this release: waiting for an hour at most"
  flock --timeout 3600 9 || fail 75 "somebody else has been at work on this release for an hour: try again"
  if [[ -e $RELEASE/plan ]]; then
    [[ $(jq -cS . "$RELEASE/plan") == "$(jq -cS . <<<"$2")" ]] ||
      fail 65 "this release was begun as $(jq -c . "$RELEASE/plan"), and is now $(jq -c . <<<"$2"): go back to that, or remove $RELEASE and begin anew"
  else
    printf '%s\n' "$2" >"$RELEASE/plan.new"
    mv "$RELEASE/plan.new" "$RELEASE/plan"
  fi
}

# Forgets that steps were done.
journal_forget() { # name…
  [[ -e $RELEASE/journal ]] || return 0
  { grep -vxF "$(printf '%s\n' "$@")" "$RELEASE/journal" || true; } >"$RELEASE/journal.new"
  mv "$RELEASE/journal.new" "$RELEASE/journal"
}

# Notes which digest the steps from here on are about. Whoever built it anew by another compiler has another: what was done with
# the one before is done again.
journal_about() { # digest
  if [[ -e $RELEASE/digest && $(<"$RELEASE/digest") == "$1" ]]; then return 0; fi
  journal_forget crates describe push sign attest verify register tag
  printf '%s\n' "$1" >"$RELEASE/digest"
}

# Runs a step unless it is done.
journal_step() { # name words command…
  local name=$1 words=$2 begin=$SECONDS
  shift 2
  if grep -qsx "$name" "$RELEASE/journal"; then
    say "   done already  $words"
    return
  fi
  say "   $words …"
  printf '%s\n' "$name" >"$RELEASE/begun"
  "$@"
  printf '%s\n' "$name" >>"$RELEASE/journal"
  say "   ok            $words ($((SECONDS - begin)) s)"
}
