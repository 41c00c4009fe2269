"""What home.toml may say, and how a person is told what it should say instead: in words, with line and mend."""

import msgspec
import pytest

from manifests import identity
from manifests.errors import ManifestInvalid, Problem
from manifests.identity import Identity
from manifests.keeping import Keep

WHOLE = 'format = 1\norigin = "maniple.local/a"\nhash_seed = 7\n'


def problems(text: str | bytes) -> list[Problem]:
    """What is found in it."""
    with pytest.raises(ManifestInvalid) as raised:
        identity.read(text.encode() if isinstance(text, str) else text, "home.toml")
    return list(raised.value.problems)


def test_a_whole_one_is_read() -> None:
    read = identity.read(
        (WHOLE + 'require = ["landlock"]\napprovals_expire = "12h"\n[journal]\ndays = 3\n').encode(), "home.toml"
    )
    assert read == Identity(
        format=1, origin="maniple.local/a", hash_seed=7, require=("landlock",), approvals_expire="12h",
        journal=Keep(days=3),
    )  # fmt: skip
    assert identity.read(WHOLE.replace("\n", "\r\n").encode(), "home.toml").approval_micros == 7 * 86_400_000_000


@pytest.mark.parametrize(
    ("text", "line", "column", "what", "instead"),
    [
        ('approvals_expire = "1 week"', 4, 20, 'approvals_expire is "1 week"', "from 1 to 999 and s, m, h or d"),
        ("approvals_expire = 7", 4, 20, "approvals_expire is 7", 'from 1 to 999 and s, m, h or d, such as "7d"'),
        ('require = "landlock"', 4, 11, 'require is "landlock"', "a list of layers of confinement, such as"),
        ('require = ["landlock", "moat"]', 4, 24, "moat is not a layer of confinement", "there are descriptors, "),
        ("[journal]\ndays = -1", 5, 8, "journal.days is -1", "a whole number of days from 0 to 36500"),
        ("[journal]\nmib = 0", 5, 7, "journal.mib is 0", "a whole number of MiB from 1 to 1000000000"),
        ("journal = 3", 4, 11, "journal is 3", "[journal] on a line of its own"),
        ("aprovals_expire = 1", 4, 1, "home.toml has no key aprovals_expire", 'did you mean "approvals_expire"?'),
        ("[journal]\nweeks = 1", 5, 1, "home.toml has no key journal.weeks", "there are days, failed_days, mib"),
        ('approvals_expire = "1h', 4, 23, "this is not TOML", "https://toml.io"),
        ("format = 1", 4, 11, "stands here a second time", "leave one of the two"),
    ],
)  # fmt: skip
def test_what_it_may_not_say_is_told_in_words_with_its_place(
    text: str, line: int, column: int, what: str, instead: str
) -> None:
    (found,) = problems(WHOLE + text)
    assert (found.file, found.line, found.column) == ("home.toml", line, column), found
    assert (what in found.what, instead in found.instead) == (True, True), found


def test_what_every_home_has_is_missed_and_told_apart_from_what_is_wrong() -> None:
    (found,) = problems('format = 1\norigin = "a"\n')
    assert (found.line, found.what, "from a backup" in found.instead) == (1, "hash_seed is missing", True)
    (found,) = problems(WHOLE.replace("maniple.local/a", "a+b"))
    assert (found.line, "keys/log.pub" in found.instead) == (2, True)
    (found,) = problems(WHOLE.replace("7", str(1 << 32)))
    assert (found.line, "from 0 to 4294967295" in found.instead) == (3, True)
    (found,) = problems(b"format = 1\norigin = '\xff'\n")
    assert (found.line, "UTF-8" in found.what) == (2, True)
    (found,) = problems('format = 9\nthe_future = "is unknown"\n')
    assert (found.line, "of format 9" in found.what, "`maniple --version`" in found.instead) == (1, True, True)


def test_a_long_value_is_not_quoted_whole() -> None:
    (found,) = problems(WHOLE + f'approvals_expire = "{"9" * 5_000}"')
    assert len(found.what) < 100


def test_all_problems_are_told_and_none_in_the_words_of_a_pattern() -> None:
    found = problems('format = 1\norigin = ""\nhash_seed = -1\nrequire = [1]\nweeks = 1\n[journal]\nmib = ""\n')
    assert [one.line for one in found] == [2, 3, 4, 5, 7]
    assert not [one for one in found if "\\" in str(one) or "[^" in str(one) or "regex" in str(one)]


def test_each_key_has_its_words() -> None:
    fields = {
        (*path, field.encode_name)
        for path, of in (((), Identity), (("journal",), Keep))
        for field in msgspec.structs.fields(of)
    }
    assert fields == identity.EXPECTED.keys()
