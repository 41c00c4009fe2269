"""`maniple mcp known` (acts)."""

from kernel.cli import mcp_table, screen
from kernel.cli.frame import Session, command


@command()
def mcp_known(session: Session) -> None:
    """Common servers that can be added by name: `maniple mcp add memory`.

    A program must be installed before, as its row says; a KEY is asked for, or taken from the environment variable
    AUTHORIZATION; where it is a login, `maniple mcp login` gives one. Where each row is from is told with --json.
    """
    heads = ("NAME", "KEY", "WHAT IT IS", "WHERE IT IS")
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
                    "login": one.login,
                    "source": one.source,
                    "read": one.read,
                }
                for name, one in mcp_table.SERVERS.items()
            ]
        },
        lambda: screen.table(heads, rows),
    )
