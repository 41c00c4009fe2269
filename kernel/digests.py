"""Digests of the code that runs (acts), which the kernel's start entry records."""

import hashlib
import os
import sys
from typing import Final

PACKAGES: Final = ("kernel", "manifests", "memory", "runtime", "wire")


def code_digests() -> dict[str, object]:
    """Return the SHA-256 of the interpreter's file, and of each package: of its files' paths and contents, sorted."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(os.path.realpath(sys.executable), "rb") as interpreter:
        digests: dict[str, object] = {"interpreter": hashlib.file_digest(interpreter, "sha256").hexdigest()}
    for package in PACKAGES:
        whole = hashlib.sha256()
        for folder, folders, files in os.walk(os.path.join(root, package)):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(files):
                with open(f"{folder}/{name}", "rb", 0) as file:
                    whole.update(f"{folder[len(root) + 1 :]}/{name}\n".encode())
                    whole.update(hashlib.sha256(file.read()).digest())
        digests[package] = whole.hexdigest()
    return digests
