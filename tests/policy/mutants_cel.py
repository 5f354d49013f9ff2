#!/usr/bin/env python3
"""mutants_cel POLICY.yaml CASES.tsv AUDIT: takes every clause of the API server's policy away, one at a time, and asks the API server about
the cases: all policies are there at once, and refuse nothing; what they would have said stands in the audit log.

A clause is one side of an `&&`, an `||` or a `+` of lists, the condition of a `filter`, one element of a list that is written out, or one
resource or operation that the policy is asked about. What does not compile without a part has no clause there. Prints as mutants.py does.
Every third clause is taken away, SEED says which; with FULL each.
"""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import yaml

STRING = re.compile(r'r?"(?:[^"\\]|\\.)*"')
# What a policy would have said stands in the audit log under its name; of refusals there would be one alone.
SAID = {"key": "said", "valueExpression": 'variables.faults.size() == 0 ? "" : variables.message'}
NAME = "without-{}"
# Of these nothing shows here: words, what the API server refuses before it asks a policy, and what breaks the glass.
ELSEWHERE = {"remedies", "subject", "rules", "glass", "all_volumes", "input", "numbers", "lines", "told", "message"}
LISTS = re.compile(r"\.map\(|^variables\.\w+\[i\]|^\[dyn\(null\)\]$")
API = os.path.join(os.path.dirname(os.path.realpath(__file__)), "api.py")
PARAMETERS = {"name": "mini-api-admission", "namespace": "mini-api-policy", "parameterNotFoundAction": "Deny"}
# Of so many cases at a time: what has told itself apart by then is not asked about the next.
AT_ONCE = 60


def reach(marks, deeper, shallower):
    """As far as this depth goes: the place of the mark that ends it."""
    depth = 0
    for place, sign in marks:
        depth += (sign in deeper) - (sign in shallower)
        if depth < 0 or (depth == 0 and sign in ("&&", "||", "+", ",", "?", ":")):
            return place
    return None


def segments(text):
    """What stands between operators, commas and brackets, with the operator that goes away with it."""
    bare = STRING.sub(lambda match: "_" * len(match[0]), text)
    marks = [(match.start(), match.end(), match[0].strip()) for match in re.finditer(r"\s*(?:&&|\|\||\+)\s*|[()\[\]{}]|,\s*|\s\?\s|\s:\s", bare)]
    for kind in ("&&", "||", "+"):
        for start, end, sign in marks:
            if sign != kind:
                continue
            right = reach(((begin, other) for begin, _, other in marks if begin >= end), "([{", ")]}")
            yield slice(start, len(text) if right is None else right)
            left = reach(((finish, other) for _, finish, other in reversed(marks) if finish <= start), ")]}", "([{")
            yield slice(left or 0, end)


def elements(text):
    """Texts that are elements of lists."""
    for match in STRING.finditer(text):
        if text[match.end() : match.end() + 2] == ", ":
            yield slice(match.start(), match.end() + 2)
        elif text[match.start() - 2 : match.start()] == ", " and text[match.end() : match.end() + 1] == "]":
            yield slice(match.start() - 2, match.end())


def variants(text):
    """Each clause of an expression: its words, and the expression without it."""
    seen = set()
    for cut in [*segments(text), *elements(text)]:
        made = text[: cut.start] + text[cut.stop :]
        words = " ".join(text[cut].split())
        if made.strip() and made not in seen and ("+" not in (words[0], words[-1]) or LISTS.search(words.strip("+ "))):
            seen.add(made)
            yield words, made
    bare = STRING.sub(lambda match: "_" * len(match[0]), text)
    for match in re.finditer(r"filter\(\w+,\s*", bare):
        depth, at = 1, match.end()
        while depth:
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(bare[at], 0)
            at += 1
        yield " ".join(text[match.start() : at].split()), text[: match.end()] + "true" + text[at - 1 :]


def clauses(policy):
    """Each clause: words, and the policy without it."""
    for number, variable in enumerate(policy["spec"]["variables"]):
        if variable["name"] in ELSEWHERE:
            continue
        for words, text in variants(variable["expression"]):
            if variable["name"] == "all_containers" and "field" in words or "glass" in words or re.search(r"\bg\[", words):
                continue
            made = copy.deepcopy(policy)
            made["spec"]["variables"][number]["expression"] = text
            yield f"{variable['name']}: {words}", made
    rules = policy["spec"]["matchConstraints"]["resourceRules"]
    for number, rule in enumerate(rules):
        for field in ("resources", "operations"):
            for at, word in enumerate(rule[field]):
                made = copy.deepcopy(policy)
                made["spec"]["matchConstraints"]["resourceRules"][number][field].pop(at)
                yield f"{field}: {word}", made


