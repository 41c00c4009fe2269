"""What is gone says nothing more, and that is no error, whatever it has left unread."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernel.descriptors import pair, receive, send
from tests.living import ROOT, make_home, why_no_hand_runs

BEGINS = """
import os, select, sys
from kernel.home import Home
from kernel.launcher import start_template

end, _ = start_template(Home(sys.argv[1]))
select.select([end], [], [])
"""
"""A kernel that ends when its template has told it something, which it has not read."""


def test_an_end_that_had_not_read_all_is_gone_like_any_other() -> None:
    ours, theirs = pair()
    with ours:
        with theirs:
            send(ours, b"unread")
        assert receive(ours) == (b"", [])


@pytest.mark.skipif(why_no_hand_runs() != "", reason="no template lives here")
def test_a_template_whose_kernel_ends_before_it_hears_of_it_says_nothing_of_that(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = [sys.executable, "-c", BEGINS, str(home)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
