# shellcheck shell=bash
# The corpus: what every engine is asked, what it says, and where that is not what the corpus says. Each engine is asked once in a
# file of tests, by the runner of its name; `policy/corpus/cases.tsv` says what must come out.

CORPUS=${CORPUS:-$ROOT/policy/corpus}
RUNNERS=${RUNNERS:-$ROOT/tests/policy/engines}
# shellcheck disable=SC2034  # read by tests
engines=(admission kyverno gatekeeper conftest admit)
# The tier says whether Kyverno is there.
# shellcheck disable=SC2034
[[ ${KYVERNO-1} ]] || engines=(admission gatekeeper conftest admit)

# Prints a table without its comments.
table() { grep -v '^#' "$1"; } # file

# Runs a program of the corpus over tables; it knows what inputs an engine takes and what excuses a case has.
corpus_awk() { # engine program file…
  local engine=$1 program=$2
  shift 2
  awk -F '\t' -v OFS='\t' -v engine="$engine" -v limits="$CORPUS/limits.tsv" -f "$ROOT/tests/policy/corpus.awk" -f <(printf '%s\n' "$program") "$@"
}

# Prints the cases that an engine is asked.
asked() { corpus_awk "$1" '!/^#/ && takes($2) && effect($5) != "skip"' "$CORPUS/cases.tsv"; } # engine

# Asks an engine what it is to be asked, once; leaves its answers and messages in a folder, and prints that.
answers() { # engine
  local place=$BATS_FILE_TMPDIR/$1
  if [[ ! -e $place/code ]]; then
    mkdir -p "$place/messages"
    asked "$1" >"$place/cases.tsv"
    ln -s "$CORPUS"/{accept,reject,old} "$place/"
    ask "$1" "$place" || true
  fi
  [[ $(<"$place/code") == 0 ]] || {
    tail -n 20 "$place/log" >&2
    echo "$1 ended with $(<"$place/code")" >&2
    return 1
  }
  echo "$place"
}

# Asks an engine the cases of a folder; its answers, messages, log and exit code come to lie there.
ask() { # engine folder
  local code=0
  mkdir -p "$2/messages"
  MESSAGES=$2/messages "$RUNNERS/$1" "$2/cases.tsv" >"$2/answers" 2>"$2/log" || code=$?
  echo "$code" >"$2/code"
  return "$code"
}

# Prints every case of which an engine says something else than the corpus, and fails if there is one. The folder has the answers, and
# the cases that were asked.
differences() { # engine folder
  corpus_awk "$1" '
    FILENAME == answers { said[$1] = $2; broken[$1] = $3; count++; next }
    /^#/ { next }
    {
      excused = effect($5)
      if (excused == "reject") { if (said[$2] == "reject") next; $1 = "reject"; $3 = "whatever" }
      if (said[$2] == $1 && broken[$2] == $3) next
      if (said[$2] == "") said[$2] = "nothing"
      print $2 ": " engine " says " said[$2] " (" broken[$2] "), the corpus says " $1 " (" $3 ")"
      faults++
    }
    END {
      if (count != FNR) { print engine " answers " count " times to " FNR " questions"; faults++ }
      exit faults > 0
    }' answers="$2/answers" "$2/answers" <(table "$2/cases.tsv")
}

# Prints every message that is not in the words of POLICY.md, or of a rule that the engine does not name in its answer.
misspoken() { # engine folder
  corpus_awk "$1" '
    FILENAME == rules { if (!/^#/) remedy[$1] = $2; next }
    FILENAME == answers { broken[$1] = $3; next }
    /^#/ { next }
    effect($5) == "reject" { next }
    {
      file = name = $2
      gsub("/", "_", name)
      named = ""
      while ((getline line <(messages "/" name ".txt")) > 0) {
        rule = ruled(line)
        if (rule == "") complain(line, "ends with no remedy")
        else if (rule != "input" && substr(line, 1, length(line) - length(": " rule ": " remedy[rule])) !~ begins(file)) complain(line, "begins otherwise")
        if (("," named) !~ "," rule ",") named = named rule ","
      }
      if (sorted(named) != broken[file]) complain("(" sorted(named) ")", "but the answer is (" broken[file] ")")
    }
    function complain(line, why) { print file ": " engine ": " line ": " why; faults++ }
    END { exit faults > 0 }' rules="$ROOT/policy/rules.tsv" answers="$2/answers" messages="$2/messages" "$ROOT/policy/rules.tsv" "$2/answers" "$2/cases.tsv"
}

# Prints "file TAB message" of all that an engine says in the words of POLICY.md; what cannot be read is told by each in its own way.
spoken() { # engine folder
  corpus_awk "$1" '
    FILENAME == rules { if (!/^#/) remedy[$1] = $2; next }
    effect($5) == "reject" { next }
    {
      name = $2
      gsub("/", "_", name)
      while ((getline line <(messages "/" name ".txt")) > 0) if (ruled(line) != "input") print $2, line
    }' rules="$ROOT/policy/rules.tsv" messages="$2/messages" "$ROOT/policy/rules.tsv" "$2/cases.tsv" | LC_ALL=C sort -u
}
