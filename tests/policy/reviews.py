"""reviews.py make CASES FOLDER: lays cases of the corpus down for gator, each object of a file by itself (kubectl takes lists apart). What is
created stands in FOLDER/objects.yaml, for one `gator test`. What is changed, and what is no object, is a case of FOLDER/suite.yaml, for `gator
verify`, which begins anew with each: reviews as the API server asks them, and as it is whatever policy/lib/read.py cannot read.
reviews.py tell CASES FOLDER RULES [MESSAGES]: reads what gator said (FOLDER/test.json, FOLDER/verify.txt), and prints file, verdict and rules
of each case; into the folder MESSAGES go the faults, a file for each case. Exit code: 69 when gator did not say something of each."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "policy", "lib"))

from policy import lines
from read import Unreadable, documents


def read(path):
    """What kubectl would send of a file, one by one. What is no object is among it."""
    with open(path, "rb") as file:
        return [part for document in documents(file.read()) for part in apart(document)]


def apart(thing):
    """What a list holds, and the lists in it; what does not say what it is has it from the list."""
    kind = text(thing, "kind")
    if not kind.endswith("List") or not isinstance(thing.get("items", []), list):
        return [thing]
    said = {"apiVersion": thing.get("apiVersion"), "kind": kind.removesuffix("List")} if kind != "List" else {}
    return [part for item in thing.get("items", []) for part in apart({**said, **item} if isinstance(item, dict) else item)] or [thing]


def text(thing, name):
    value = thing.get(name) if isinstance(thing, dict) else None
    return value if isinstance(value, str) else ""


def before(thing, corpus, file, how, number):
    """What was there before an object."""
    if how == "update":
        return read(f"{corpus}/old/{os.path.basename(file)}")[number]
    if how == "ephemeral":
        return {**thing, "spec": {name: value for name, value in thing["spec"].items() if name != "ephemeralContainers"}}
    return None


def review(thing, old, how):
    """What the API server asks when an object is created or changed."""
    group, _, version = text(thing, "apiVersion").rpartition("/")
    metadata = thing.get("metadata")
    request = {
        "uid": "00000000-0000-0000-0000-000000000000",
        "kind": {"group": group, "version": version, "kind": thing["kind"]},
        "resource": {"group": group, "version": version, "resource": f"{thing['kind'].lower()}s"},
        "subResource": "ephemeralcontainers" if how == "ephemeral" else "",
        "name": text(metadata, "name"),
        "namespace": text(metadata, "namespace") or "default",
        "operation": "UPDATE" if old else "CREATE",
        "userInfo": {"username": "somebody"},
        "object": thing,
        "oldObject": old,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def plain(thing):
    """Whether gator can be asked about a thing as it is: it is an object that says what it is."""
    return all(text(thing, name) for name in ("apiVersion", "kind")) and isinstance(thing.get("metadata"), dict)


def questions(corpus, file, how):
    """What gator is asked about a file: objects, reviews, and as it is whatever makes none."""
    try:
        things = read(f"{corpus}/{file}")
        return [thing if how == "create" else review(thing, before(thing, corpus, file, how, i), how) for i, thing in enumerate(things)]
    except Unreadable:
        with open(f"{corpus}/{file}", "rb") as whole:
            return [whole.read()]


def make(cases, folder):
    asked = []
    with open(f"{folder}/objects.yaml", "w", encoding="ascii") as objects:
        for n, line in enumerate(lines(cases)):
            _, file, _, how, *_ = line.split("\t")
            for i, question in enumerate(questions(os.path.dirname(cases), file, how)):
                if how == "create" and plain(question):
                    objects.write(f"---\n{json.dumps(question)}\n")
                    continue
                with open(f"{folder}/{n}.{i}.yaml", "wb") as out:
                    out.write(question if isinstance(question, bytes) else json.dumps(question).encode())
                asked.append({"name": f"{n}.{i}", "object": f"{n}.{i}.yaml", "assertions": [{"violations": "no"}]})
    test = {"name": "corpus", "template": "template.yaml", "constraint": "constraint.yaml", "cases": asked}
    suite = {"apiVersion": "test.gatekeeper.sh/v1alpha1", "kind": "Suite", "metadata": {"name": "corpus"}, "tests": [test]}
    with open(f"{folder}/suite.yaml", "w", encoding="ascii") as out:
        json.dump(suite, out)


def known(thing):
    return json.dumps(thing, sort_keys=True)


def tested(cases, folder):
    """By case: what gator test says of its objects."""
    owners, told = {}, {}
    for n, line in enumerate(lines(cases)):
        _, file, _, how, *_ = line.split("\t")
        for question in questions(os.path.dirname(cases), file, how) if how == "create" else ():
            if plain(question):
                told[n] = []
                owners.setdefault(known(question), set()).add(n)
    with open(f"{folder}/test.json", encoding="utf-8") as file:
        for result in json.load(file) or ():
            for n in owners[known(result["violatingObject"])]:
                told[n].append(result["msg"])
    return told


def verified(folder, fault):
    """By case: what gator verify says of its questions, and whatever it says that is no fault of ours."""
    told, current = {}, None
    with open(f"{folder}/verify.txt", encoding="utf-8") as file:
        for line in file:
            head = re.match(r"    --- (?:FAIL|PASS): (\d+)\.\d+\t", line)
            if head:
                current = told.setdefault(int(head[1]), [])
            elif re.match(r" {0,4}(===|---)", line):
                current = None
            elif current is not None:
                _, _, messages = line.strip().rpartition("got messages [")
                current += fault.findall(messages)
                current += [left for left in [fault.sub("", messages.removesuffix("]")).strip()] if left]
    return told


def tell(cases, folder, rules, messages=None):
    remedies = "|".join(re.escape(line.replace("\t", ": ")) for line in lines(rules))
    fault = re.compile(rf"\w+/.*?: (?:{remedies})(?=[ \]]|$)")
    created, changed = tested(cases, folder), verified(folder, fault)
    for n, line in enumerate(lines(cases)):
        file = line.split("\t")[1]
        if n not in created and n not in changed:
            sys.exit(69)
        faults = sorted({*created.get(n, ()), *changed.get(n, ())})
        broken = {match[1].partition(":")[0] if (match := re.search(rf": ({remedies})$", found)) else "error" for found in faults}
        print(file, "reject" if broken else "accept", ",".join(sorted(broken)) or "-", sep="\t")
        if messages:
            with open(f"{messages}/{file.replace('/', '_')}.txt", "w", encoding="utf-8") as out:
                out.writelines(f"{found}\n" for found in faults)


{"make": make, "tell": tell}[sys.argv[1]](*sys.argv[2:])
