"""`maniple mcp add` (acts)."""

import os
import shlex
import sys
from typing import Final, Literal

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kernel.cli import (
    install,
    logbook,
    mcp_server_text,
    mcp_servers,
    mcp_table,
    mcp_temporary,
    named_files,
    screen,
    secret_values,
)
from kernel.cli.exits import Ended, Exit
from kernel.cli.frame import Session, command
from manifests import capabilities
from manifests.capabilities import url
from manifests.errors import PatternInvalid, ResourceInvalid
from manifests.mcp import tools
from manifests.mcp.folder import EFFECTS, PREFIX, Wanted, setting_of
from manifests.mcp.private import is_private, key_in_query
from manifests.mcp.tools import Login, Offer
from manifests.mcp.words import visible
from manifests.names import is_hand_name
from manifests.schema import CERTIFICATES, PROGRAM_FOLDERS
from manifests.suggestions import did_you_mean, nearest

MEMORY: Final = "1GiB"
"""Default limit of memory for a server's processes, each and all together."""


class Options(Struct, frozen=True, kw_only=True):
    """The options as typed."""

    connect: tuple[str, ...]
    code: tuple[str, ...]
    read: tuple[str, ...]
    only: tuple[str, ...]
    effect: tuple[str, ...]
    set: tuple[str, ...]
    secret: tuple[str, ...]
    certificates: str | None
    may_ask: bool
    client: str
    client_secret: bool
    client_key: str | None
    issuer: str
    alone: bool
    memory: str


