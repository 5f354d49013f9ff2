package lib.variables_test

import data.lib.variables

values := {"A": "a", "AB": "ab", "EMPTY": ""}

test_variables_are_filled_in if {
	every text, filled in {
		"": "", "x": "x", "$A": "a", "${A}": "a", "$AB$A": "aba", "x-${A}b-$AB.y": "x-ab-ab.y", "$EMPTY": "",
		"${A:-x}": "a", "${A-x}": "a", "${EMPTY:-x}": "x", "${EMPTY-x}": "", "${NONE:-x}": "x", "${NONE-x}": "x", "${NONE:-}": "",
		"${A:+x}": "x", "${A+x}": "x", "${EMPTY:+x}": "", "${EMPTY+x}": "x", "${NONE:+x}": "", "${NONE+x}": "",
	} {
		variables.fill(text, values) == filled
	}
}

test_what_is_not_known_is_not_filled_in if {
	every text in ["$NONE", "$A$NONE", "${NONE}", "${A", "$", "a$1", "${A#a}", "${A%a}", "${A:1}", "${NONE:-${A}}", "${}", "${A:?x}"] {
		not variables.fill(text, values)
	}
}

test_quotes_are_taken_off if {
	variables.unquoted(`"a b"`) == "a b"
	variables.unquoted(`'a'`) == "a"
	variables.unquoted(`"a`) == `"a`
	variables.unquoted(`"a" "b"`) == `"a" "b"`
}

declared(words) := [{"name": name, "kind": kind, "at": at, "raw": raw} | some at, [kind, name, raw] in words]

filled(text, words) := variables.filled(text, declared(words), 100)

test_the_last_word_holds_and_env_goes_first if {
	filled("$A", [["arg", "A", "1"], ["arg", "A", "2"]]) == "2"
	filled("$A", [["env", "A", "1"], ["arg", "A", "2"]]) == "1"
	variables.filled("$A", declared([["arg", "A", "1"], ["arg", "A", "2"]]), 1) == "1"
}

test_values_are_made_of_values_before if {
	filled("$C", [["arg", "A", "1"], ["arg", "B", "${A}2"], ["arg", "C", "${B}3"]]) == "123"
	filled("$B", [["arg", "A", "1"], ["arg", "B", "$A"], ["arg", "A", "2"]]) == "1"
	not filled("$A", [["arg", "A", "$A"]])
	not filled("$A", [["arg", "A", "$B"], ["arg", "B", "1"]])
}
