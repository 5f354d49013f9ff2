# Kubernetes objects: what runs in them, and which rules it breaks.
package lib.kubernetes

import data.lib.parameters
import data.lib.reference
import data.lib.take
import data.lib.words

# Where the template of what runs lies; its `spec` is judged.
templates := {
	"Pod": [],
	"PodTemplate": ["template"],
	"CronJob": ["spec", "jobTemplate", "spec", "template"],
	"DaemonSet": ["spec", "template"],
	"Deployment": ["spec", "template"],
	"Job": ["spec", "template"],
	"ReplicaSet": ["spec", "template"],
	"ReplicationController": ["spec", "template"],
	"StatefulSet": ["spec", "template"],
}

always_on := {"DaemonSet", "Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"}

containers := {"initContainers": "init container", "containers": "container", "ephemeralContainers": "ephemeral container"}

# The faults of an object, whatever its namespace. Those of other kinds have none.
faults(thing, settings) := {fault | runs(thing); some fault in pod_faults(thing, settings)}

# Whether it is of a kind that runs something. Kinds that a cluster learned later have a dot in their group.
runs(thing) if {
	templates[thing.kind]
	not contains(split(take.text(thing, "apiVersion"), "/")[0], ".")
}

exempt(namespace, settings) if namespace in parameters.namespaces(settings)

namespace(thing) := take.text(take.mapping(thing, "metadata"), "namespace")

called(thing) := sprintf("%s/%s", [thing.kind, name]) if {
	name := take.text(take.mapping(thing, "metadata"), "name")
	name != ""
} else := sprintf("%s/(new)", [take.text(thing, "kind")])

place(thing) := array.concat(templates[thing.kind], ["spec"])

pod(thing) := object.get(thing, place(thing), {})

# Of what cannot be read nothing else is told.
pod_faults(thing, _) := {words.of_place(called(thing), "pod", "input")} if pod_wrong(thing)

pod_faults(thing, settings) := union({
	{words.of_place(called(thing), "pod", "host-access") | some name in ["hostNetwork", "hostPID", "hostIPC"]; take.on(pod(thing), name)},
	{fault |
		some field, word in containers
		some container in take.list(pod(thing), field)
		where := sprintf("%s %s", [word, take.text(container, "name")])
		some rule in container_rules(container, pod(thing), probed(thing, field), settings)
		fault := words.of_image(called(thing), where, take.text(container, "image"), rule)
	},
	{fault |
		some volume in take.list(pod(thing), "volumes")
		some fault in volume_faults(called(thing), sprintf("volume %s", [take.text(volume, "name")]), volume, settings)
	},
}) if {
	not pod_wrong(thing)
}

# Whether anything has a type that it cannot have, so that it is not known what would run.
pod_wrong(thing) if {
	whole := place(thing)
	some length in numbers.range(1, count(whole))
	not type_name(object.get(thing, array.slice(whole, 0, length), null)) in {"object", "null"}
}

pod_wrong(thing) if take.wrong(thing, "metadata", "object")

pod_wrong(thing) if {
	some name in ["name", "namespace"]
	take.wrong(take.mapping(thing, "metadata"), name, "string")
}

pod_wrong(thing) if {
	some name in ["initContainers", "containers", "ephemeralContainers", "volumes"]
	take.wrong_items(pod(thing), name)
}

pod_wrong(thing) if take.wrong(pod(thing), "securityContext", "object")

pod_wrong(thing) if take.wrong(pod(thing), "restartPolicy", "string")

pod_wrong(thing) if {
	some name in ["hostNetwork", "hostPID", "hostIPC"]
	take.wrong(pod(thing), name, "boolean")
}

# Probes are asked of what runs on and on.
probed(thing, field) if {
	field == "containers"
	runs_on(thing)
} else := false

runs_on(thing) if thing.kind in always_on

runs_on(thing) if {
	thing.kind in {"Pod", "PodTemplate"}
	take.text(pod(thing), "restartPolicy") in {"", "Always"}
}

container_rules(container, _, _, _) := {"input"} if container_wrong(container)

container_rules(container, spec, asked, settings) := union({
	reference.broken(take.text(container, "image"), settings.registries),
	{"non-root" | not runs_as_user(container, spec)},
	{"probes" | asked; some name in ["livenessProbe", "readinessProbe"]; take.value(container, name) == null},
	{"privileged" | some name in ["privileged", "allowPrivilegeEscalation"]; take.on(security(container), name)},
	{"capabilities" | count(take.list(take.mapping(security(container), "capabilities"), "add")) > 0},
}) if {
	not container_wrong(container)
}

security(holder) := take.mapping(holder, "securityContext")

container_wrong(container) if {
	some name in ["name", "image"]
	take.wrong(container, name, "string")
}

container_wrong(container) if {
	some name in ["securityContext", "livenessProbe", "readinessProbe"]
	take.wrong(container, name, "object")
}

container_wrong(container) if {
	some name in ["privileged", "allowPrivilegeEscalation"]
	take.wrong(security(container), name, "boolean")
}

container_wrong(container) if take.wrong(security(container), "capabilities", "object")

container_wrong(container) if take.wrong(take.mapping(security(container), "capabilities"), "add", "array")

# Whether it cannot run as root: what a container says goes before what its pod says.
runs_as_user(container, spec) if {
	effective(container, spec, "runAsNonRoot") == true
	user := effective(container, spec, "runAsUser")
	user >= 1
	user == floor(user)
}

effective(container, spec, name) := own if {
	own := take.value(security(container), name)
	own != null
} else := take.value(security(spec), name)

volume_faults(thing, where, volume, _) := {words.of_place(thing, where, "input")} if volume_wrong(volume)

volume_faults(thing, where, volume, settings) := union({
	{words.of_place(thing, where, "host-access") | take.value(volume, "hostPath") != null},
	{words.of_image(thing, where, image, rule) |
		take.value(volume, "image") != null
		image := take.text(take.mapping(volume, "image"), "reference")
		some rule in reference.broken(image, settings.registries)
	},
}) if {
	not volume_wrong(volume)
}

volume_wrong(volume) if take.wrong(volume, "name", "string")

volume_wrong(volume) if {
	some name in ["hostPath", "image"]
	take.wrong(volume, name, "object")
}

volume_wrong(volume) if take.wrong(take.mapping(volume, "image"), "reference", "string")
