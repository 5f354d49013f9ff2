# Compose files: each service as a container, whatever its profile. A file is judged as it is: what would be filled in or fetched
# from elsewhere before it runs makes it unreadable here, and `docker compose config` does that.
package lib.compose

import data.lib.image
import data.lib.mounts
import data.lib.reference
import data.lib.take
import data.lib.words

# What a service is judged by.
judged := [
	"image", "user", "restart", "deploy", "healthcheck", "userns_mode", "security_opt", "cap_add", "network_mode", "pid",
	"ipc", "uts", "cgroup", "devices", "volumes",
]

types := {
	"string": ["image", "userns_mode", "network_mode", "pid", "ipc", "uts", "cgroup"],
	"object": ["deploy", "healthcheck"],
	"array": ["security_opt", "cap_add", "devices", "volumes"],
}

# Whether a file says by itself what runs.
readable(file) if {
	count(take.mapping(file, "services")) > 0
	take.value(file, "include") == null
}

# The faults of a file. `images` are the configurations of images by reference, one or a list of them (one for each platform).
faults(file, images, settings) := {fault |
	some name, service in take.mapping(file, "services")
	reference_text := take.text(service, "image")
	some rule in rules(file, service, images, settings)
	fault := words.of_image(sprintf("Service/%s", [name]), sprintf("container %s", [name]), reference_text, rule)
}

rules(file, service, _, _) := {"input"} if wrong(file, service)

rules(file, service, images, settings) := union({
	reference.broken(take.text(service, "image"), settings.registries),
	{"image-pinned" | take.value(service, "build") != null},
	{"non-root" | not runs_as_user(service, known(service, images, settings))},
	{"probes" | runs_on(service); not checked(service, known(service, images, settings))},
	{"privileged" | unconfined(service)},
	{"capabilities" | count(take.list(service, "cap_add")) > 0},
	{"host-access" | reaches_host(file, service)},
}) if {
	not wrong(file, service)
}

# The configurations of a service's image, where they are known; of one that breaks a rule nothing is believed.
known(service, images, settings) := found if {
	take.value(service, "build") == null
	count(reference.broken(service.image, settings.registries)) == 0
	found := every_platform(images[service.image])
} else := []

every_platform(images) := images if is_array(images)

every_platform(images) := [images] if not is_array(images)

runs_as_user(service, _) if {
	image.user(sprintf("%v", [take.value(service, "user")]))
}

runs_as_user(service, images) if {
	take.value(service, "user") in {null, ""}
	count(images) > 0
	every known_image in images { image.runs_as_user(known_image) }
}

runs_on(service) if not ends(service)

ends(service) if take.value(service, "restart") in {false, "no"}

ends(service) if startswith(take.text(service, "restart"), "on-failure")

ends(service) if restart_condition(service) in {"none", "on-failure"}

restart_condition(service) := take.text(take.mapping(take.mapping(service, "deploy"), "restart_policy"), "condition")

# Whether it has a health check, its own or its image's, that is not switched off.
checked(service, _) if {
	not unchecked(service)
	count(take.value(health(service), "test")) > 0
}

checked(service, images) if {
	not unchecked(service)
	count(images) > 0
	every known_image in images { image.checked(known_image) }
}

health(service) := take.mapping(service, "healthcheck")

unchecked(service) if switched_on(health(service), "disable")

unchecked(service) if take.value(health(service), "test") == "NONE"

unchecked(service) if take.list(health(service), "test")[0] == "NONE"

unconfined(service) if switched_on(service, "privileged")

unconfined(service) if take.text(service, "userns_mode") == "host"

unconfined(service) if {
	some option in take.list(service, "security_opt")
	contains(option, "unconfined")
}

unconfined(service) if {
	some option in take.list(service, "security_opt")
	option in {"label:disable", "label=disable", "no-new-privileges:false", "no-new-privileges=false"}
}

reaches_host(_, service) if {
	some name in ["network_mode", "pid", "ipc", "uts", "cgroup"]
	take.text(service, name) == "host"
}

reaches_host(_, service) if count(take.list(service, "devices")) > 0

reaches_host(file, service) if {
	some volume in take.list(service, "volumes")
	mounts.of_host(mounts.source(file, volume))
}

# A switch, which Compose takes as text as well.
switched_on(holder, name) if take.on(holder, name)

switched_on(holder, name) if lower(take.text(holder, name)) in {"1", "t", "true", "y", "yes", "on"}

wrong_switch(holder, name) if {
	take.wrong(holder, name, "boolean")
	not lower(take.text(holder, name)) in {"1", "t", "true", "y", "yes", "on", "0", "f", "false", "n", "no", "off"}
	take.value(holder, name) != ""
}

wrong(_, service) if {
	service != null
	not is_object(service)
}

wrong(_, service) if take.value(service, "extends") != null

wrong(_, service) if {
	some name in judged
	unresolved(take.value(service, name))
}

wrong(_, service) if {
	some type, names in types
	some name in names
	take.wrong(service, name, type)
}

wrong(_, service) if {
	not take.value(service, "restart") in {false, null}
	take.wrong(service, "restart", "string")
}

wrong(_, service) if not type_name(take.value(service, "user")) in {"null", "string", "number"}

wrong(_, service) if not type_name(take.value(health(service), "test")) in {"null", "string", "array"}

wrong(_, service) if wrong_switch(service, "privileged")

wrong(_, service) if wrong_switch(health(service), "disable")

wrong(_, service) if {
	some option in take.list(service, "security_opt")
	not is_string(option)
}

wrong(_, service) if take.wrong(take.mapping(service, "deploy"), "restart_policy", "object")

wrong(_, service) if take.wrong(take.mapping(take.mapping(service, "deploy"), "restart_policy"), "condition", "string")

wrong(file, service) if {
	some volume in take.list(service, "volumes")
	mounts.wrong(file, volume)
}

# Whether a variable stands in a value; `$$` is a dollar.
unresolved(value) if {
	walk(value, [_, part])
	regex.match(`(^|[^$])(\$\$)*\$[A-Za-z_{]`, part)
}
