"""A name server of an attacker's own, asked by the system's resolver: what was checked is what is connected to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NOT_MADE = 77


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="namespaces need root and unshare")
def test_a_name_that_changes_its_mind_leads_to_no_address_that_was_not_checked(tmp_path: Path) -> None:
    names = tmp_path / "resolv.conf"
    names.write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")
    script = f'mount --bind "$1" /etc/resolv.conf || exit {NOT_MADE}; shift; exec "$@"'
    done = subprocess.run(
        ["unshare", "-mn", "sh", "-c", script, "sh", str(names), sys.executable, "-m", "tests.hands.web.rebinding"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == NOT_MADE:
        pytest.skip(f"this machine lets nobody have a name server of his own: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr[-4_000:]
