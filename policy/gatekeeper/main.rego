# What Gatekeeper asks. policy/rego-render puts it into template.yaml, beside what every engine that reads Rego shares.
package mayrun

import data.lib.kubernetes
import data.lib.parameters
import data.lib.words

violation contains {"msg": sentence} if {
	not exempt
	some sentence in parameters.wrong(input.parameters)
}

violation contains {"msg": fault.text, "details": {"rule": fault.rule}} if {
	not exempt
	count(parameters.wrong(input.parameters)) == 0
	some fault in (faults - old_faults)
}

# The request knows the namespace, whatever stands in the object.
namespace := input.review.namespace if {
	object.get(input.review, "namespace", "") != ""
} else := kubernetes.namespace(input.review.object)

exempt if kubernetes.exempt(namespace, input.parameters)

# What may not run may go.
exempt if input.review.operation == "DELETE"

faults contains fault if some fault in kubernetes.faults(input.review.object, input.parameters)

# The API server takes no larger request; what comes another way is held to the same.
faults contains words.of_place(kubernetes.called(input.review.object), "pod", "input") if {
	count(json.marshal(input.review.object)) > 3145728
}

# What the object was like before: that it is still so is not held against it.
old_faults contains fault if {
	input.review.operation == "UPDATE"
	some fault in kubernetes.faults(input.review.oldObject, input.parameters)
}
