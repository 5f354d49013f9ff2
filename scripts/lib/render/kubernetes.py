"""kubernetes.py FOLDER NAMESPACE: reads what `helm template` prints and writes it to files, one for each template, or for each kind of
object where k8s/ has a file of its own. Comments stay; what only Helm would know goes; every object names its namespace."""

import pathlib
import re
import sys

# What each template's objects are called among the manifests.
FILES = {
    "configmap": "configmap",
    "deployment": "api-deployment",
    "service": "api-service",
    "ingress": "ingress",
    "networkpolicies": "networkpolicies",
    "pdb": "api-disruption-budget",
    "serviceaccount": "serviceaccount",
    "postgres/configmap": "postgres-configmap",
    "postgres/service": "postgres-service",
    "postgres/statefulset": "postgres-statefulset",
}
# Lines that only Helm would understand.
HELM = re.compile(r"^ +(helm\.sh/chart|app\.kubernetes\.io/managed-by|checksum/secrets): .*\n", re.MULTILINE)
EMPTY = re.compile(r"^ *\n", re.MULTILINE)
NAME = re.compile(r"^metadata:\n  name: .*\n", re.MULTILINE)


def main():
    folder, namespace = pathlib.Path(sys.argv[1]), sys.argv[2]
    found = {}
    for document in re.split(r"^---\n", sys.stdin.read(), flags=re.MULTILINE):
        source = re.match(r"# Source: [^/]+/templates/(\S+)\.yaml\n", document)
        if not source:
            continue
        body = HELM.sub("", document[source.end() :])
        # In a text an empty line means something.
        body = EMPTY.sub("\n" if ": |\n" in body else "", body)
        body, times = NAME.subn(lambda match: f"{match[0]}  namespace: {namespace}\n", body)
        if times != 1:
            sys.exit(f"{source[1]} has an object without a name")
        found.setdefault(FILES[source[1]], []).append(body.strip() + "\n")
    for name, bodies in found.items():
        (folder / f"{name}.yaml").write_text("# Made of the chart by scripts/render; do not edit.\n" + "---\n".join(bodies), encoding="utf-8")


main()
