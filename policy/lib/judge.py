"""judge.py OPTIONS: judges files by POLICY.md. Standard input has three parts for each, with a NUL behind every part: what it is called, where
it lies, and where lies what was there before (or nothing). Prints a line of JSON for each, in their order:
    {file, judged, faults: […], excepted: […], places: […], wanted: [image, …]}
A fault has object, where, image, rule, remedy, why and line; one that is not certain has `unknown`. Places are those of images that were named
well; wanted are images whose configuration would decide something. Exit code: 0 whatever it found, 69 where YAML is to be read without PyYAML, 78 by a bad list."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import compose
import kubernetes
from lists import options, site
from policy import Found, Wrong, called
from read import LARGEST, NoReader, Unreadable, documents


def things(path, lists):
    """What is found in a file, an object or a service at a time."""
    try:
        with open(path, "rb") as file:
            read = documents(file.read(LARGEST + 1))
    except OSError as fault:
        raise Unreadable(f"it cannot be read: {fault.strerror}") from None
    for document in read:
        if not isinstance(document, dict):
            raise Wrong(f"it is {called(document)}, where an object or a Compose file belongs")
        object_like = document.get("kind") is not None or document.get("apiVersion") is not None
        if object_like and document.get("services") is not None:
            raise Wrong("it has a kind and services: it is either an object or a Compose file")
        if object_like:
            yield from (kubernetes.judge(kind, item, lists) for kind, item in kubernetes.objects(document))
        elif len(read) > 1:
            raise Wrong("one of its documents has no kind, and a Compose file has one document: docker compose config puts them together")
        else:
            yield from compose.judge(document, lists)


def judge(name, path, lists):
    """What is found in a file; where it cannot be read, that alone."""
    try:
        return [found for found in things(path, lists) if found]
    except (Unreadable, Wrong) as why:
        unread = Found(lists, f"File/{os.path.basename(name) or name}")
        unread.add("input", "file", why=str(why))
        return [unread]


def tell(name, path, old, lists):
    """What a file breaks that the one before it did not break in the same words, and what of it is an exception."""
    found = judge(name, path, lists)
    before = judge(name, old, lists) if old else []
    lines = {line for one in before for line in one.lines}
    known = [place for one in before for place in one.places]
    told = {"file": name, "judged": len(found), "faults": [], "excepted": []}
    for fault in (fault for one in found for fault in one.faults if fault["line"] not in lines or fault["rule"] == "input"):
        reason = lists.exceptions.get((fault["object"], fault["rule"]))
        told["excepted" if reason else "faults"].append({**fault, "reason": reason} if reason else fault)
    told["places"] = [place for one in found for place in one.places if place not in known]
    told["wanted"] = sorted({image for one in found for image in one.wanted})
    return told


def main():
    lists = site(options())
    parts = sys.stdin.buffer.read().split(b"\0")[:-1]
    for name, path, old in zip(*[iter(parts)] * 3, strict=True):
        print(json.dumps(tell(name.decode("utf-8", "replace"), path, old, lists)))


try:
    main()
except NoReader:
    sys.exit(69)
