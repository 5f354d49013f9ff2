# How images are named: policy/image-reference.md says why. What stands before the first "/" is the registry, what stands behind it
# the rest; what has none is neither pinned nor listed.
package lib.reference

name := `[a-z0-9]+(?:-[a-z0-9]+)*`

pinned_rest := sprintf(`^(%s(?:/%s){1,2})(?::([A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?@sha256:[0-9a-f]{64}$`, [name, name])

# The rules that a reference breaks.
broken(reference, registries) := {"image-pinned" | not pinned(reference)} | {"image-registry" | not listed(reference, registries)}

registry(reference) := substring(reference, 0, indexof(reference, "/")) if contains(reference, "/")

rest(reference) := substring(reference, indexof(reference, "/") + 1, -1) if contains(reference, "/")

listed(reference, registries) if {
	registry(reference) in registries
}

pinned(reference) if {
	some [_, path, tag] in regex.find_all_string_submatch_n(pinned_rest, rest(reference), 1)
	lower(tag) != "latest"
	count(sprintf("%s/%s", [registry(reference), path])) <= 255
	not regex.match(`-(dev|beta|rc)/`, path)
	not regex.match(`-(dev|beta|rc)-(dev|beta|rc)$`, path)
}
