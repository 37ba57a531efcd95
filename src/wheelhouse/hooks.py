"""Calls one hook of the backend of the project in the current directory (PEP 517).

Arguments: "requires" and a file for what the backend needs to build a wheel, as JSON, or "wheel" and the directory for
one; then `build-backend`, and the directories of `backend-path`.
"""

import importlib
import json
import os
import sys

hook, to, backend, *path = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [os.path.abspath(at) for at in path] + [at for at in sys.path if at != here]
# Backends are free to read arguments, and some run a setup.py that does.
del sys.argv[1:]

module, _, attributes = backend.partition(":")
backend = importlib.import_module(module)
for attribute in filter(None, attributes.split(".")):
    backend = getattr(backend, attribute)
if hook == "wheel":
    backend.build_wheel(to, None, None)
else:
    ask = getattr(backend, "get_requires_for_build_wheel", None)
    wanted = list(ask(None)) if ask else []
    with open(to, "w", encoding="utf-8") as file:
        json.dump(wanted, file)
