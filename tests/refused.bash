# shellcheck shell=bash
# What bad input must end with, in every test of a command.

# Runs a command that must end with this code and say these words.
refused() { # code words command…
  local code=$1 words=$2
  shift 2
  run --separate-stderr "$@"
  [[ $status == "$code" && $stderr == *"$words"* ]] || {
    echo "$* ended with $status: $stderr $output" >&2
    return 1
  }
}
