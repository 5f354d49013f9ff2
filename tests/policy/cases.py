"""The Kubernetes cases of a table: their objects, one by one as a client sends them, and how an engine's refusals are told."""

import csv
import json
import os
import re

import yaml

# The same reader, a tenth of the time where it is there.
READER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What is raised when no objects can be taken out of a text.
UNREADABLE = (yaml.YAMLError, UnicodeDecodeError, LookupError, TypeError, AttributeError)
NEXT_FAULT = re.compile(r"; (?=[A-Z][A-Za-z]+/[^ ]*, (?:pod|volume|container|init container|ephemeral container)\b|and \d+ more, )")

with open(os.path.join(os.path.dirname(__file__), "../../policy/rules.tsv"), encoding="utf-8") as table:
    REMEDIES = dict(line.rstrip("\n").split("\t") for line in table if not line.startswith("#"))


def rows(cases):
    """The cases that are Kubernetes objects: name, where it lies, where its old object lies, how it is asked, and the exceptions."""
    folder = os.path.dirname(cases)
    with open(cases, encoding="utf-8", newline="") as file:
        for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row and not row[0].startswith("#") and row[3] != "file":
                yield row[1], os.path.join(folder, row[1]), os.path.join(folder, "old", os.path.basename(row[1])), row[3], row[4]


def objects(path):
    """The objects of a file, each with the text that it has there; lists are taken apart."""
    with open(path, encoding="utf-8") as file:
        for part in re.split(r"(?m)^---(?:[ \t].*)?$", file.read()):
            thing = yaml.load(part, Loader=READER)
            if thing is not None:
                # A client fills merge keys in before it sends; a server would take them for keys that stand twice.
                yield from taken_apart(thing, text_of(thing) if "<<:" in part else part)


def taken_apart(thing, text):
    if not thing["kind"].endswith("List"):
        yield thing, text
        return
    for item in thing["items"]:
        one = {"apiVersion": thing["apiVersion"], "kind": thing["kind"].removesuffix("List"), **item}
        yield from taken_apart(one, text_of(one))


def text_of(thing):
    return json.dumps(thing, default=str)


def tell(name, refusals):
    """Prints the verdict of one case, and writes the words. A refusal is (ours or not, what was said)."""
    rules, lines = set(), []
    for ours, said in refusals:
        for line in NEXT_FAULT.split(said) if ours else [said]:
            lines.append(line)
            rules |= {rule for rule, remedy in REMEDIES.items() if line.endswith(f": {rule}: {remedy}")}
            rest = re.fullmatch(r"and \d+ more, all in all of (.*)", line)
            rules |= set(rest[1].split(", ")) if rest else set()
    print(name, "reject" if refusals else "accept", (",".join(sorted(rules)) or "error") if refusals else "-", sep="\t")
    if os.environ.get("MESSAGES"):
        with open(os.path.join(os.environ["MESSAGES"], name.replace("/", "_") + ".txt"), "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
