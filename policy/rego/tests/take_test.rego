package lib.take_test

import data.lib.take

test_what_is_no_mapping_has_nothing if {
	every holder in [null, "text", 5, ["a"], true] {
		take.value(holder, "a") == null
		take.list(holder, "a") == []
		take.mapping(holder, "a") == {}
		take.text(holder, "a") == ""
		not take.on(holder, "a")
		not take.wrong(holder, "a", "string")
	}
}

test_a_value_of_another_type_is_none_and_wrong if {
	holder := {"list": [1], "mapping": {"a": 1}, "text": "a", "on": true, "null": null}
	take.list(holder, "list") == [1]
	take.mapping(holder, "mapping") == {"a": 1}
	take.text(holder, "text") == "a"
	take.on(holder, "on")
	not take.on(holder, "text")
	every name in ["mapping", "text", "on"] {
		take.list(holder, name) == []
		take.wrong(holder, name, "array")
	}
	take.mapping(holder, "list") == {}
	take.text(holder, "on") == ""
	not take.wrong(holder, "null", "string")
}
