"""Any pipeline does with a real kernel, run by run, what its machine does without one."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manifests.pipeline.check import check
from runtime.pipeline.actions import Begin, End
from tests.living import Kernel, make_home
from tests.runtime.pipeline.driven import Drive
from tests.system.fates import ran
from tests.system.piped import HEAD, add, furnish, ledger

NUMBERS = count()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for all of them."""
    with Kernel(make_home(tmp_path_factory.mktemp("piped") / "home")) as kernel:
        furnish(kernel)
        yield kernel
        kernel.down()


@st.composite
def steps(draw: st.DrawFn) -> dict[str, Any]:
    """The tables of a pipeline whose runs come one after the other, so that there is one order for them."""
    made: dict[str, Any] = {}
    spare = draw(st.booleans())
    for number in range(draw(st.integers(1, 4))):
        step: dict[str, Any] = {"hand": "worker", "with": {"text": f"s{number}", "fail": draw(st.integers(0, 2))}}
        if made:
            step["needs"] = draw(st.lists(st.sampled_from([*made]), unique=True, max_size=2))
        if draw(st.booleans()):
            step["for_each"] = ["x", "y"]
            step["with"]["text"] += " ${item}"
        if draw(st.booleans()):
            step["retry"] = {"times": draw(st.integers(1, 2)), "backoff": "1ms"}
        if draw(st.booleans()):
            step["undo"] = {"hand": "worker", "with": {"text": f"not s{number} ${{output.text}}"}}
        step["on_failure"] = draw(st.sampled_from(["stop", "skip", "spare"] if spare else ["stop", "skip"]))
        made[f"s{number}"] = step
    if any(step["on_failure"] == "spare" for step in made.values()):
        made["spare"] = {"hand": "worker", "with": {"text": "for ${failure.step}"}}
    last = {"end": {"hand": "worker", "with": {"text": "${outcome} ${default(failure.step, '')}"}}}
    return {"steps": made, "finally": last}


@pytest.mark.wide
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps())
def test_a_pipeline_does_with_a_kernel_what_its_machine_does_alone(kernel: Kernel, tables: dict[str, Any]) -> None:
    name = f"random-{next(NUMBERS)}"
    for step in (*tables["steps"].values(), *tables["finally"].values()):
        for work in filter(None, (step, step.get("undo"))):
            work["with"]["on"] = f"book/{name}"
    text = "parallel = 1\n" + tomli_w.dumps(tables)
    said: list[str] = []

    def answer(begin: Begin) -> End:
        line = str(begin.given["text"])
        said.append(line)
        if said.count(line) <= int(str(begin.given.get("fail", 0))):
            return End(code="flaky", text="it fails")
        return End(value={"text": line, "count": said.count(line), "give": None})

    alone = Drive(check(HEAD.replace("NAME", name) + text, file=f"{name}.pipeline.toml"), answer=answer).result
    add(kernel, name, text)
    with kernel.client() as client:
        told = ran(client, name)
        lines = [line.partition(" ")[2] for line in ledger(client) if line.startswith(f"book/{name} ")]
    assert lines == said
    assert (told["outcome"], told["code"]) == (("failed", alone.code) if alone.code else ("done", ""))
    if alone.code:
        assert told["value"] == {"step": alone.step, "undone": list(alone.undone), "left": list(alone.left)}