@command()
@click.argument("name", metavar="NAME")
@click.argument("server", metavar="[URL | -- COMMAND...]", nargs=-1)
@click.option("--yes", is_flag=True, help="Grant all it asks for, without a question.")
@click.option("--full", is_flag=True, help="Show all that models read of its tools, however much that is.")
@click.option(
    "--files",
    metavar="DIR",
    type=named_files.PATH,
    help="The server's own folder: sealed with its Hand, and where it runs.",
)
@click.option(
    "--code", metavar="DIR", multiple=True, help="A folder with its program's code: read in place, not sealed."
)
@click.option(
    "--connect", metavar="HOST:PORT", multiple=True, help="Where it may connect to; for a URL, where its logins are."
)
@click.option("--read", metavar="DIR", multiple=True, help="A folder of this machine that the program may read.")
@click.option("--only", metavar="TOOL", multiple=True, help="Take only the tools that are named.")
@click.option(
    "--effect", metavar="TOOL=EFFECT", multiple=True, help="What a tool does: read, write or external. TOOL * is all."
)
@click.option(
    "--set", metavar="NAME=VALUE", multiple=True, help="An environment variable; {state} is a folder that lasts."
)
@click.option(
    "--secret", metavar="NAME", multiple=True, help="An environment variable, or a URL's header, kept secret."
)
@click.option(
    "--certificates",
    metavar="FILE",
    type=named_files.PATH,
    help="Trust these authorities at the URL, not the system's.",
)
@click.option("--may-ask", is_flag=True, help="Let it ask you questions: `maniple questions` lists them.")
@click.option("--client", metavar="ID", default="", help="The id of the client that logs in, or its document's URL.")
@click.option("--client-secret", is_flag=True, help="Take that client's secret from CLIENT_SECRET, or ask for it.")
@click.option("--client-key", metavar="FILE", type=named_files.PATH, help="That client's private key, a PEM file.")
@click.option("--issuer", metavar="URL", default="", help="The authorization server that knows that client.")
@click.option("--alone", is_flag=True, help="Log in with the client's secret or key, without a person.")
@click.option(
    "--memory", metavar="SIZE", default=MEMORY, help="Memory of its processes, each and together; default 1GiB."
)
def mcp_add(
    session: Session, name: str, server: tuple[str, ...], yes: bool, full: bool, files: str | None, **typed: object
) -> None:
    """Make an MCP server a Hand, or update one: shows its tools, asks you, seals it and installs it.

    The server is started once, confined and without any grant, to see what it offers. Its Hand is mcp-NAME, and its
    tools become methods such as `mcp-NAME.read-file`. Each counts as acting beyond this machine unless --effect says
    otherwise.

        maniple mcp add clock --files ./clock -- python3 server.py
        maniple mcp add docs https://mcp.example.org/mcp

    Without URL or COMMAND, NAME is one of `maniple mcp known`.

    The Hand keeps what you agreed to: a tool whose description or schema changes later is refused until this command
    has shown it again.

    A server at a URL that wants a login is added without its tools. Type `maniple mcp login NAME`, then this command
    again.

    The value of a --secret comes from the environment variable of that name (for a header in capitals, with _ for -),
    or from a prompt.
    """
    options, again = msgspec.convert(typed, Options), _retry_command(name, server, {"files": files, **typed})
    if not server:
        server, options = _from_table(name, options)
    for option, folders in (("--code", options.code), ("--read", options.read)):
        if absent := [one for one in folders if not named_files.is_folder(one)]:
            raise Ended(f"{option} {absent[0]}: there is no such folder; name another, or leave it out", Exit.USAGE)
    wanted = _make_wanted(name, server, options, has_files=files is not None)
    values = _read_secrets(wanted, options)
    own = mcp_servers.read_own_files(files) if files is not None else {}
    if options.certificates:
        own[tools.CERTIFICATES] = _read_file(options.certificates)
    with session.client() as client:
        old = mcp_servers.find(client, wanted.hand)
        wanted = replace(wanted, version=logbook.next_version(session.log(), wanted.hand))
        try:
            offer = mcp_servers.fetch_offer(session, client, wanted, own, values, old)
        except mcp_servers.LoginWanted as error:
            how = "with the tools that it had" if old else "without its tools"
            session.say(f"The server wants a login before it tells what it offers. It is added {how}.")
            hand = mcp_servers.make_folder(replace(wanted, only=(), effects={}), Offer(), own, old)
            then = f"`maniple mcp login {name}`, then this command again shows its tools"
            if error.unasked:
                session.say(f"{wanted.hand}, which may be logged in, could not be asked: {visible(error.unasked)}.")
                then = "when that is fixed, this command again, which asks it"
        else:
            hand = mcp_servers.make_folder(wanted, offer, own)
            mcp_server_text.say_offer(session, offer, hand, old[1] if old is not None else None)
            then = f"`maniple methods {wanted.hand}`, and grant them to a Hand that asks for them"
        install.confirm_and_install(session, client, hand, yes=yes, as_declared=True, next_=again, full=full)
        if values:
            client.call("kernel.set", wanted.hand, {"values": values})
    session.say(f"Next: {then}")


def _read_secrets(wanted: Wanted, options: Options) -> dict[str, str]:
    """Read the secret settings of the server's Hand: variables or headers, and the OAuth client's secret or key."""
    secret_values.check_names(wanted.environment)
    values = {setting_of(one): _read_secret(one, is_header=bool(wanted.url)) for one in wanted.environment}
    if wanted.login is not None and wanted.login.proof:
        key = options.client_key
        values[wanted.login.proof] = secret_values.from_file(key) if key else _read_secret("CLIENT_SECRET")
    return values


def _retry_command(name: str, server: tuple[str, ...], typed: dict[str, object]) -> str:
    """The command line as typed, with --yes: the hint where there is no terminal to ask at."""
    words = ["maniple", "mcp", "add", name, "--yes"]
    for option, value in typed.items():
        flag = f"--{option.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif isinstance(value, tuple):
            words += [word for one in value for word in (flag, str(one))]
        elif value and (option, value) != ("memory", MEMORY):
            words += [flag, str(value)]
    is_program = server and not _is_url(server[0])
    return shlex.join([*words, *(["--"] if is_program else []), *server])


