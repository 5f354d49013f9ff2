# How a fault is told: one line, the same in every engine.
package lib.words

import data.lib.remedies

# A fault of something that has an image.
of_image(thing, where, image, rule) := of_place(thing, sprintf("%s (%s)", [where, image]), rule)

of_place(thing, where, rule) := {
	"thing": thing,
	"rule": rule,
	"text": plain(sprintf("%s, %s: %s: %s", [thing, where, rule, remedies.of[rule]])),
}

# A text as it can stand in one line: what would begin another is written as Go, C and JSON write it.
plain(text) := strings.replace_n(signs, text)

signs := {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\u0000": "\\u0000", "\u001b": "\\u001b", "\u0085": "\\u0085"}
