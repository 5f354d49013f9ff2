# Where the volumes of a Compose service lie on the host.
package lib.mounts

import data.lib.take

roots := [
	"/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var/lib", "/var/run",
]

# The source of a bind mount, or of a volume that is one by another name; empty for a volume of the engine's.
source(file, volume) := named(file, written(volume)) if not regex.match(`^[/.~]`, written(volume))

source(_, volume) := written(volume) if regex.match(`^[/.~]`, written(volume))

written(volume) := split(volume, ":")[0] if {
	is_string(volume)
	contains(volume, ":")
} else := found if {
	found := take.text(volume, "source")
	found != ""
} else := take.text(volume, "src")

named(file, name) := sprintf("%v", [options(file, name).device]) if {
	contains(sprintf("%v", [options(file, name).o]), "bind")
} else := ""

options(file, name) := take.mapping(take.mapping(take.mapping(file, "volumes"), name), "driver_opts")

# Whether a path is one of those that belong to the host.
of_host(path) if {
	startswith(path, "/")
	clean(path) == "/"
}

of_host(path) if {
	some root in roots
	startswith(concat("", [clean(path), "/"]), concat("", [root, "/"]))
}

# More than eight folders that are left again: nobody writes that in good faith.
of_host(path) if {
	regex.match(`^/(.*/)?\.\.(/|$)`, clean(path))
}

# A path without what leads nowhere: empty folders, ".", and folders that ".." leaves again.
clean(path) := trimmed if {
	short := regex.replace(concat("", [path, "/"]), `/(\.?/)+`, "/")
	inner := up(up(up(up(up(up(up(up(short))))))))
	trimmed := trim_right(inner, "/")
	trimmed != ""
} else := "/"

up(path) := regex.replace(regex.replace(path, `^(/\.\.)+/`, "/"), `/([^/.][^/]*|\.[^/.][^/]*|\.\.[^/]+)/\.\./`, "/")

wrong(_, volume) if not type_name(volume) in {"string", "object"}

wrong(_, volume) if {
	some name in ["source", "src"]
	take.wrong(volume, name, "string")
}

wrong(file, _) if take.wrong(file, "volumes", "object")

wrong(file, volume) if take.wrong(take.mapping(file, "volumes"), written(volume), "object")

wrong(file, volume) if take.wrong(take.mapping(take.mapping(file, "volumes"), written(volume)), "driver_opts", "object")

wrong(file, volume) if {
	walk(options(file, written(volume)), [_, part])
	regex.match(`(^|[^$])(\$\$)*\$[A-Za-z_{]`, part)
}
