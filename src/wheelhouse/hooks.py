"""Calls one hook of the backend of the project in the current directory (PEP 517).

Arguments: "requires" or "wheel"; a file for the answer, as JSON: what the backend needs to build a wheel, or the name of
the wheel; a directory for that; then `build-backend`, and the directories of `backend-path`.
"""

import importlib
import json
import os
import sys


def main():
    hook, answer, out, backend, *path = sys.argv[1:]
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [os.path.abspath(at) for at in path] + [at for at in sys.path if at != here]
    # Backends are free to read arguments, and some run a setup.py that does.
    del sys.argv[1:]
    module, _, attributes = backend.partition(":")
    backend = importlib.import_module(module)
    for attribute in filter(None, attributes.split(".")):
        backend = getattr(backend, attribute)
    if hook == "wheel":
        said = backend.build_wheel(out, None, None)
    else:
        ask = getattr(backend, "get_requires_for_build_wheel", None)
        said = list(ask(None)) if ask else []
    with open(answer, "w", encoding="utf-8") as file:
        json.dump(said, file)


# Processes that a backend starts may import this, too.
if __name__ == "__main__":
    main()
