package files_test

import data.main

settings := {"registries": ["registry.intra"], "exceptions": [{"object": "Service/log", "rule": "non-root"}, {"object": "File/a.json", "rule": "input"}]}

told(entries) := {[fault.path, fault.rule] | some fault in denied} if {
	denied := main.deny with input as entries with data.parameters as settings with data.names as {"a": "a.json"}
}

of_documents(documents) := {rule | some [_, rule] in told([{"path": "a", "contents": document} | some document in documents])}

risky := {"apiVersion": "v1", "kind": "Pod", "spec": {"hostPID": true}}

test_what_says_nothing_is_refused if {
	of_documents([null]) == {"input"}
	of_documents([null, null]) == {"input"}
}

test_an_empty_document_beside_others_is_nothing if of_documents([null, {"kind": "ConfigMap", "apiVersion": "v1"}]) == set()

test_what_is_nothing_of_what_is_judged_is_refused if {
	every document in ["text", 5, [], {}, [risky], {"image": "nginx"}, {"architecture": "amd64"}, {"a": {"Cmd": "from"}}, {"kind": ""}, {"apiVersion": "v1"}] {
		of_documents([document]) == {"input"}
	}
}

test_what_could_be_two_things_is_refused if {
	of_documents([{"kind": "ConfigMap", "services": {"web": {}}}]) == {"input"}
	of_documents([{"apiVersion": "v1", "services": {"web": {}}}]) == {"input"}
	of_documents([{"kind": "ConfigMap", "architecture": "amd64", "os": "linux"}]) == {"input"}
}

test_only_manifests_have_several_documents if {
	of_documents([risky, {"kind": "ConfigMap"}]) == {"host-access"}
	of_documents([{"services": {"web": {}}}, {"services": {"api": {}}}]) == {"input"}
	of_documents([{"services": {"web": {}}}, null, {"kind": "ConfigMap"}]) == {"input"}
}

test_lists_are_taken_apart if {
	of_documents([{"kind": "List", "items": [{"kind": "ConfigMap"}, risky]}]) == {"host-access"}
	of_documents([{"kind": "PodList", "items": [object.remove(risky, ["kind"])]}]) == {"host-access"}
	of_documents([{"kind": "List", "items": [{"kind": "List", "items": [{"kind": "PodList", "items": [risky]}]}]}]) == {"host-access"}
	of_documents([{"kind": "List", "items": []}]) == set()
	of_documents([{"kind": "List"}]) == set()
}

test_only_lists_have_items if {
	of_documents([{"apiVersion": "example.com/v1", "kind": "Box", "items": [risky]}]) == set()
	of_documents([{"kind": "List", "items": [{"apiVersion": "example.com/v1", "kind": "Box", "items": "text"}]}]) == set()
}

test_a_list_of_what_is_no_object_is_refused if {
	every items in ["text", {"a": risky}, [5], [null], [{"spec": {}}], [[risky]]] {
		of_documents([{"kind": "List", "items": items}]) == {"input"}
	}
}

test_an_exception_is_of_one_object_and_one_rule if {
	bare := {"image": "registry.intra/a/b@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "restart": "no"}
	of_documents([{"services": {"log": bare}}]) == set()
	of_documents([{"services": {"log2": bare}}]) == {"non-root"}
	of_documents([{"services": {"log": object.union(bare, {"cap_add": ["ALL"]})}}]) == {"capabilities"}
}

test_what_cannot_be_read_is_no_exception if of_documents([null]) == {"input"}

test_nothing_is_admitted_without_parameters if {
	faults := main.deny with input as [{"path": "a", "contents": {"kind": "ConfigMap"}}]
	{fault.rule | some fault in faults} == {"error"}
}

test_files_are_asked_about_together if {
	every alone in [{}, [], {"kind": "ConfigMap"}, [{"Cmd": "from", "Value": ["scratch"], "Flags": []}]] {
		faults := main.deny with input as alone with data.parameters as settings
		"error" in {fault.rule | some fault in faults}
	}
}

test_a_namespace_in_a_file_exempts_nothing if {
	faults := main.deny with input as [{"path": "a", "contents": object.union(risky, {"metadata": {"namespace": "kube-system"}})}]
		with data.parameters as object.union(settings, {"exemptNamespaces": ["kube-system"]})
	{fault.rule | some fault in faults} == {"host-access"}
}
