"""Holds an SPDX and a CycloneDX document to what their formats want, by the libraries of those who define them."""

import json
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def main(spdx: str, cyclonedx: str) -> None:
    faults = [str(fault) for fault in validate_full_spdx_document(parse_file(spdx))]
    with open(cyclonedx, encoding="utf-8") as file:
        text = file.read()
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault:
        faults.append(str(fault))
    if not json.loads(text)["components"]:
        faults.append("no components")
    sys.exit("\n".join(faults) or 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
