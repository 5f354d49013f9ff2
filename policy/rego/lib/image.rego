# Image configurations (OCI): what an image runs as, where nobody says otherwise.
package lib.image

import data.lib.take
import data.lib.words

labels := ["org.opencontainers.image.title", "org.opencontainers.image.version", "org.opencontainers.image.revision"]

faults(image) := {words.of_place("Image", "config", rule) | some rule in rules(image)}

rules(image) := {"input"} if wrong(image)

rules(image) := union({
	{"non-root" | not runs_as_user(image)},
	{"probes" | not checked(image)},
	{"labels" | some label in labels; take.text(take.mapping(config(image), "Labels"), label) == ""},
}) if {
	not wrong(image)
}

config(image) := take.mapping(image, "config")

runs_as_user(image) if user(take.text(config(image), "User"))

# Whether a user is a number from 1 on, with or without a group.
user(text) if regex.match(`^[1-9][0-9]*(:.+)?$`, text)

# Whether it has a health check that is not switched off.
checked(image) if {
	test := take.list(take.mapping(config(image), "Healthcheck"), "Test")
	test[0] != "NONE"
}

wrong(image) if take.wrong(image, "config", "object")

wrong(image) if take.wrong(config(image), "User", "string")

wrong(image) if {
	some name in ["Labels", "Healthcheck"]
	take.wrong(config(image), name, "object")
}

wrong(image) if take.wrong(take.mapping(config(image), "Healthcheck"), "Test", "array")

wrong(image) if {
	some label in labels
	take.wrong(take.mapping(config(image), "Labels"), label, "string")
}
