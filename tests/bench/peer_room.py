"""Runs peers in a virtual environment of their own, made at its first use from requirements/peers.txt (acts)."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from memory.arrays import Floats, np

ROOT: Final = Path(__file__).parents[2]
ROOM: Final = ROOT / ".peers"
PINNED: Final = ROOT / "requirements" / "peers.txt"


class Answers(Struct, frozen=True, kw_only=True):
    """A peer's answers. found: documents' ids for each question; seconds: of each search; stored: of each single store."""

    found: dict[str, list[str]]
    seconds: tuple[float, ...]
    stored: tuple[float, ...] = ()


def ask(
    folder: Path, ids: list[str], texts: list[str], vectors: Floats, questions: dict[str, str], asked: Floats
) -> dict[str, Answers]:
    """Let each peer store the texts and answer the questions; its answers, by its name."""
    job = {"ids": ids, "texts": texts, "question_ids": list(questions), "questions": list(questions.values())}
    folder.mkdir(parents=True)
    (folder / "job.json").write_bytes(msgspec.json.encode(job))
    np.save(folder / "documents.npy", vectors)
    np.save(folder / "questions.npy", asked)
    script = Path(__file__).with_name("peers.py")
    subprocess.run([_prepare_python(), "-P", script, folder], check=True, stdout=subprocess.DEVNULL)
    return msgspec.json.decode((folder / "peers.json").read_bytes(), type=dict[str, Answers])


def _prepare_python() -> Path:
    """The environment's interpreter; the environment is made anew when requirements/peers.txt has changed."""
    python, stamp = ROOM / "bin" / "python", ROOM / "stamp"
    if not stamp.exists() or stamp.read_bytes() != PINNED.read_bytes():
        subprocess.run([sys.executable, "-m", "venv", "--clear", ROOM], check=True)
        uv = Path(sys.executable).with_name("uv")
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", PINNED], check=True
        )
        stamp.write_bytes(PINNED.read_bytes())
    return python
