# Variables of a Containerfile: ARG and ENV in their order, and texts in which they are filled in.
package lib.variables

variable := `\$\{[^{}]*\}|\$[A-Za-z_][A-Za-z0-9_]*`

# What instructions declare, in order: name, whether ENV or ARG, position, and the value as it is written, where there is one. `given` is
# what was declared before the first FROM.
declared(commands, positions, given) := [entry |
	some at in positions
	some entry in entries(commands[at], at, given)
]

entries(command, at, given) := array.concat(
	[argument(word, at, given) | command.Cmd == "arg"; some word in command.Value],
	[{"name": command.Value[i], "kind": "env", "at": at, "raw": unquoted(command.Value[i + 1])} |
		command.Cmd == "env"
		some i in numbers.range_step(0, count(command.Value) - 2, 3)
	],
)

# An ARG without a value has the one that was given.
argument(word, at, _) := {"name": name, "kind": "arg", "at": at, "raw": unquoted(substring(word, count(name) + 1, -1))} if {
	contains(word, "=")
	name := split(word, "=")[0]
}

argument(word, at, given) := object.union({"name": word, "kind": "arg", "at": at}, value) if {
	not contains(word, "=")
	value := {"raw": raw | some raw in [filled(sprintf("${%s}", [word]), given, at)]}
}

unquoted(text) := substring(text, 1, count(text) - 2) if regex.match(`^("[^"]*"|'[^']*')$`, text)

unquoted(text) := text if not regex.match(`^("[^"]*"|'[^']*')$`, text)

# A text with its variables filled in, as position `at` sees them; undefined where one is not known.
filled(text, declarations, at) := fill(text, visible(declarations, known(declarations), at, text))

# The values of declarations. A value may be made of values before it, which may be made of others: so many times, and no more; what is
# then still open is not known.
known(declarations) := step(declarations, step(declarations, step(declarations, step(declarations, {}))))

step(declarations, values) := {i: value |
	some i, entry in declarations
	value := fill(entry.raw, visible(declarations, values, entry.at, entry.raw))
}

# The values of the names in a text. What is declared last holds; ENV goes before ARG.
visible(declarations, values, at, text) := {name: values[i] |
	some [_, name] in regex.find_all_string_submatch_n(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`, text, -1)
	places := [[entry.kind, i] | some i, entry in declarations; entry.name == name; entry.at < at]
	[_, i] := max(places)
}

fill(text, values) := made if {
	parts := regex.split(variable, text)
	found := regex.find_n(variable, text, -1)
	meanings := [value | some word in found; value := meaning(word, values)]
	count(meanings) == count(found)
	made := concat("", [piece | some i, part in parts; some piece in [part, array.concat(meanings, [""])[i]]])
	not contains(made, "$")
}

meaning(word, values) := value if {
	some [_, name, operator, other] in regex.find_all_string_submatch_n(
		`^\$\{?([A-Za-z_][A-Za-z0-9_]*)(:?[-+])?([^$}]*)\}?$`,
		word, 1,
	)
	value := chosen(object.get(values, name, null), operator, other)
}

chosen(value, "", "") := value if value != null

chosen(value, ":-", _) := value if not value in {null, ""}

chosen(value, ":-", other) := other if value in {null, ""}

chosen(value, "-", _) := value if value != null

chosen(null, "-", other) := other

chosen(value, ":+", other) := other if not value in {null, ""}

chosen(value, ":+", _) := "" if value in {null, ""}

chosen(value, "+", other) := other if value != null

chosen(null, "+", _) := ""
