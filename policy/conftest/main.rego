# What conftest asks: the faults of all files at once (--combine), each with the path of its file. No namespace is exempt: whoever
# writes a file would choose it.
package main

import data.lib.compose
import data.lib.containerfile
import data.lib.image
import data.lib.kubernetes
import data.lib.lists
import data.lib.parameters
import data.lib.take
import data.lib.words

default settings := null

settings := data.parameters

deny contains {"msg": sentence, "path": "", "rule": "error"} if some sentence in parameters.wrong(settings)

deny contains {"msg": "ask for all documents of a file at once: conftest test --combine", "path": "", "rule": "error"} if not combined

deny contains {"msg": fault.text, "path": path, "rule": fault.rule} if {
	some [path, fault] in faults
	not excepted(fault)
}

combined if {
	count(input) > 0
	every entry in input { object.keys(entry) == {"path", "contents"} }
}

# What may break a rule where files are judged. What cannot be read is never excepted.
excepted(fault) if {
	fault.rule != "input"
	some exception in settings.exceptions
	exception.object == fault.thing
	exception.rule == fault.rule
}

# Of a file that cannot be judged as a whole nothing else is told.
faults contains [path, words.of_place(sprintf("File/%s", [name(path)]), "file", "input")] if some path in unreadable

faults contains [entry.path, fault] if {
	some entry in input
	not entry.path in unreadable
	some fault in faults_of(entry)
}

faults_of(entry) := {fault | some thing in lists.objects(entry.contents); some fault in kubernetes.faults(thing, settings)} if {
	is_kubernetes(entry.contents)
}

faults_of(entry) := compose.faults(entry.contents, images(entry.path), settings) if is_compose(entry.contents)

faults_of(entry) := containerfile.faults(entry.contents, settings) if is_containerfile(entry.contents)

faults_of(entry) := image.faults(entry.contents) if is_image(entry.contents)

# It says nothing.
unreadable contains path if {
	some path in ({entry.path | some entry in input} - {entry.path | some entry in said})
}

# It is nothing of what is judged, or more than one of it.
unreadable contains entry.path if {
	some entry in said
	kinds := [name | some name, holds in kinds_of(entry.contents); holds]
	count(kinds) != 1
}

# Only Kubernetes' files have several documents: what else has them is put together by others in a way of their own.
unreadable contains entry.path if {
	some i, entry in said
	some beside in [-1, 1]
	other := said[i + beside]
	entry.path == other.path
	not is_kubernetes(entry.contents)
}

# Documents that say anything; conftest has sorted them by their files.
said := [entry | some entry in input; entry.contents != null]

unreadable contains entry.path if {
	some entry in input
	is_compose(entry.contents)
	not compose.readable(entry.contents)
}

unreadable contains entry.path if {
	some entry in input
	is_kubernetes(entry.contents)
	lists.wrong(entry.contents)
}

kinds_of(contents) := {
	"Kubernetes": is_kubernetes(contents), "Compose": is_compose(contents), "Containerfile": is_containerfile(contents),
	"image": is_image(contents),
}

is_kubernetes(contents) if {
	some name in ["kind", "apiVersion"]
	take.value(contents, name) != null
} else := false

is_compose(contents) if {
	take.value(contents, "services") != null
} else := false

is_image(contents) if {
	take.value(contents, "architecture") != null
	take.value(contents, "os") != null
} else := false

is_containerfile(contents) if {
	is_array(contents)
	count(contents) > 0
	every command in contents { is_string(command.Cmd) }
} else := false

# The configurations of images that are known where a file is judged.
images(path) := known if {
	known := data.images[path]
} else := {}

# A file is called as its caller calls it.
name(path) := called if {
	called := data.names[path]
} else := path
