"""What a Hand's work takes is read from its code, and where that cannot be, nothing is said."""

import pytest

from manifests.pipeline.signature import UNKNOWN, Signature, of_entry


def read(code: str, entry: str = "main:Worker") -> Signature:
    """The signature in this main.py."""
    return of_entry(entry, {"main.py": code.encode()})


def work(parameters: str) -> Signature:
    """The signature of a run with these parameters."""
    return read(f"class Worker(Hand):\n    async def run(self{parameters}) -> object:\n        return None\n")


@pytest.mark.parametrize(
    ("parameters", "params"),
    [
        ("", {}),
        (", a: int", {"a": "int"}),
        (", a: str = '', b: bool = False", {"a": "string?", "b": "bool?"}),
        (", a, *, b: float, c: bytes = b''", {"a": "any", "b": "float", "c": "bytes?"}),
        (", a: list, b: dict[str, int], c: Mapping[str, object]", {"a": "list", "b": "dict", "c": "dict"}),
        (", a: int | None = None, b: 'int' = 1", {"a": "any?", "b": "any?"}),
        (", a: list[str] = (), /", {"a": "list?"}),
    ],
)
def test_names_types_and_defaults_are_read(parameters: str, params: dict[str, str]) -> None:
    assert work(parameters) == Signature(params=params)


def test_a_run_that_takes_anything_says_so() -> None:
    assert work(", a: int, **more: object") == Signature(params={"a": "int"}, more=True)


def test_a_hand_without_a_run_has_no_work_of_its_own() -> None:
    assert read("class Worker(Hand):\n    async def do(self, call): ...\n") == Signature(found=False)


@pytest.mark.parametrize(
    "code",
    [
        "class Other(Hand): ...",
        "class Worker(Base): ...",
        "class Worker(Hand):\n    @traced\n    async def run(self): ...\n",
        "from other import Worker",
        "this is no Python",
        "class Worker(Hand):\n    async def run(self" + "(" * 500,
        "\0",
        "x = 1" + "+1" * 20_000,
        "x = " + "-" * 100_000 + "1",
        "class Worker(a" + ".b" * 1_000 + "): ...",
    ],
)
def test_what_cannot_be_seen_is_unknown(code: str) -> None:
    assert read(code) == UNKNOWN


def test_an_entry_whose_file_is_missing_is_unknown() -> None:
    assert read("class Worker(Hand): ...", "other:Worker") == UNKNOWN


def test_an_entry_in_a_folder_is_found() -> None:
    code = b"class Worker(Hand):\n    async def run(self, a: int): ...\n"
    assert of_entry("a.b:Worker", {"a/b.py": code}) == Signature(params={"a": "int"})
