# shellcheck shell=bash
# What scripts say: the log goes to stderr, so that stdout carries data alone.

# Says one line of progress.
say() { printf '%s\n' "$*" >&2; }

# Ends the script with a sentence that tells what is wrong and how to mend it.
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# The same with an exit code of sysexits.h, for programs that ask why: 65 refused content, 66 no input, 69 cannot be known now,
# 73 cannot write, 77 credentials, 78 configuration.
fail() { # code sentence
  local code=$1
  shift
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit "$code"
}

# Ends the script because it was called in a way it does not understand.
misuse() {
  printf '%s: %s (--help tells more)\n' "${0##*/}" "$*" >&2
  exit 64
}

# Prints the comment block at the top of the calling script: its usage.
usage() { awk 'NR == 1 { next } /^#/ { sub(/^# ?/, ""); print; next } { exit }' "$0"; }

# Refuses to go on without a command; the second word says where it comes from.
need() { # command remedy
  command -v "$1" >/dev/null || die "$1 is missing: $2"
}