def _from_table(name: str, options: Options) -> tuple[tuple[str, ...], Options]:
    """The words and options of a server in the table of known ones. Raises Ended if it is not there."""
    row = mcp_table.SERVERS.get(name.removeprefix(PREFIX))
    if row is None:
        meant = did_you_mean(nearest(name, mcp_table.SERVERS))
        raise Ended(
            f"{name} is not among `maniple mcp known`{meant}: name its URL, or its program after --", Exit.USAGE
        )
    if row.reads and not options.read:
        raise Ended(f"name a folder that it may read: `maniple mcp add {name} --read DIR`", Exit.USAGE)
    if row.install and not any(os.path.isfile(os.path.join(place, row.server[0])) for place in PROGRAM_FOLDERS):
        raise Ended(f"{row.server[0]} is not installed: `{row.install}` first, then this command again")
    more = {"set": (*row.set, *options.set), "secret": (*row.secret, *options.secret)}
    more["connect"] = (*row.connect, *options.connect)
    return row.words(tuple(map(os.path.realpath, options.read))), replace(options, **more)


def _make_wanted(name: str, server: tuple[str, ...], options: Options, *, has_files: bool) -> Wanted:
    """name: the server's or its Hand's."""
    name = name.removeprefix(PREFIX)
    if not is_hand_name(f"{PREFIX}{name}"):
        raise Ended(
            f"{name} cannot be a server's name: write lower-case letters and digits, with - between words", Exit.USAGE
        )
    if mcp_temporary.NAME.fullmatch(name):
        raise Ended(f"{name} cannot be a server's name: such names are for temporary Hands", Exit.USAGE)
    effects = dict(_parse_pair("--effect", one) for one in options.effect)
    plain = dict(_parse_pair("--set", one) for one in options.set)
    _check_any_server(server, effects, options.connect)
    rest = Wanted(
        name=name, only=options.only, effects=effects, plain=plain, environment=options.secret, memory=options.memory,
        may_ask=options.may_ask,
    )  # fmt: skip
    if _is_url(server[0]):
        return _at_url(rest, server, options, has_files=has_files)
    if _login(options) != Login():
        raise Ended("a program needs no login: --client, --issuer and --alone are for a URL", Exit.USAGE)
    if options.certificates:
        raise Ended("--certificates is for a URL, and this server is a program: leave it out", Exit.USAGE)
    code, readable = (tuple(map(os.path.realpath, one)) for one in (options.code, options.read))
    return replace(rest, command=server, hosts=options.connect, code=code, readable=readable)


def _at_url(rest: Wanted, server: tuple[str, ...], options: Options, *, has_files: bool) -> Wanted:
    """Complete a server at a URL. rest: the part common to all servers. Raises Ended for options that do not fit."""
    login = _login(options)
    if len(server) > 1 or has_files or options.code or options.read:
        raise Ended(
            "a server at a URL takes no further arguments, and no --files, --code or --read: leave them out", Exit.USAGE
        )
    hosts, certificates = (_address_of(server[0]), *options.connect), _certificate_file(options, server[0])
    if key := key_in_query(server[0]):
        raise Ended(
            f"`{screen.visible(key)}` in the URL would be in lists and in the log: leave it out, and give the key "
            "as a header, --secret Authorization or --secret X-Api-Key",
            Exit.USAGE,
        )
    no_login = "" if is_private(server[0]) else f"{server[0]} is not https"
    if any(one.lower() == "authorization" for one in options.secret):
        no_login = "--secret Authorization is given"
    if no_login and login != Login():
        why = f"nobody logs in to this server, since {no_login}: leave out --client, --issuer and --alone"
        raise Ended(why, Exit.USAGE)
    allowed_login = None if no_login else login
    return replace(
        rest, url=server[0], hosts=tuple(dict.fromkeys(hosts)), certificates=certificates, login=allowed_login
    )


def _is_url(word: str) -> bool:
    return word.startswith(("http://", "https://"))


