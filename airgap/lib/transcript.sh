# shellcheck shell=bash
# A record of one command: what was typed, when, by whom, with which tools; all it said; and how it ended.

# Runs a command and adds all of it to a file. What it says goes where it would have gone. Ends with its exit code.
transcript() { # program file words…
  local program=$1 file=$2 code=0 fifo
  shift 2
  { printf '' >>"$file"; } 2>/dev/null || fail 73 "$file cannot be written"
  {
    printf '# %s %s@%s\n$' "$(trust_now)" "$(id -un)" "$(hostname)"
    printf ' %q' "${program##*/}" "$@"
    printf '\n'
    transcript_tools
  } >>"$file"
  fifo=$(mktemp -d)
  # Whoever writes to the file has written all of it before the last line is: both are waited for.
  mkfifo "$fifo/out" "$fifo/err"
  tee -a "$file" <"$fifo/out" &
  local out=$!
  tee -a "$file" <"$fifo/err" >&2 &
  local err=$!
  "$program" "$@" >"$fifo/out" 2>"$fifo/err" || code=$?
  wait "$out" "$err" || true
  rm -rf "$fifo"
  printf '# %s ended with %d\n\n' "$(trust_now)" "$code" >>"$file" || fail 73 "$file cannot be written to its end"
  return "$code"
}

# Prints a line for each tool that has a part in the journey: which file it is, by its hash.
transcript_tools() {
  local tool file
  for tool in curl jq openssl cosign oras crane skopeo; do
    file=$(type -P "$tool") || continue
    printf '# %s  %s\n' "$(sha256sum "$file" | cut -d ' ' -f 1)" "$tool"
  done
}
