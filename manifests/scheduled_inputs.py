"""Checks the inputs that a [schedule] gives against those that its runs take (pure).

Shared by `maniple check`, for the code of a Hand, and the checker of pipeline files.
"""

from collections.abc import Mapping

from manifests.findings import Findings
from manifests.pipeline.reading import can_be_sent
from manifests.positions import Path
from manifests.suggestions import suggestion
from manifests.typed import split_type


def check_given(found: Findings, given: object, takes: Mapping[str, str], *, takes_more: bool = False) -> None:
    """Note inputs that a run does not take, that have another type, or that it needs and does not get.

    given: [schedule] inputs, as read. takes: name → type, with ? if it may be missing. takes_more: any others too.
    """
    inputs = given if isinstance(given, dict) else {}
    for key, value in inputs.items():
        path: Path = ("schedule", "inputs", key)
        if key in takes:
            if not (isinstance(value, str) and value.startswith("$")):  # whose value is not known yet
                can_be_sent(found, path, value, split_type(takes[key])[0])
        elif not takes_more:
            found.at_key(path, f'there is no input "{key}"', suggestion(key, takes) if takes else "it takes none")
    for key, of in takes.items():
        if key not in inputs and not split_type(of)[1]:
            what = f'a run needs the input "{key}" ({of}), and the schedule does not give it'
            found.at_key(("schedule",), what, f"write inputs = {{ {key} = ... }}")
