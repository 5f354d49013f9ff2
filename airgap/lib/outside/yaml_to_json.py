"""yaml_to_json.py FILE: prints YAML as JSON. Only true, false and null are more than text: 1.10 is a version, and no number."""

import json
import sys

import yaml


class Loader(yaml.SafeLoader):
    """Knows no numbers and no dates."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

with open(sys.argv[1], encoding="utf-8") as file:
    json.dump(yaml.load(file, Loader), sys.stdout)
