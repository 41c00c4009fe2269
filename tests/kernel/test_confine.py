"""What is done to a process by system calls alone, in a process of its own that ends afterwards."""

import os
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from kernel.process import child, confine, mounts
from manifests import schema
from manifests.confinement.plan import Machine
from manifests.values import UID_BASE
from tests.kernel.filtered import outcome
from tests.manifests.texts import manifest
from tests.rights import IS_WHOLE_ROOT
from wire.errors import Refusal
from wire.launch import Rlimits

LEFT = 64


def test_a_limit_that_the_kernel_was_started_with_holds_for_runs_where_it_is_lower_than_declared() -> None:
    """`ulimit -n 64`, then `maniple up`: each run that may open more than that ended in `Operation not permitted`."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (LEFT, LEFT))
        confine.limit(Rlimits(memory=1 << 30, cpu=-1, processes=9, open_files=LEFT * 4, file_size=1 << 20))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (LEFT, LEFT)
        assert resource.getrlimit(resource.RLIMIT_FSIZE) == (1 << 20, 1 << 20)
        assert resource.getrlimit(resource.RLIMIT_CPU) == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    assert outcome(limited, None) == "done"


def test_a_run_may_have_fewer_descriptors_than_the_kernel_which_passes_some_on() -> None:
    """The system counts those on their way for a whole user: a run that had as many as the kernel let it begin no other."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
        confine.limit(Rlimits(memory=1 << 30, cpu=-1, processes=9, open_files=65_536, file_size=1 << 20))
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (512, 512)

    assert outcome(limited, None) == "done"


def test_a_core_file_is_given_to_no_program_either() -> None:
    """Of a limit of 0 the system asks nothing where core files are piped to a program, which runs as root; of 1 it does."""

    def limited() -> None:
        confine.limit(Rlimits(memory=1 << 30, cpu=-1, processes=9, open_files=LEFT, file_size=1 << 20))
        assert resource.getrlimit(resource.RLIMIT_CORE) == (1, 1)

    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("this process may have no limit but 0")
    assert outcome(limited, None) == "done"


@pytest.mark.skipif(not IS_WHOLE_ROOT, reason="an ordinary user's runs mount this in a user namespace of their own")
def test_memory_to_share_is_bounded_in_bytes_and_names_and_nothing_in_it_is_executed() -> None:
    def shared() -> None:
        mounts.leave(["mount"])
        mounts.share("/mnt", 1 << 20)
        found, forbids = os.statvfs("/mnt"), os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC
        assert (found.f_blocks * found.f_frsize, found.f_files) == (1 << 20, 1024)
        assert found.f_flag & forbids == forbids

    assert outcome(shared, None) == "done"


def test_no_memory_is_shared_where_a_link_of_the_home_leads(tmp_path: Path) -> None:
    """A home, or its scratch, on a file system in memory: the mount would hide it, and no run with programs would start."""
    shared, scratch = tmp_path / "shm", tmp_path / "home" / "scratch"
    (shared / "r-1").mkdir(parents=True)
    scratch.parent.mkdir()
    scratch.symlink_to(shared)
    hand = replace(manifest(), confinement=replace(manifest().confinement, programs=True))
    found = Machine(
        is_root=True, architecture="x86_64", landlock=7, seccomp=True, cgroup="/g", namespaces=("mount",), readable=(),
        online=(), shared=str(shared),
    )  # fmt: skip
    launch: Any = SimpleNamespace(  # the fields that count here
        manifest=schema.encode(hand), scratch=f"{scratch}/r-1", state="", descriptors=(), require=()
    )
    assert child._planned(launch, found).shared is None
    launch.scratch = str(tmp_path / "r-1")
    assert child._planned(launch, found).shared is not None


@pytest.mark.skipif(not IS_WHOLE_ROOT, reason="an ordinary user's runs keep his id and groups")
def test_a_run_keeps_no_group_of_the_kernels() -> None:
    def become() -> None:
        os.setgroups([4, 6])
        confine.become(UID_BASE)
        assert (os.getgroups(), os.getresgid()) == ([], (UID_BASE,) * 3)

    assert outcome(become, None) == "done"


@pytest.mark.skipif(not IS_WHOLE_ROOT, reason="as an ordinary user, runs have folders as they are")
def test_a_folder_that_is_shown_as_the_runs_own_has_no_programs_and_no_devices_for_it(tmp_path: Path) -> None:
    def shown() -> None:
        tree = mounts._mapped_tree(os.open(tmp_path, os.O_PATH), UID_BASE)
        forbids = os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC
        assert (os.stat(tree).st_uid, os.fstatvfs(tree).f_flag & forbids) == (UID_BASE, forbids)

    assert outcome(shown, None) == "done"


def test_a_process_that_stood_ready_with_other_namespaces_becomes_no_run(tmp_path: Path) -> None:
    launch: Any = SimpleNamespace(rlimits=SimpleNamespace(file_size=1), seed=1, uid=None)
    made: Any = SimpleNamespace(unshared=("network", "ipc"))

    def stood_ready() -> None:
        output = os.open(tmp_path / "output", os.O_RDWR | os.O_CREAT)
        with pytest.raises(Refusal, match="should have"):
            child._confine(launch, {"output": output}, made, {}, child.Prepared(("ipc",), b"", b""))

    assert outcome(stood_ready, None) == "done"