def _check_any_server(server: tuple[str, ...], effects: dict[str, str], hosts: tuple[str, ...]) -> None:
    """Check words and options of any kind of server before it is started. Raises Ended (usage)."""
    if not _is_url(server[0]):
        _check_program(server[0])
    for effect in effects.values():
        if effect not in EFFECTS:
            raise Ended(f"{effect!r} is not an effect: write {', '.join(EFFECTS)}", Exit.USAGE)
    for one in hosts:
        try:
            capabilities.check_pattern(one, "address")
        except PatternInvalid as error:
            raise Ended(f"--connect {one}: {error.why}; write HOST:PORT", Exit.USAGE) from None


def _check_program(word: str) -> None:
    """Raise Ended (usage) for the first word of a server that is no program, if it shows what was meant."""
    name, is_pair, _ = word.partition("=")
    if is_pair and name.isidentifier():
        how = "give a variable as --set NAME=VALUE, a secret one as --secret NAME"
        raise Ended(f"{name}=… is no program: {how}", Exit.USAGE)
    if "/" in word and word[0] not in "./":
        raise Ended(f"{word}: a URL begins with https:// or http://; a program stands after --", Exit.USAGE)
    if " " in word:
        raise Ended(f"`{word}` is no program: write its words apart, without quotation marks", Exit.USAGE)


def _login(options: Options) -> Login:
    """How the server's Hand may log in. Raises Ended for options that contradict each other."""
    proof: Literal["", "client_secret", "client_key"] = "client_secret" if options.client_secret else ""
    if options.client_key:
        if proof:
            raise Ended("--client-secret and --client-key both prove the client: give one of them", Exit.USAGE)
        proof = "client_key"
    is_alone = options.alone or proof == "client_key"
    if (proof or options.issuer or is_alone) and not options.client:
        raise Ended("--client-secret, --client-key, --issuer and --alone need a --client: name it", Exit.USAGE)
    if is_alone and not proof:
        raise Ended("--alone needs the client's --client-secret or --client-key", Exit.USAGE)
    if proof and not options.issuer:
        raise Ended(f"--issuer must say whose client {options.client} is: nobody else is shown its secret", Exit.USAGE)
    return Login(client=options.client, proof=proof, issuer=options.issuer, is_alone=is_alone)


def _parse_pair(option: str, text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=") if option == "--set" else text.rpartition("=")
    if not sign or not name:
        form = "NAME=VALUE" if option == "--set" else "TOOL=read, TOOL=write or TOOL=external"
        raise Ended(f"{option} {text}: write {form}", Exit.USAGE)
    return name, value


def _address_of(address: str) -> str:
    """The HOST:PORT of a URL, as `web.connect` takes it."""
    try:
        origin = url.origin(url.normalise(address))
    except ResourceInvalid as error:
        raise Ended(f"{address}: {error.why}; a key is given as --secret Authorization", Exit.USAGE) from None
    scheme, _, authority = origin.partition("://")
    host, port = url.split_port(authority)
    return f"{host}:{port or url.DEFAULT_PORTS[scheme]}"


def _certificate_file(options: Options, address: str) -> str:
    if options.certificates or not address.startswith("https:"):
        return ""
    if found := next((path for path in CERTIFICATES if os.path.isfile(path)), ""):
        return os.path.realpath(found)
    raise Ended(
        "this system's trusted certificates were not found: name their file, `maniple mcp add --certificates FILE`"
    )


def _read_file(path: str) -> bytes:
    try:
        with named_files.open_to_read(path) as file:
            return file.read(tools.LARGEST)
    except OSError as error:
        raise named_files.unreadable(path, error) from None


def _read_secret(name: str, *, is_header: bool = False) -> str:
    """Read a secret from the environment, or prompt for it without echo. is_header: its case does not matter."""
    plain = name.replace("-", "_")
    for variable in (plain.upper(), plain, name) if is_header else (plain, name):
        if variable in os.environ:
            return secret_values.from_environment(variable)
    if not screen.is_terminal(sys.stdin):
        wanted = plain.upper() if is_header else name
        raise Ended(f"no environment variable {wanted} is set, and there is no terminal to ask for it at", Exit.USAGE)
    return secret_values.prompt(name, name)
