package lib.image_test

import data.lib.image

labels := {"org.opencontainers.image.title": "a", "org.opencontainers.image.version": "1", "org.opencontainers.image.revision": "c"}

config := {"User": "65532:65532", "Healthcheck": {"Test": ["CMD", "/a"]}, "Labels": labels}

rules(changed) := image.rules({"architecture": "amd64", "os": "linux", "config": object.union(config, changed)})

test_a_sound_image_breaks_nothing if rules({}) == set()

test_nothing_said_is_refused if {
	image.rules({"architecture": "amd64", "os": "linux"}) == {"labels", "non-root", "probes"}
	image.rules({"architecture": "amd64", "os": "linux", "config": null}) == {"labels", "non-root", "probes"}
}

test_the_user_is_a_number if {
	every user in ["", "root", "0", "0:0", "00", null] { rules({"User": user}) == {"non-root"} }
}

test_the_health_check_asks_something if {
	every check in [null, {"Test": []}, {"Test": ["NONE"]}, {"Test": null}] { rules({"Healthcheck": check}) == {"probes"} }
	rules({"Healthcheck": {"Test": ["CMD-SHELL", "x"]}}) == set()
}

test_each_label_is_asked_for if {
	every label in image.labels {
		rules({"Labels": {label: ""}}) == {"labels"}
		rules({"Labels": {label: null}}) == {"labels"}
	}
}

test_a_type_that_cannot_be_is_refused if {
	every changed in [{"User": 5}, {"Healthcheck": []}, {"Healthcheck": {"Test": "x"}}, {"Labels": []}, {"Labels": {image.labels[0]: 5}}] { rules(changed) == {"input"} }
	image.rules({"architecture": "amd64", "os": "linux", "config": []}) == {"input"}
}
