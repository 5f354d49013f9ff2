# Containerfiles, as conftest's parser gives them: every image that is named, and how the last stage ends.
package lib.containerfile

import data.lib.image
import data.lib.reference
import data.lib.variables
import data.lib.words

# What ONBUILD does is done in other builds, where nobody judges it.
faults(commands, settings) := union({
	{words.of_place("Containerfile", "line 1", "input") | count(froms(commands)) == 0},
	{told(commands, at, "input") | some at in positions(commands, "onbuild")},
	{fault | some named in images(commands); some fault in image_faults(commands, named, settings)},
	{told(commands, at, rule) | some at in positions(commands, "add"); some rule in add_rules(commands, at)},
	{told(commands, at, rule) | some [at, rule] in user_rules(commands)},
	{told(commands, at, rule) | some [at, rule] in health_rules(commands)},
})

told(commands, at, rule) := words.of_place("Containerfile", line(commands, at), rule)

# Where an instruction stands. The parser does not tell lines: policy/conftest/judge writes them into comments.
line(commands, at) := sprintf("line %s", [number]) if {
	some [_, number] in regex.find_all_string_submatch_n(`^judged: line ([0-9]+)$`, commands[at - 1].Value[0], 1)
} else := sprintf("instruction %d", [count([i | some i, command in commands; i <= at; command.Cmd != "comment"])])

positions(commands, name) := [at | some at, command in commands; command.Cmd == name]

froms(commands) := positions(commands, "from")

# The number of the stage that an instruction belongs to; -1 before the first FROM.
stage(commands, at) := count([from | some from in froms(commands); from <= at]) - 1

last_stage(commands) := count(froms(commands)) - 1

# What ARGs before the first FROM say.
given(commands) := variables.declared(commands, [at | some at in positions(commands, "arg"); stage(commands, at) < 0], [])

# A text with those filled in.
given_text(commands, text) := variables.unquoted(variables.filled(text, given(commands), froms(commands)[0]))

# A text of an instruction, filled in with what its stage says before it.
said(commands, at, text) := variables.filled(variables.unquoted(text), variables.declared(commands, declarations, given(commands)), at) if {
	stages := chain(commands, stage(commands, at))
	declarations := [i | some i, command in commands; command.Cmd in {"arg", "env"}; stage(commands, i) in stages]
}

# The stage before another that a name means: the last of that name.
earlier(commands, name, number) := max([before |
	some before, from in froms(commands)
	before < number
	lower(commands[from].Value[2]) == lower(name)
])

# The numbers of a stage and of those that it is made from.
chain(commands, number) := graph.reachable(bases(commands), {number})

bases(commands) := {number: before |
	some number, from in froms(commands)
	before := [found | found := earlier(commands, given_text(commands, commands[from].Value[0]), number)]
}

# Every place that names an image or a stage.
images(commands) := array.concat(
	[{"at": at, "text": commands[at].Value[0]} | some at in froms(commands)],
	[{"at": at, "text": text} |
		some at, command in commands
		some flag in command.Flags
		some text in sources(command.Cmd, flag)
	],
)

sources("copy", flag) := [substring(flag, 7, -1)] if startswith(flag, "--from=")

sources("run", flag) := [text |
	some field in split(trim_prefix(flag, "--mount="), ",")
	some [_, text] in regex.find_all_string_submatch_n(`^"?(?i:from)=([^"]*)"?$`, field, 1)
]

image_faults(commands, named, _) := {told(commands, named.at, "input")} if not given_text(commands, named.text)

image_faults(commands, named, settings) := {fault |
	not text == "scratch"
	not of_stage(commands, named.at, text)
	some rule in reference.broken(text, settings.registries)
	fault := words.of_image("Containerfile", line(commands, named.at), text, rule)
} if {
	text := given_text(commands, named.text)
}

of_stage(commands, at, text) if earlier(commands, text, stage(commands, at)) >= 0

of_stage(commands, at, text) if {
	commands[at].Cmd != "from"
	regex.match(`^[0-9]{1,4}$`, text)
	to_number(text) < stage(commands, at)
}

add_rules(commands, at) := {rule |
	not checked(commands[at])
	some i, source in commands[at].Value
	i < count(commands[at].Value) - 1
	some rule in add_rule(commands, at, variables.unquoted(source))
}

checked(command) if {
	some flag in command.Flags
	regex.match(`^--checksum=.`, flag)
}

# What a source is depends on how it begins, where variables may stand as well.
add_rule(commands, at, source) := {"add-url"} if {
	far(source)
} else := {"add-url" | far(text)} if {
	text := said(commands, at, source)
} else := {"input" |
	some beginning in ["http://", "https://", "ftp://", "git@"]
	startswith(beginning, lower(split(source, "$")[0]))
}

far(source) if regex.match(`^((?i:https?|ftp)://|git@)`, source)

# The last instruction of a name in the last stage and those that it is made from.
last(commands, name) := max([at |
	some at in positions(commands, name)
	stage(commands, at) in chain(commands, last_stage(commands))
])

user_rules(commands) := {[froms(commands)[last_stage(commands)], "non-root"]} if {
	not last(commands, "user")
} else := {[last(commands, "user"), rule] | some rule in user_rule(commands, last(commands, "user"))}

user_rule(commands, at) := {"non-root" | not image.user(user)} if {
	user := said(commands, at, commands[at].Value[0])
} else := {"input"}

health_rules(commands) := {[froms(commands)[last_stage(commands)], "probes"]} if {
	not last(commands, "healthcheck")
} else := {[last(commands, "healthcheck"), "probes"] |
	upper(commands[last(commands, "healthcheck")].Value[0]) == "NONE"
}
