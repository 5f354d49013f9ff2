"""audit.py OPTIONS FILE…: judges what runs in a cluster, by lists as kubectl prints them. Prints a line of JSON for each object that breaks a rule or
has images to ask about: {namespace, object, owner, faults: […], excepted: [], places: […]}, and at last {judged, owned, resting}: how many. What another
judged object made is told with its owner, and only what it has beside that one: a container that was added to a running Pod. What is at
rest is not judged: what has ended, and the replica sets that a Deployment left behind. Exit code as judge.py, 65 when a list cannot be read."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import kubernetes
from lists import options, site
from policy import Wrong, called
from read import NoReader, Unreadable, documents


def objects(path):
    """Every object of a file with lists."""
    with open(path, "rb") as file:
        for document in documents(file.read(), None):
            if not isinstance(document, dict):
                raise Wrong(f"it is {called(document)}, where a list belongs")
            yield from kubernetes.objects(document)


def part(holder, *names):
    """What lies deep in an object, where anything may be missing."""
    for name in names:
        holder = holder.get(name) if isinstance(holder, dict) else None
    return holder


def at_rest(kind, thing):
    """Whether nothing of it runs, nor will."""
    if kind == "Pod":
        return part(thing, "status", "phase") in ("Succeeded", "Failed")
    if kind == "Job":
        conditions = part(thing, "status", "conditions") or []
        return any(part(one, "type") in ("Complete", "Failed") and part(one, "status") == "True" for one in conditions)
    return kind == "ReplicaSet" and part(thing, "spec", "replicas") == 0 and bool(owners(thing))


def owners(thing):
    """Who made it: the one that controls it first."""
    return sorted(part(thing, "metadata", "ownerReferences") or [], key=lambda one: part(one, "controller") is not True)


def above(thing, known):
    """The judged objects above one, the nearest first."""
    for _ in range(8):
        uids = [part(one, "uid") for one in owners(thing)]
        uid = next((uid for uid in uids if uid in known), None)
        if uid is None:
            return
        thing, found = known[uid]
        yield found


def same(fault):
    return fault["where"], fault.get("image"), fault.get("rule")


def tell(thing, found, known):
    """What an object has beside those above it; None where that is nothing."""
    higher = list(above(thing, known))
    told = {same(fault) for one in higher for fault in (*one.faults, *one.places)}
    owner = higher[-1].name if higher else next((f"{part(one, 'kind')}/{part(one, 'name')}" for one in owners(thing)), "")
    faults, places = ([fault for fault in all_of if same(fault) not in told] for all_of in (found.faults, found.places))
    if not faults and not places:
        return None
    namespace = part(thing, "metadata", "namespace") or "default"
    return {"namespace": namespace, "object": found.name, "owner": owner, "faults": faults, "excepted": [], "places": places}


def main():
    words = options("files")
    lists = site(words)
    things, count = [], {"judged": 0, "owned": 0, "resting": 0}
    for path in words.files:
        try:
            for kind, thing in objects(path):
                found = kubernetes.judge(kind, thing, lists)
                if found and at_rest(kind, thing):
                    count["resting"] += 1
                elif found:
                    things.append((thing, found))
        except OSError as fault:
            sys.exit((print(f"{path} cannot be read: {fault.strerror}", file=sys.stderr), 65)[1])
        except (Unreadable, Wrong) as why:
            sys.exit((print(f"{path} is no list of objects: {why}", file=sys.stderr), 65)[1])
    known = {part(thing, "metadata", "uid"): (thing, found) for thing, found in things if part(thing, "metadata", "uid")}
    for thing, found in things:
        count["owned" if any(above(thing, known)) else "judged"] += 1
        told = tell(thing, found, known)
        if told:
            print(json.dumps(told))
    print(json.dumps(count))


try:
    main()
except NoReader:
    sys.exit(69)
