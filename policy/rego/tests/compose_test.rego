package lib.compose_test

import data.lib.compose

settings := {"registries": ["registry.intra"]}

image := "registry.intra/mini/api@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

service := {"image": image, "user": "1000:1000", "healthcheck": {"test": ["CMD", "true"]}}

good_image := {"config": {"User": "5", "Healthcheck": {"Test": ["CMD", "true"]}}}

rules(changed) := rules_in(changed, {})

rules_in(changed, images) := {fault.rule | some fault in compose.faults({"services": {"web": object.union(service, changed)}}, images, settings)}

without(names) := {name: null | some name in names}

test_a_sound_service_breaks_nothing if rules({}) == set()

test_an_image_that_is_built_is_not_pinned if {
	rules({"build": "."}) == {"image-pinned"}
	rules({"build": {}, "image": null}) == {"image-pinned", "image-registry"}
}

test_a_user_is_a_number_from_1_on if {
	every user in ["1", "65532:65532", "1000:staff", 1000] { rules({"user": user}) == set() }
	every user in ["0", "root", "0:5", ":5", "01", "+1", "1 ", "1:\n", 0, "1000:"] { rules({"user": user}) == {"non-root"} }
}

test_what_a_service_does_not_say_its_image_may if {
	missing := without(["user", "healthcheck"])
	rules(missing) == {"non-root", "probes"}
	rules_in(missing, {image: good_image}) == set()
	rules_in(missing, {image: [good_image, good_image]}) == set()
	rules_in(missing, {image: [good_image, {"config": {}}]}) == {"non-root", "probes"}
	rules_in(missing, {image: []}) == {"non-root", "probes"}
	rules_in(missing, {image: null}) == {"non-root", "probes"}
	rules_in(object.union(missing, {"user": ""}), {image: good_image}) == set()
}

test_of_an_image_that_breaks_a_rule_nothing_is_believed if {
	rules_in({"image": "nginx", "user": null}, {"nginx": good_image}) == {"image-pinned", "image-registry", "non-root"}
	rules_in({"build": ".", "user": null}, {image: good_image}) == {"image-pinned", "non-root"}
}

test_a_health_check_can_be_switched_off if {
	every check in [{"disable": true}, {"disable": "true"}, {"test": ["NONE"]}, {"test": "NONE"}, {"test": "true", "disable": "yes"}] {
		rules_in({"healthcheck": null}, {image: good_image}) == set()
		rules_in({"healthcheck": object.union({"test": null}, check)}, {image: good_image}) == {"probes"}
	}
	rules({"healthcheck": {"test": "true", "disable": "false"}}) == set()
	rules({"healthcheck": {"test": [], "interval": "5s"}}) == {"probes"}
}

test_what_ends_needs_no_health_check if {
	every restart in ["no", false, "on-failure", "on-failure:3"] { rules({"healthcheck": null, "restart": restart}) == set() }
	every restart in [null, "always", "unless-stopped", ""] { rules({"healthcheck": null, "restart": restart}) == {"probes"} }
	every condition in ["none", "on-failure"] {
		rules({"healthcheck": null, "deploy": {"restart_policy": {"condition": condition}}}) == set()
	}
	rules({"healthcheck": null, "deploy": {"restart_policy": {"condition": "any"}}}) == {"probes"}
}

test_confinement_stays if {
	every changed in [
		{"privileged": true}, {"privileged": "true"}, {"userns_mode": "host"}, {"security_opt": ["seccomp:unconfined"]},
		{"security_opt": ["no-new-privileges:true", "label=disable"]}, {"security_opt": ["no-new-privileges=false"]},
	] {
		rules(changed) == {"privileged"}
	}
	rules({"privileged": "false", "security_opt": ["no-new-privileges:true"]}) == set()
	rules({"cap_add": ["CHOWN"]}) == {"capabilities"}
	rules({"cap_add": [], "devices": []}) == set()
}

test_the_host_is_left_out if {
	every name in ["network_mode", "pid", "ipc", "uts", "cgroup"] { rules({name: "host"}) == {"host-access"} }
	rules({"devices": ["/dev/kvm"]}) == {"host-access"}
	every volume in [
		"/:/host", "/etc:/a:ro", "/var/run/docker.sock:/s", "/srv/../etc:/a", "//etc:/a", "/./etc/:/a", "/../root:/a", "/srv/..:/a", "/a/b/../../usr/x:/a",
		{"type": "bind", "source": "/proc", "target": "/a"}, {"source": "/srv/./../sys"},
	] {
		rules({"volumes": [volume]}) == {"host-access"}
	}
	every volume in ["data:/etc", "/etc", "./etc:/a", "/srv/data:/etc", "/etcetera:/a", "/var/libx:/a", "/home/../srv:/a", {"type": "volume", "source": "data", "target": "/a"}] {
		rules({"volumes": [volume]}) == set()
	}
}

test_a_volume_can_be_the_host_by_another_name if {
	file := {"services": {"web": object.union(service, {"volumes": ["root:/a"]})}, "volumes": {"root": {"driver_opts": {"o": "ro,bind", "device": "/"}}}}
	{fault.rule | some fault in compose.faults(file, {}, settings)} == {"host-access"}
	safe := object.union(file, {"volumes": {"root": {"driver_opts": {"o": "addr=10.0.0.1", "type": "nfs", "device": "/etc"}}}})
	compose.faults(safe, {}, settings) == set()
}

test_what_is_filled_in_later_is_refused if {
	every changed in [
		{"image": "${IMAGE}"}, {"user": "$USER"}, {"volumes": ["$HOME:/a"]}, {"deploy": {"replicas": "$$${N}"}}, {"extends": "web"}, {"extends": {"service": "web"}},
	] {
		rules(changed) == {"input"}
	}
	rules({"healthcheck": {"test": "test $$HOME = /"}, "environment": {"A": "${A}"}, "command": "$X"}) == set()
}

test_a_type_that_cannot_be_is_refused if {
	every changed in [
		{"image": ["x"]}, {"user": true}, {"restart": true}, {"deploy": "x"}, {"healthcheck": "true"}, {"healthcheck": {"test": 5}}, {"privileged": []},
		{"privileged": "perhaps"}, {"security_opt": "unconfined"}, {"security_opt": [{"a": 1}]}, {"cap_add": {"ALL": true}}, {"network_mode": 1},
		{"volumes": "/:/a"}, {"volumes": [5]}, {"volumes": [{"source": 5}]}, {"healthcheck": {"disable": 5}},
		{"deploy": {"restart_policy": "none"}}, {"deploy": {"restart_policy": {"condition": 1}}},
	] {
		rules(changed) == {"input"}
	}
	compose.faults({"services": {"web": "x"}}, {}, settings) != set()
}

test_a_file_without_services_says_nothing if {
	every file in [{}, {"services": {}}, {"services": []}, {"services": {"web": {}}, "include": ["other.yaml"]}] { not compose.readable(file) }
	compose.readable({"services": {"web": {}}})
}

test_a_service_of_nothing_has_no_image if {
	{fault.rule | some fault in compose.faults({"services": {"web": null}}, {}, settings)} == {"image-pinned", "image-registry", "non-root", "probes"}
}