def kubectl(*words, given=""):
    return subprocess.run(["kubectl", *words], input=given, capture_output=True, text=True, check=False)


def install(made):
    """Puts policies there, and a binding of each that only tells; returns those that are policies."""
    things = []
    for name, policy in made.items():
        policy["metadata"]["name"] = name
        policy["spec"]["auditAnnotations"] = [SAID]
        binding = {
            "apiVersion": policy["apiVersion"],
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Audit"], "paramRef": PARAMETERS},
        }
        things += [policy, binding]
    kubectl("create", "--filename", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": things}))
    return set(kubectl("get", "validatingadmissionpolicies", "--output", "jsonpath={.items[*].metadata.name}").stdout.split()) & set(made)


def in_force(audit):
    """Waits until as many policies say something of an object that has every fault as will."""
    security = {"privileged": True, "capabilities": {"add": ["ALL"]}}
    spec = {"hostNetwork": True, "containers": [{"name": "api", "image": "nginx", "securityContext": security}]}
    thing = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "everything"}}
    thing["spec"] = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": spec}}
    seen = []
    for _ in range(90):
        offset = os.path.getsize(audit)
        kubectl("create", "--dry-run=server", "--filename", "-", given=json.dumps(thing))
        time.sleep(1)
        requests, _ = told(audit, offset)
        seen.append({policy for _, by_policy in requests for policy in by_policy})
        if len(seen) > 3 and NAME.format("nothing") in seen[-1] and seen[-1] == seen[-2] == seen[-3]:
            return
    sys.exit("the policies do not come into force")


def told(path, offset):
    """What the audit log says behind a place: by request, what each policy would have refused."""
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read()
    said = []
    for line in data.splitlines():
        event = json.loads(line)
        if event["stage"] != "ResponseComplete" or event["verb"] not in ("create", "update", "patch") or "dryRun" not in event["requestURI"]:
            continue
        by_policy = {key.removesuffix("/said"): value for key, value in event.get("annotations", {}).items() if key.endswith("/said")}
        said.append((event["objectRef"].get("name") or "(new)", by_policy))
    return said, offset + len(data)


def main():
    path, cases, audit = sys.argv[1:]
    policy = yaml.safe_load(open(path, encoding="utf-8"))
    names, made = {NAME.format("nothing"): "nothing"}, {NAME.format("nothing"): copy.deepcopy(policy)}
    every, first = (1, 0) if os.environ.get("FULL") else (3, int(os.environ.get("SEED", "1")) % 3)
    for number, (words, without) in list(enumerate(clauses(policy)))[first::every]:
        names[NAME.format(number)], made[NAME.format(number)] = words, without
    left = install(made) - {NAME.format("nothing")}
    in_force(audit)
    lines = [line for line in open(cases, encoding="utf-8") if not line.startswith("#")]
    # Those with old objects come first, as they were stored, and once.
    stored = [line for line in lines if line.split("\t")[3] in ("update", "ephemeral")]
    others = [line for line in lines if line.split("\t")[3] == "create"]
    if lines != stored + others:
        sys.exit(f"{cases}: what has old objects does not come first")
    usual, offset = 0, os.path.getsize(audit)
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", dir=os.path.dirname(cases), delete=False) as part:
        pass
    # Cases that are alike stand together in the table, and not here.
    steps = -(-len(lines) // AT_ONCE)
    for at in range(steps):
        with open(part.name, "w", encoding="utf-8") as file:
            file.writelines((stored if at == 0 else []) + others[at::steps])
        subprocess.run(["python3", "-B", API, "judge", part.name], stdout=subprocess.DEVNULL, check=True)
        time.sleep(1)
        requests, offset = told(audit, offset)
        gone = {}
        for name, by_policy in requests:
            usual += NAME.format("nothing") in by_policy
            for other in left - set(gone):
                if by_policy.get(other) != by_policy.get(NAME.format("nothing")):
                    gone[other] = name
        for other, name in gone.items():
            print(f"killed rules.cel:- {names[other]}: {name}", flush=True)
        left -= set(gone)
        if gone:
            kubectl("delete", "validatingadmissionpolicybindings", *gone)
            kubectl("delete", "validatingadmissionpolicies", *gone)
    os.remove(part.name)
    # A log that says nothing would let everything survive, and one of which nothing is known would kill it all.
    if usual < 100:
        sys.exit(f"the policy itself would have refused {usual} requests only")
    for other in left:
        print(f"SURVIVED rules.cel:- {names[other]}")


main()
