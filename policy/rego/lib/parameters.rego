# What a site says, and what is wrong with it. Nothing is admitted by parameters that nobody gave.
package lib.parameters

label := `[a-z0-9](?:[a-z0-9-]*[a-z0-9])?`

host := sprintf(`^%s(?:\.%s)*(?::[1-9][0-9]{0,4})?$`, [label, label])

# Sentences, each of which says what is wrong.
wrong(parameters) := {sentence | some sentence in union({
	{"the parameters are missing: give them registries, a list of HOST[:PORT]" | not is_object(parameters)},
	{"the parameters allow no registry: give them registries, a list of HOST[:PORT]" | is_object(parameters); not registries(parameters)},
	{sprintf("the parameters' registries have what is none: write '%v' as HOST[:PORT]", [entry]) |
		some entry in registries(parameters)
		not good_host(entry)
	},
	{"the parameters' exemptNamespaces are no list of names: mend or leave them out" | is_object(parameters); not namespaces(parameters)},
})}

registries(parameters) := given if {
	given := parameters.registries
	is_array(given)
	count(given) > 0
}

good_host(entry) if regex.match(host, entry)

# The namespaces that are not judged; undefined where they are given as anything but a list of names.
namespaces(parameters) := given if {
	given := object.get(parameters, "exemptNamespaces", [])
	is_array(given)
	every entry in given {
		is_string(entry)
		entry != ""
	}
}
