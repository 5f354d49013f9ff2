"""unused.py VALUES EVERYTHING TEST…: prints the values of the chart that no test sets: neither EVERYTHING nor a word --set of a test."""

import pathlib
import re
import sys

import yaml


def leaves(value, path=""):
    """Yields the path of every value that is not a map with values of its own."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path


def main():
    values, everything, *tests = (pathlib.Path(name).read_text(encoding="utf-8") for name in sys.argv[1:])
    used = set(leaves(yaml.safe_load(everything)))
    for text in tests:
        used.update(re.findall(r"""--set(?:-json|-string|-file)?[ (]+["']?([A-Za-z][A-Za-z0-9.]*)""", text))
    for path in leaves(yaml.safe_load(values)):
        if not any(one == path or one.startswith((f"{path}.", f"{path}[")) or path.startswith(f"{one}.") for one in used):
            print(path)


main()
