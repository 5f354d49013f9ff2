# shellcheck shell=bash
# Stamps: what was installed with which pins, so that a second call does nothing.

# True when GROUP was installed with exactly these pins.
stamped() { # group pins
  [[ -f $TOOLS/stamps/$1 && $(<"$TOOLS/stamps/$1") == "$2" ]]
}

# Records that GROUP is installed with these pins.
stamp() { # group pins
  mkdir -p "$TOOLS/stamps"
  printf '%s\n' "$2" >"$TOOLS/stamps/$1.new"
  mv "$TOOLS/stamps/$1.new" "$TOOLS/stamps/$1"
}
