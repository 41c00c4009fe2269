"""What a run that starts programs is planned to have: which it may execute, and where its own files lie."""

import pytest
from msgspec.structs import replace

from manifests.confinement.allowed import Profile
from manifests.confinement.landlock import BIND_TCP, CONNECT_TCP, EXECUTE, MAKE_FIFO, WRITE_FILE
from manifests.confinement.plan import PROXY_PORT, Machine, plan
from manifests.schema import Capability, Confinement, HandSection, Manifest
from runtime import programs
from wire.errors import Refusal

MACHINE = Machine(
    is_root=True, namespaces=("network", "ipc", "mount"), landlock=6, seccomp=True, architecture="x86_64",
    readable=("/usr/lib", "/opt/python/lib"), online=(), programs=("/bin", "/usr/bin"), tools=("/usr/share",),
    places=("/mnt", "/opt"),
)  # fmt: skip
HOME = ("/var/maniple/scratch/r-1",)
HAND = HandSection(name="x", version="1.0.0", description="x", entry="m:C", kind="service", autonomy="full")
PYTHON = Manifest(hand=HAND)
CONNECTS = (Capability(method="web.*", allow=("example.org:443",)),)
COMMAND = Manifest(hand=replace(HAND, entry="", command=("node", "server.js")))


def test_only_a_program_may_execute_and_only_what_is_the_systems_or_its_own() -> None:
    made = plan(COMMAND, MACHINE, folders=HOME, roots=())
    executable = [path for path, rights in made.rules if rights & EXECUTE]
    assert executable == ["/bin", "/usr/bin", "/mnt"]
    assert not [path for path, rights in made.rules if rights & EXECUTE and rights & WRITE_FILE]
    assert made.profiles == {Profile.EXEC}
    assert made.place == "/mnt"
    other = plan(PYTHON, MACHINE, folders=HOME, roots=())
    assert not [path for path, rights in other.rules if rights & EXECUTE]
    assert (other.place, other.profiles) == ("", frozenset())


def test_a_program_may_make_named_pipes_in_its_own_folders_and_not_in_roots() -> None:
    rules = dict(plan(COMMAND, MACHINE, folders=HOME, roots=("root:data",)).rules)
    assert rules[HOME[0]] & MAKE_FIFO
    assert not rules["root:data"] & MAKE_FIFO


@pytest.mark.parametrize(
    ("folder", "reads", "place"),
    [
        ("/mnt/disk/home/scratch/r-1", (), ""),
        ("/srv/home/scratch/r-1", ("/mnt/disk",), ""),
        ("/opt/home/scratch/r-1", (), "/mnt"),
    ],
)
def test_its_files_hide_nothing_that_is_needed(folder: str, reads: tuple[str, ...], place: str) -> None:
    manifest = replace(COMMAND, confinement=Confinement(outside_read=reads))
    if not place:
        with pytest.raises(Refusal, match="a folder to be shown at, and /mnt, /opt cannot be one"):
            plan(manifest, MACHINE, folders=[folder], roots=())
    else:
        assert plan(manifest, MACHINE, folders=[folder], roots=()).place == place


def test_a_home_among_what_programs_read_is_refused() -> None:
    with pytest.raises(Refusal, match="/usr/share, which holds the home"):
        plan(COMMAND, MACHINE, folders=["/usr/share/maniple"], roots=())


@pytest.mark.parametrize(
    ("manifest", "machine", "has_it"),
    [
        (replace(COMMAND, capabilities=CONNECTS), MACHINE, True),
        (replace(PYTHON, capabilities=CONNECTS, confinement=Confinement(programs=True)), MACHINE, True),
        (replace(PYTHON, capabilities=CONNECTS), MACHINE, False),
        (COMMAND, MACHINE, False),
        (replace(COMMAND, capabilities=(Capability(method="web.*", allow=()),)), MACHINE, False),
        (replace(COMMAND, capabilities=CONNECTS), replace(MACHINE, namespaces=("mount", "ipc")), False),
        (replace(COMMAND, capabilities=CONNECTS, confinement=Confinement(network="host")), MACHINE, False),
    ],
)
def test_a_proxy_is_there_for_programs_with_something_to_connect_to_on_a_loopback_of_their_own(
    manifest: Manifest, machine: Machine, has_it: bool
) -> None:
    made = plan(manifest, machine, folders=HOME, roots=())
    assert made.proxy is has_it
    assert made.ports == ((PROXY_PORT,) if has_it else ())
    assert (Profile.PROXY in made.profiles) is has_it
    if has_it:
        assert made.profiles == {Profile.EXEC, Profile.PROXY}
        assert made.landlock is not None
        assert made.landlock.network == BIND_TCP | CONNECT_TCP
        assert f"http://127.0.0.1:{PROXY_PORT}" == programs.PROXY


def test_without_mounts_of_its_own_a_program_does_not_start() -> None:
    with pytest.raises(Refusal, match="need a mount-namespace to be shown in"):
        plan(COMMAND, replace(MACHINE, namespaces=("network",)), folders=HOME, roots=())
    lent = replace(PYTHON, confinement=Confinement(scratch="caller"))
    with pytest.raises(Refusal, match="its caller's scratch, which it is shown in a mount-namespace only"):
        plan(lent, replace(MACHINE, namespaces=("network",)), folders=HOME, roots=())
    assert plan(lent, replace(MACHINE, namespaces=("network",), is_root=False), folders=HOME, roots=()).missing
    assert plan(PYTHON, replace(MACHINE, namespaces=("network",)), folders=HOME, roots=()).missing
