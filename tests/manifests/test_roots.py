"""A folder that shows the home is known for it, whatever the mounts; others are not suspected."""

import pytest

from manifests.roots import Mount, read_mounts, reveals_home

HOME = "/data/u/.maniple"
MOUNTS = [Mount("8:1", "/", "/"), Mount("8:2", "/", "/data"), Mount("0:5", "/", "/proc")]


@pytest.mark.parametrize("folder", ["/", "/data", "/data/u", HOME, f"{HOME}/keys"])
def test_what_holds_or_lies_in_the_home_meets_it(folder: str) -> None:
    assert reveals_home(folder, HOME, MOUNTS)


@pytest.mark.parametrize("folder", ["/srv", "/data/u/.maniple-not", "/data/v", "/u/.maniple", "/proc"])
def test_other_folders_do_not(folder: str) -> None:
    assert not reveals_home(folder, HOME, MOUNTS)


@pytest.mark.parametrize(
    ("shown", "point", "folder", "meeting"),
    [
        ("/u/.maniple", "/mnt", "/mnt", True),
        ("/u/.maniple", "/mnt", "/mnt/keys", True),
        ("/u/.maniple/keys", "/mnt", "/mnt", True),
        ("/u", "/mnt", "/mnt", True),
        ("/u", "/mnt", "/mnt/.maniple/state", True),
        ("/u", "/mnt", "/mnt/other", False),
        ("/", "/mnt", "/mnt/u/.maniple", True),
        ("/v", "/mnt", "/mnt", False),
        ("/u/.maniple/keys", "/srv/deep/below", "/srv", True),
        ("/v", "/srv/deep/below", "/srv", False),
        ("/u/.maniple", "/mnt", "/mnt-other", False),
    ],
)
def test_a_bind_mount_is_no_disguise(shown: str, point: str, folder: str, meeting: bool) -> None:
    assert reveals_home(folder, HOME, [*MOUNTS, Mount("8:2", shown, point)]) is meeting


def test_another_device_is_another_place() -> None:
    assert not reveals_home("/mnt", HOME, [*MOUNTS, Mount("8:9", "/u/.maniple", "/mnt")])


def test_of_two_mounts_at_one_point_the_last_counts() -> None:
    over = [*MOUNTS, Mount("8:2", "/u", "/mnt"), Mount("8:9", "/", "/mnt")]
    assert not reveals_home("/mnt/.maniple", HOME, over)


def test_the_table_is_read_as_the_system_writes_it() -> None:
    line = "36 35 98:0 /mnt\\0401 /mnt\\134two rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
    assert read_mounts(f"{line}\nshort line\n") == [Mount("98:0", "/mnt 1", "/mnt\\two")]


@pytest.mark.parametrize("odd", ["\r", "\x0c", "\x85", "\u2028"])
def test_only_a_newline_ends_a_line_of_the_table(odd: str) -> None:
    (mount,) = read_mounts(f"36 35 8:2 /u{odd}/.maniple /mnt{odd} rw - ext4 /dev/root rw\n")
    assert reveals_home(f"/mnt{odd}/keys", f"/data/u{odd}/.maniple", [*MOUNTS, mount])
