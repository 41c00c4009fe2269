"""The package is imported by the run of a server's Hand and by no other process, whose start it would double."""

import subprocess
import sys


def test_no_process_but_a_servers_own_imports_the_package() -> None:
    begin = "import sys, runtime.preload as one; one.preload()"
    others = "import kernel.main, kernel.cli.mcp_add, kernel.process.template"
    told = "print([name for name in ('mcp', 'pydantic', 'anyio') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{begin}; {others}; {told}"], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
