"""chart.py VALUES: reads a chart's values.yaml, whose comments are its manual, and prints {"schema": …, "table": …} as JSON.

Each value stands below a comment that begins with "# --" and says what it is; a line "# @ {…}" in it is JSON Schema that the value
keeps to beside the type of its default. An empty map takes any words, unless its schema says which.
"""

import json
import re
import sys

import yaml

KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
# A map that is passed on to Kubernetes as it is.
WHOLE = {"resources"}


def comments(lines):
    """The comment above each line that opens a value, by the path of the value."""
    path, found, pending = [], {}, []
    for line in lines:
        if match := re.match(r"( *)# ?(.*)", line):
            pending.append(match[2])
        elif match := re.match(r"( *)([A-Za-z]+):", line):
            path[len(match[1]) // 2 :] = [match[2]]
            found[tuple(path)] = pending
            pending = []
        else:
            pending = []
    return found


def words(comment):
    """What a comment says, and the schema in it."""
    said, schema, begun = [], {}, False
    for line in comment:
        if line.startswith("@ "):
            schema.update(json.loads(line[2:]))
        elif line.startswith("-- "):
            said, begun = [line[3:]], True
        elif begun:
            said.append(line)
    return " ".join(said), schema


def describe(value, path, told):
    """The schema of a value, and its rows of the table."""
    said, given = words(told.get(path, []))
    schema = {"type": KINDS[type(value)]}
    if said:
        schema["description"] = said
    rows = []
    if isinstance(value, dict) and value and path and path[-1] not in WHOLE and "type" not in given:
        schema |= {"additionalProperties": False, "properties": {}}
    elif not path:
        schema |= {"additionalProperties": False, "properties": {}}
    else:
        rows.append((".".join(path), json.dumps(value, ensure_ascii=False), said))
    if "properties" in schema:
        for name, inner in value.items():
            schema["properties"][name], more = describe(inner, (*path, name), told)
            rows += more
    return schema | given, rows


def main():
    text = open(sys.argv[1], encoding="utf-8").read()
    schema, rows = describe(yaml.safe_load(text), (), comments(text.splitlines()))
    # Helm puts it there for charts that this one is part of.
    schema["properties"]["global"] = {"type": "object"}
    table = ["| Value | Default | Meaning |", "|---|---|---|"]
    table += [f"| `{name}` | `{default}` | {said.replace('|', chr(92) + '|')} |" for name, default, said in rows]
    print(json.dumps({"schema": {"$schema": "https://json-schema.org/draft-07/schema#"} | schema, "table": "\n".join(table)}))


main()
