"""`maniple mcp offer` (acts)."""

import shlex

import click

from kernel.cli import install, logbook, mcp_doors
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from manifests.mcp.door import PREFIX, Wanted


@command()
@click.argument("name", metavar="NAME")
@click.argument("methods", metavar="METHOD[=RESOURCE]...", nargs=-1)
@click.option("--hand", metavar="HAND", multiple=True, help="A task Hand that clients may start and wait for.")
@click.option(
    "--autonomy",
    type=click.Choice(["readonly", "supervised", "full"]),
    default="supervised",
    show_default=True,
    help="Whether calls that act beyond this machine wait for your yes.",
)
@click.option("--yes", is_flag=True, help="Grant all it asks for, without a question.")
def mcp_offer(
    session: Session, name: str, methods: tuple[str, ...], hand: tuple[str, ...], autonomy: str, yes: bool
) -> None:
    """Choose what MCP clients may call: creates the door NAME or changes it, shows what it may do, and asks you.

    A door is a Hand, door-NAME, that holds these methods and nothing else. `maniple mcp serve NAME` lets clients in. If
    a method acts on a resource, say on which: files.read=reports/**, web.fetch=https://*.example.org/**.

        maniple mcp offer desk time.now "files.read=reports/**"

    time.* stands for all such methods that exist now. Methods that you no longer name are taken back. A --hand acts
    within its own grants, and clients start it without your yes.
    """
    if not methods and not hand:
        raise Ended("name a method, as in time.now, or a --hand: see `maniple methods`", Exit.USAGE)
    if hand and autonomy == "readonly":
        raise Ended("a door that may only read starts no Hand: leave out --hand, or --autonomy readonly", Exit.USAGE)
    hand_name = mcp_doors.hand_name(name)
    with session.client() as client:
        works, lends = mcp_doors.fetch_startable(client, hand)
        version = logbook.next_version(session.log(), hand_name)
        door_wanted = Wanted(
            name=hand_name.removeprefix(PREFIX), version=version, methods=mcp_doors.match_methods(client, methods),
            hands=works, lends=lends, autonomy=autonomy,
        )  # fmt: skip
        more = [word for one in hand for word in ("--hand", one)]
        again = shlex.join(["maniple", "mcp", "offer", name, *methods, *more, "--autonomy", autonomy, "--yes"])
        folder = mcp_doors.make_folder(door_wanted)
        install.confirm_and_install(session, client, folder, yes=yes, next_=again)
        mcp_doors.revoke_obsolete(client, hand_name, folder.manifest)
    session.say(f"Next: have a client start `maniple mcp serve {name}`")
