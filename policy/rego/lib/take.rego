# How anything is taken out of what was read: an absent value and null are the same, and a value of another type is none.
package lib.take

# What a mapping has by a name; null where it has nothing.
value(holder, name) := object.get(holder, name, null) if is_object(holder)

value(holder, _) := null if not is_object(holder)

list(holder, name) := found if {
	found := value(holder, name)
	is_array(found)
} else := []

mapping(holder, name) := found if {
	found := value(holder, name)
	is_object(found)
} else := {}

text(holder, name) := found if {
	found := value(holder, name)
	is_string(found)
} else := ""

on(holder, name) if value(holder, name) == true

# Whether a mapping has by a name what is not of its type.
wrong(holder, name, type) if {
	found := value(holder, name)
	found != null
	type_name(found) != type
}

# Whether a list has by a name anything that is no mapping.
wrong_items(holder, name) if wrong(holder, name, "array")

wrong_items(holder, name) if {
	some item in list(holder, name)
	not is_object(item)
}
