package lib.parameters_test

import data.lib.parameters

test_a_list_of_registries_is_enough if parameters.wrong({"registries": ["registry.intra", "registry.intra:5000", "a-b.c"]}) == set()

test_without_parameters_nothing_may_run if {
	every given in [null, "registry.intra", [], {}, {"registries": null}, {"registries": []}, {"registries": "registry.intra"}] {
		count(parameters.wrong(given)) == 1
	}
}

test_what_is_no_registry_is_no_parameter if {
	every entry in ["", "registry.intra/", "*", "registry.intra ", "registry.intra:0", "Registry.intra", "a..b", 5, null, "https://a"] {
		count(parameters.wrong({"registries": ["registry.intra", entry]})) == 1
	}
}

test_exempt_namespaces_are_a_list_of_names if {
	parameters.wrong({"registries": ["a"], "exemptNamespaces": ["kube-system"]}) == set()
	every given in ["kube-system", null, {"kube-system": true}, {"a": "kube-system"}, [""], [1]] {
		count(parameters.wrong({"registries": ["a"], "exemptNamespaces": given})) == 1
	}
}

test_a_sentence_says_which if {
	some sentence in parameters.wrong({"registries": ["a", "b/c"]})
	contains(sentence, "'b/c'")
}
