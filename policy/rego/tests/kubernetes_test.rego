package lib.kubernetes_test

import data.lib.kubernetes

settings := {"registries": ["registry.intra"], "exemptNamespaces": ["kube-system"]}

image := "registry.intra/mini/api@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

container := {"name": "api", "image": image, "livenessProbe": {"exec": {}}, "readinessProbe": {"exec": {}}}

spec := {"securityContext": {"runAsNonRoot": true, "runAsUser": 1}, "containers": [container]}

pod(changed) := {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": object.union(spec, changed)}

with_container(changed) := pod({"containers": [object.union(container, changed)]})

rules(thing) := {fault.rule | some fault in kubernetes.faults(thing, settings)}

wrapped := {
	"Pod": pod({"hostPID": true}),
	"PodTemplate": {"kind": "PodTemplate", "template": {"spec": {"hostPID": true}}},
	"CronJob": {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": {"hostPID": true}}}}}},
}

test_a_sound_pod_breaks_nothing if rules(pod({})) == set()

test_every_kind_is_looked_into if {
	every kind, _ in kubernetes.templates {
		standard := {"kind": kind, "spec": {"template": {"spec": {"hostPID": true}}}}
		rules(object.get(wrapped, kind, standard)) == {"host-access"}
	}
}

test_other_kinds_pass if {
	rules({"apiVersion": "v1", "kind": "ConfigMap", "data": {"image": "nginx:latest"}}) == set()
	rules({"apiVersion": "example.com/v1", "kind": "Deployment", "spec": {"template": 5}}) == set()
}

test_a_kind_is_judged_whatever_its_version if {
	some version in ["apps/v1", "apps/v2beta1", "extensions/v1beta1", 5]
	rules({"apiVersion": version, "kind": "Deployment", "spec": {"template": {"spec": {"hostIPC": true}}}}) == {"host-access"}
}

test_every_list_of_containers_is_judged if {
	every field, word in kubernetes.containers {
		faults := kubernetes.faults(pod({field: [object.union(container, {"image": "nginx"})]}), settings)
		{fault.rule | some fault in faults} == {"image-pinned", "image-registry"}
		every fault in faults { startswith(fault.text, sprintf("Pod/web, %s api (nginx): ", [word])) }
	}
}

test_root_by_any_way if {
	every context in [
		{"runAsUser": 0}, {"runAsNonRoot": false}, {"runAsUser": -1}, {"runAsUser": 1.5}, {"runAsUser": "1000"},
		{"runAsNonRoot": "true"}, {"runAsUser": true},
	] {
		rules(with_container({"securityContext": context})) == {"non-root"}
		rules(pod({"securityContext": object.union(spec.securityContext, context)})) == {"non-root"}
	}
}

test_what_the_container_says_goes_first if {
	rules(object.union(with_container({"securityContext": {"runAsUser": 5}}), {"spec": {"securityContext": {"runAsUser": 0}}})) == set()
}

test_null_says_nothing if {
	rules(with_container({"securityContext": {"runAsUser": null, "privileged": null, "capabilities": {"add": null}}})) == set()
	rules(with_container({"livenessProbe": null})) == {"probes"}
	rules(pod({"volumes": null, "initContainers": null, "restartPolicy": null, "hostNetwork": null})) == set()
}

test_probes_are_asked_of_what_runs_on if {
	bare := object.remove(container, ["livenessProbe"])
	rules(pod({"containers": [bare]})) == {"probes"}
	rules(pod({"containers": [bare], "restartPolicy": "Always"})) == {"probes"}
	rules(pod({"containers": [bare], "restartPolicy": "OnFailure"})) == set()
	rules(pod({"initContainers": [bare], "ephemeralContainers": [bare]})) == set()
	rules({"kind": "Job", "spec": {"template": {"spec": object.union(spec, {"containers": [bare]})}}}) == set()
	rules({"kind": "DaemonSet", "spec": {"template": {"spec": object.union(spec, {"containers": [bare], "restartPolicy": "Never"})}}}) == {"probes"}
}

test_confinement_stays if {
	rules(with_container({"securityContext": {"privileged": true}})) == {"privileged"}
	rules(with_container({"securityContext": {"allowPrivilegeEscalation": true}})) == {"privileged"}
	rules(with_container({"securityContext": {"privileged": false, "capabilities": {"drop": ["ALL"], "add": []}}})) == set()
	rules(with_container({"securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}}})) == {"capabilities"}
}

test_volumes_are_judged if {
	rules(pod({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "image": {"reference": image}}]})) == set()
	rules(pod({"volumes": [{"name": "a", "hostPath": {"path": "/srv"}}]})) == {"host-access"}
	rules(pod({"volumes": [{"name": "a", "image": {"reference": "nginx"}}]})) == {"image-pinned", "image-registry"}
	rules(pod({"volumes": [{"name": "a", "image": {}}]})) == {"image-pinned", "image-registry"}
}

test_a_type_that_cannot_be_is_refused if {
	every changed in [
		{"containers": "api"}, {"containers": {"api": container}}, {"containers": ["api"]}, {"initContainers": 5}, {"volumes": "a"},
		{"volumes": [null]}, {"securityContext": []}, {"hostNetwork": "true"}, {"restartPolicy": 1}, {"volumes": [{"name": 5}]},
		{"volumes": [{"hostPath": "/"}]}, {"volumes": [{"image": "nginx"}]}, {"volumes": [{"image": {"reference": []}}]},
	] {
		rules(object.union(pod({}), {"spec": changed})) == {"input"}
	}
	every changed in [
		{"name": 5}, {"image": ["nginx"]}, {"securityContext": "root"}, {"securityContext": {"privileged": "true"}}, {"livenessProbe": true},
		{"securityContext": {"capabilities": ["ALL"]}}, {"securityContext": {"capabilities": {"add": "ALL"}}},
	] {
		rules(with_container(changed)) == {"input"}
	}
}

test_a_template_that_is_none_is_refused if {
	every thing in [{"spec": []}, {"spec": {"template": "x"}}, {"spec": {"template": {"spec": 1}}}, {"metadata": "web"}, {"metadata": {"name": 5}}] {
		rules(object.union({"kind": "Deployment"}, thing)) == {"input"}
	}
}

test_a_name_to_be_made_is_new if {
	some fault in kubernetes.faults({"kind": "Pod", "metadata": {"generateName": "web-"}, "spec": {"hostPID": true}}, settings)
	startswith(fault.text, "Pod/(new), pod: host-access: ")
}

test_namespaces_are_exempt_by_their_whole_name if {
	kubernetes.exempt("kube-system", settings)
	not kubernetes.exempt("kube-system-2", settings)
	not kubernetes.exempt("", settings)
	not kubernetes.exempt("kube-system", {"registries": ["a"]})
}

test_one_fault_is_one_line if {
	faults := kubernetes.faults(with_container({"image": "nginx\nPod/other: all is well\u0085"}), settings)
	count(faults) == 2
	every fault in faults { not regex.match(`[\n\r\x{85}]`, fault.text) }
}
