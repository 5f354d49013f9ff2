# Lists of Kubernetes objects, as files have them; a cluster never stores one.
package lib.lists

import data.lib.take

# The objects of a document: itself, or those of a list and of the lists in it. What has no kind has that of its list.
objects(document) := [named |
	some path, thing in members(document)
	named := object.union(thing, {"kind": kind(document, path)})
]

# Whether a list has anything that is no object, or of which nobody knows what it is.
wrong(document) if {
	some list in members(document)
	is_list(list)
	take.wrong_items(list, "items")
}

wrong(document) if {
	some path, _ in members(document)
	not kind(document, path)
}

is_list(thing) if endswith(take.text(thing, "kind"), "List")

# By path: a document, what stands in its items, in theirs, and so on.
members(document) := {[]: document} if not is_list(document)

members(document) := {path: thing |
	walk(document, [path, thing])
	count(path) % 2 == 0
	{word | some i, word in path; i % 2 == 0} - {"items"} == set()
} if {
	is_list(document)
}

kind(document, path) := own if {
	own := take.text(members(document)[path], "kind")
	own != ""
} else := of_list if {
	list := members(document)[array.slice(path, 0, count(path) - 2)]
	of_list := trim_suffix(take.text(list, "kind"), "List")
	of_list != ""
}
