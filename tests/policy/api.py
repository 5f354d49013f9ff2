"""api.py store|judge CASES.tsv: asks an API server (environment: API, PKI, optionally MESSAGES) about the Kubernetes objects of a table of cases
over one connection. `store` puts the old objects of updates where they belong, which must be possible: no policy is in force then. `judge`
asks for the new ones without storing them, and prints for each case FILE, accept or reject, and the rules."""

import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import urllib.parse

import yaml

from cases import READER, UNREADABLE, objects, rows, tell, text_of

API = urllib.parse.urlsplit(os.environ["API"])
PKI = os.environ["PKI"]
APPLY = "application/apply-patch+yaml"
# How the API server says it of its own policies, and of Kyverno's webhook.
DENIED = re.compile(r" denied (?:request|the request: Policy [^ ]+ failed): ")


class Server:
    def __init__(self):
        tls = ssl.create_default_context(cafile=f"{PKI}/ca.crt")
        tls.load_cert_chain(f"{PKI}/admin.crt", f"{PKI}/admin.key")
        self.connection = http.client.HTTPSConnection(API.hostname, API.port, context=tls, timeout=60)
        self.known = {}

    def ask(self, method, path, text=None, kind="application/yaml"):
        """Asks, and gives back the code and what was said."""
        self.connection.request(method, path, text and text.encode(), {"Content-Type": kind} if text else {})
        answer = self.connection.getresponse()
        said = answer.read().decode()
        # Where no API is, it is said in plain text.
        return answer.status, json.loads(said) if said.startswith("{") else {"message": said.strip()}

    def path(self, thing):
        """Where objects of its kind are."""
        version, namespace = thing["apiVersion"], thing.get("metadata", {}).get("namespace") or "default"
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if root not in self.known:
            code, said = self.ask("GET", root)
            self.known[root] = {one["kind"]: one for one in said.get("resources", []) if "/" not in one["name"]} if code == 200 else {}
        resource = self.known[root][thing["kind"]]
        return f"{root}/namespaces/{namespace}/{resource['name']}" if resource["namespaced"] else f"{root}/{resource['name']}"

    def must(self, *words):
        code, said = self.ask(*words)
        if code >= 300:
            sys.exit(f"an old object cannot be stored: {said.get('message')}")


def single(path, number):
    """The one object of a file, in a namespace of its own, as many old ones go by the same name."""
    with open(path, encoding="utf-8") as file:
        thing = yaml.load(file, Loader=READER)
    if thing["metadata"].get("namespace", "default") == "default":
        thing["metadata"]["namespace"] = f"case-{number}"
    return thing


def store(server, number, as_, path, old):
    """Puts what was there before an update into the store."""
    if as_ == "create":
        return
    thing = single(old if as_ == "update" else path, number)
    namespace = thing["metadata"]["namespace"]
    if namespace.startswith("case-"):
        server.must("POST", "/api/v1/namespaces", text_of({"metadata": {"name": namespace}}))
        server.must("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", text_of({"metadata": {"name": "default"}}))
    if as_ == "ephemeral":
        del thing["spec"]["ephemeralContainers"]
    server.must("PATCH", f"{server.path(thing)}/{thing['metadata']['name']}?fieldManager=test", text_of(thing), APPLY)


def answers(server, number, as_, path):
    """What the server says of each object of a case."""
    if as_ == "create":
        return [server.ask("POST", f"{server.path(thing)}?dryRun=All&fieldValidation=Strict", text) for thing, text in list(objects(path))]
    thing = single(path, number)
    here = f"{server.path(thing)}/{thing['metadata']['name']}"
    if as_ == "update":
        return [server.ask("PATCH", f"{here}?fieldManager=test&force=true&dryRun=All&fieldValidation=Strict", text_of(thing), APPLY)]
    added = text_of({"spec": {"ephemeralContainers": thing["spec"]["ephemeralContainers"]}})
    return [server.ask("PATCH", f"{here}/ephemeralcontainers?dryRun=All&fieldValidation=Strict", added, "application/strategic-merge-patch+json")]


def by_kubectl(path):
    """What kubectl says of a file out of which no objects can be taken here."""
    done = subprocess.run(["kubectl", "create", "--dry-run=server", "--filename", path], capture_output=True, text=True, check=False)
    return [(500 if done.returncode else 201, {"message": done.stderr.strip()})]


def judge(server, number, name, as_, path):
    """Prints the verdict of one case."""
    try:
        said = answers(server, number, as_, path)
    except UNREADABLE:
        said = []
    refusals = []
    for code, answer in said or by_kubectl(path):
        if code >= 300:
            ours = DENIED.search(answer["message"])
            refusals.append((bool(ours), answer["message"][ours.end() :] if ours else answer["message"]))
    tell(name, refusals)


def main():
    command, cases = sys.argv[1:]
    server = Server()
    for number, (name, path, old, as_, _) in enumerate(rows(cases)):
        if command == "store":
            store(server, number, as_, path, old)
        else:
            judge(server, number, name, as_, path)


if __name__ == "__main__":
    main()
