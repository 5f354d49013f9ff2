package lib.reference_test

import data.lib.reference

digest := "@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

registries := ["registry.intra", "registry.intra:5000"]

broken(text) := reference.broken(concat("", [text, digest]), registries)

both := {"image-pinned", "image-registry"}

test_a_pinned_image_of_a_listed_registry_breaks_nothing if {
	broken("registry.intra/mini/mini-api") == set()
	broken("registry.intra:5000/clairfact/pdp/api:v1.2") == set()
	broken("registry.intra/mini/mini-api-rc:latest-1") == set()
}

test_a_port_is_no_tag if reference.broken("registry.intra:5000/mini/mini-api", registries) == {"image-pinned"}

test_latest_is_refused_in_any_letters if {
	broken("registry.intra/mini/mini-api:latest") == {"image-pinned"}
	broken("registry.intra/mini/mini-api:LaTeSt") == {"image-pinned"}
}

test_nothing_stands_before_or_behind if {
	reference.broken(concat("", ["registry.intra/mini/mini-api", digest, "\n"]), registries) == {"image-pinned"}
	reference.broken(concat("", ["registry.intra/mini/mini-api", digest, digest]), registries) == {"image-pinned"}
	reference.broken(concat("", [" registry.intra/mini/mini-api", digest]), registries) == {"image-registry"}
}

test_a_registry_is_compared_whole if {
	broken("registry.intra.evil/mini/mini-api") == {"image-registry"}
	broken("registry.intra:5000evil/mini/mini-api") == {"image-registry"}
	broken("registry.intra:5001/mini/mini-api") == {"image-registry"}
	broken("user@registry.intra/mini/mini-api") == {"image-registry"}
}

test_without_a_slash_all_is_rest if {
	reference.broken("nginx", registries) == both
	reference.broken("", registries) == both
	reference.rest("a/b/c") == "b/c"
}

test_nothing_before_the_slash_is_no_registry if broken("/mini/api") == {"image-registry"}

test_channels_end_the_last_name_once if {
	broken("registry.intra/mini/api-rc-dev") == {"image-pinned"}
	broken("registry.intra/acme-rc/api") == {"image-pinned"}
	broken("registry.intra/acme/web-dev/api") == {"image-pinned"}
	broken("registry.intra/acme/web-devel") == set()
}

test_a_name_has_at_most_255_signs if {
	long := concat("", ["registry.intra/mini/", concat("", [sign | some _ in numbers.range(1, 235); sign := "a"])])
	count(long) == 255
	broken(long) == set()
	broken(concat("", [long, "a"])) == {"image-pinned"}
}
