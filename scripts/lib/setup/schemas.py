"""schemas.py SWAGGER FOLDER: out of Kubernetes' own description of its API one JSON schema for each kind of object, as kubeconform looks
for them, in which a word that the API does not know is an error."""

import json
import pathlib
import sys


def strict(schema):
    """A schema with nothing in it but what it names; in place."""
    if isinstance(schema, list):
        for item in schema:
            strict(item)
    elif isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        # Written as a string or as a number: ports, percentages, amounts.
        if schema.get("format") == "int-or-string":
            schema.pop("format")
            schema["type"] = ["string", "integer"]
        for name, value in schema.items():
            if name not in ("required", "enum", "type"):
                strict(value)


def main():
    swagger, folder = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")), pathlib.Path(sys.argv[2])
    definitions = swagger["definitions"]
    strict(definitions)
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]["type"] = ["string", "number"]
    folder.mkdir(parents=True)
    (folder / "_definitions.json").write_text(json.dumps({"definitions": definitions}), encoding="utf-8")
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            group = kind["group"].split(".")[0]
            parts = [kind["kind"], *([group] if group else []), kind["version"]]
            schema = {"$ref": f"_definitions.json#/definitions/{name}"}
            (folder / ("-".join(parts).lower() + ".json")).write_text(json.dumps(schema), encoding="utf-8")


main()
