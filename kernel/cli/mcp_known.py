"""`maniple mcp known` (acts)."""

from kernel.cli import mcp_table, screen
from kernel.cli.frame import Session, command


@command()
def mcp_known(session: Session) -> None:
    """List common servers that can be added by name: `maniple mcp add memory`.

    Install a server's program first, with the command in its row. KEY is yes if the server needs a key, which is asked
    for or taken from the environment variable AUTHORIZATION, and login if it needs `maniple mcp login`. --json adds the
    source of each row.
    """
    heads = ("NAME", "KEY", "WHAT IT IS", "INSTALL WITH, OR URL")
    rows = [
        (name, "yes" if one.secret else "login" if one.login else "", one.what, one.install or one.server[0])
        for name, one in mcp_table.SERVERS.items()
    ]
    session.result(
        {
            "servers": [
                {
                    "name": name,
                    "what": one.what,
                    "server": list(one.server),
                    "install": one.install,
                    "key": bool(one.secret),
                    "login": one.login,
                    "source": one.source,
                    "read": one.read,
                }
                for name, one in mcp_table.SERVERS.items()
            ]
        },
        lambda: screen.table(heads, rows),
    )
