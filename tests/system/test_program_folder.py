"""The folder that Maniple itself lies in, which may change while its kernel runs."""

import os
from pathlib import Path

import pytest

from tests.living import ECHO, ROOT, Kernel, Source, install, make_home
from tests.spread import spread
from tests.system.fates import call


@pytest.mark.parametrize("isolation", spread(["fork", "exec"], 1))
def test_a_hand_finds_the_memory_library_after_something_was_put_beside_it(tmp_path: Path, isolation: str) -> None:
    """Python looks through a folder anew when it has changed; a run may read what is in that one, but not look through it."""
    late = ECHO.main.replace('{"text": text}', '{"text": __import__("memory.words").words.__name__}')
    with Kernel(make_home(tmp_path / "home")) as kernel:
        install(kernel, Source(ECHO.toml.replace("[provides", f'isolation = "{isolation}"\n\n[provides', 1), late))
        call(kernel, "kernel.start", "echo")
        os.utime(ROOT)
        assert call(kernel, "echo.say", "", {"text": "hi"}) == {"text": "memory.words"}
