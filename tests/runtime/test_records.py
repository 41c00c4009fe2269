"""The log of a Hand: one JSON object per line, whatever spoke, and no secret in it."""

import json
import subprocess
import sys
import time
from urllib.parse import quote, quote_plus

import pytest

from manifests.schema import Setting
from runtime import records
from runtime.redact import HIDDEN, LONGEST, Redactor
from tests.living import ROOT
from tests.runtime.peer import Peer, provided
from wire import headers

SOURCE = """
    import logging
    import os
    import threading
    import warnings
    from runtime import Call, Hand

    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("nobody knows")

    class Test(Hand):
        async def speak(self, call: Call) -> None:
            nested = {"api_key": "k", "note": "open sesame!"}
            self.log.info("read", rows=3, sizes=(1, 2.5), password="hunter2", nested=nested)
            self.log.debug("not kept")
            logging.getLogger("some.library").warning("it took %d s with %s", 3, "open sesame")
            logging.getLogger("some.library").log(25, "an odd level")
            logging.getLogger("some.library").error("wrong %d", "arguments")
            try:
                raise ValueError("open sesame")
            except ValueError:
                logging.getLogger("some.library").exception("it fell")
            warnings.warn("old ways", stacklevel=1)
            thread = threading.Thread(target=self.fall, name="side")
            thread.start()
            thread.join()
            print("plain words")
            self.log.warning("done", thing=object, raw=b"\\xff", many={1})

        async def oddly(self, call: Call) -> None:
            name = os.fsdecode(b"a\\xffb")
            self.log.info(name, path=name, names=[name, {name: name}], error=ValueError(name))
            self.log.info("odd", **{name: 1}, huge=10**5000, mute=Mute())
            self.log.info(Mute())
            logging.getLogger("some.library").warning("cannot open %s", name)
            logging.getLogger("some.library").warning(Mute())
            try:
                raise ValueError(name)
            except ValueError:
                self.log.exception("it fell")
            raise ValueError(name)

        def fall(self) -> None:
            raise RuntimeError("in a thread, open sesame")

        async def fail(self, call: Call) -> None:
            raise ValueError("the password is open sesame")
"""


@pytest.fixture
def hand(peer: Peer) -> Peer:
    secret = Setting(type="string", secret=True)
    provides = (provided("test.speak"), provided("test.fail"), provided("test.oddly"))
    return peer.launch(SOURCE, provides, settings={"key": secret}, values={"key": "open sesame"}).ready()


def test_whatever_speaks_becomes_a_record_without_secrets(hand: Peer) -> None:
    hand.answer("test.speak")
    assert hand.stop() == 0
    lines = hand.log.read_text().splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{")]
    assert [line for line in lines if not line.startswith("{")] == ["plain words"]
    assert "sesame" not in hand.log.read_text()
    assert {tuple(record)[:3] for record in records} == {("time", "level", "event")}
    assert [(record["level"], record["event"].split(":")[0]) for record in records] == [
        ("info", "read"),
        ("warning", "it took 3 s with [redacted]"),
        ("info", "an odd level"),
        ("error", "wrong %d"),
        ("error", "it fell"),
        ("warning", "test/main.py"),
        ("error", "exception nobody caught in a thread"),
        ("warning", "done"),
    ]
    read, done = records[0], records[-1]
    assert (read["rows"], read["sizes"], read["password"]) == (3, [1, 2.5], HIDDEN)
    assert read["nested"] == {"api_key": HIDDEN, "note": f"{HIDDEN}!"}
    assert (done["raw"], done["many"]) == ("�", [1])
    assert "ValueError: [redacted]" in records[4]["exception"]
    assert (records[6]["thread"], "RuntimeError" in records[6]["exception"]) == ("side", True)


def test_what_goes_to_the_caller_or_the_kernel_has_no_secret_either(hand: Peer) -> None:
    hand.call("test.fail")
    assert hand.expect(headers.Failed)[0].text == "ValueError: the password is [redacted]"


def test_what_is_no_text_of_any_file_or_cannot_be_shown_makes_a_record_all_the_same(hand: Peer) -> None:
    hand.call("test.oddly")
    assert hand.expect(headers.Failed)[0].text == r"ValueError: a\udcffb"
    assert hand.stop() == 0
    records = [json.loads(line) for line in hand.log.read_text().splitlines()]
    name, mute = r"a\udcffb", "a Mute that cannot be shown"
    assert [record["event"] for record in records] == [
        name, "odd", mute, f"cannot open {name}", mute, "it fell", "a call raised",
    ]  # fmt: skip
    first, second = records[:2]
    assert (first["path"], first["names"], first["error"]) == (name, [name, {name: name}], name)
    assert (second[name], second["huge"], second["mute"]) == (1, "a number of 16610 bits", mute)
    assert f"ValueError: {name}" in records[-1]["exception"]


KEYS = [
    "sk-ant-" + "a1B2" * 6,
    "sk-proj-" + "c3_D-" * 6,
    "rk_live_" + "a1B2" * 4,
    "pk-" + "a1B2" * 4,
    "ghp_" + "a1B2" * 9,
    "gho_" + "a1B2" * 5,
    "github_pat_" + "a1_B" * 5,
    "glpat-" + "a1-B" * 4,
    "xoxb-123456789012-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_123",
    "my-token-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-DEF_123",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\ndef\n-----END OPENSSH PRIVATE KEY-----",
]


@pytest.mark.parametrize("key", KEYS)
def test_what_looks_like_a_key_is_hidden_wherever_it_stands(key: str) -> None:
    redact = Redactor()
    assert redact.text(f"before {key} after") == f"before {HIDDEN} after"
    assert redact.value({"list": [key], key: (key,)}) == {"list": [HIDDEN], HIDDEN: [HIDDEN]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://me:pa55word@host/db", f"postgres://{HIDDEN}@host/db"),
        ("Authorization: Bearer abc.def-ghi123", f"Authorization: Bearer {HIDDEN}"),
        ("authorization: basic dXM6cGE=", f"authorization: basic {HIDDEN}"),
        ("-----BEGIN RSA PRIVATE KEY-----\nthe rest is cut", HIDDEN),
        *(
            (f"https://h/p?{name}=abcd&page=2", f"https://h/p?{name}={HIDDEN}&page=2")
            for name in ("token", "PASSWORD", "api_key", "apikey", "client_secret")
        ),
    ],
)
def test_the_secret_part_of_a_text_is_hidden_and_no_more(text: str, shown: str) -> None:
    assert Redactor().text(text) == shown


@pytest.mark.parametrize(
    "text", ["https://example.org/a:b@c", "task-list", "tokens=3", "a bearer of news", "ask-me-later"]
)
def test_ordinary_text_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_fields_with_telling_names_are_hidden_and_counts_are_not() -> None:
    redact = Redactor()
    names = [
        "token",
        "X-Api-Key",
        "db_password",
        "Set-Cookie",
        "passwd",
        "passphrase",
        "client.secret",
        "aws access_key",
    ]
    names += ["private-key", "Authorization", "cookie", "credential", "credentials"]
    assert [redact.field(name, value) for name in names for value in ("v", b"v")] == [HIDDEN] * 2 * len(names)
    assert (redact.field("tokens", 5), redact.field("token", 5), redact.field("cookies", "v")) == (5, 5, "v")


@pytest.mark.parametrize("odd", ["\r", "\n", "\0", "\x1b", "\x85"])
def test_a_secret_that_is_quoted_with_its_odd_letters_written_out_is_hidden(odd: str) -> None:
    secret = f"quite-a{odd}-secret-word{odd}"
    shown = Redactor((secret,)).text(f"Illegal header value {secret.encode('latin-1')!r}, {secret!r}")
    assert "quite-a" not in shown
    assert "secret-word" not in shown


@pytest.mark.parametrize(
    "secret", ['so"quoted"word', "back\\slashed-word", 'it\'s"both"-word', "schlüssel-wort", "a b&c/d=e-word"]
)
def test_a_secret_is_hidden_also_as_json_python_and_urls_write_it(secret: str) -> None:
    redact = Redactor((secret,))
    written = (
        json.dumps({"key": secret}), json.dumps(secret, ensure_ascii=False), repr(secret), repr([secret]),
        repr(secret.encode()), quote(secret), quote(secret, safe=""), quote_plus(secret), f"{{'k': {secret!r}}}",
    )  # fmt: skip
    for text in written:
        shown = redact.text(f"sent {text} there")
        assert "wor" not in shown, (text, shown)
        assert shown.startswith("sent ")
        assert shown.endswith(" there")


def test_a_number_that_is_a_secret_is_hidden_and_others_are_not() -> None:
    assert Redactor(("481516",)).value([481516, 48, True, 1.5]) == [HIDDEN, 48, True, 1.5]


def test_secrets_of_several_lines_and_of_overlapping_text_are_hidden() -> None:
    redact = Redactor(("line one\nline two", "line one and more", "abc", "wxyz"))
    assert redact.text("a line two, line one and more; abc wxyz") == f"a {HIDDEN}, {HIDDEN}; abc {HIDDEN}"


def test_long_texts_are_cut_and_depth_is_bounded() -> None:
    redact = Redactor()
    assert redact.text("x" * LONGEST) == "x" * LONGEST
    assert redact.text("x" * (LONGEST + 1)) == "x" * LONGEST + f"… ({LONGEST + 1} characters)"
    deep: object = "end"
    for _ in range(100):
        deep = [deep]
    assert len(json.dumps(redact.value(deep))) < 400


@pytest.mark.parametrize("part", ["ey-", "eyaaaaaaaa-", "eyaaaaaaaa.", "a-", "://a:", "-----BEGIN A", "bearer "])
def test_what_only_begins_like_keys_makes_no_record_slow(part: str) -> None:
    begun = time.process_time()
    Redactor().text(part * (200_000 // len(part)))
    assert time.process_time() - begun < 3  # it takes up to 0.1 s; of `ey-` it took 21


@pytest.mark.wide
def test_tokens_that_come_anew_without_end_are_hidden_and_make_no_record_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_redactor", Redactor())
    monkeypatch.setattr(records, "_settings", ())
    records.redact(Redactor(("the-setting-itself",)))
    begun = time.process_time()
    for number in range(500):
        token = f"token-{number:08}-{'x' * 200}"
        records.hide_also((token, f"refresh-{number:08}"))
        assert records.shown(f"{token}, the-setting-itself") == f"{HIDDEN}, {HIDDEN}"
    assert time.process_time() - begun < 10  # it takes 0.8 s, and took 50


def test_new_settings_leave_hidden_what_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_redactor", Redactor())
    monkeypatch.setattr(records, "_settings", ())
    records.redact(Redactor(("the-setting-itself",)))
    records.hide_also(("the-token",))
    records.redact(Redactor(("another-setting",)))
    assert records.shown("the-setting-itself, another-setting, the-token") == f"the-setting-itself, {HIDDEN}, {HIDDEN}"
    records.hide_also(("a-newer-token",))
    assert records.shown("the-token, a-newer-token") == f"{HIDDEN}, {HIDDEN}"


PRINTING = """
import logging, sys, warnings
from runtime import records
records.route_everything()
for _ in range(3):
    print("x" * 10_000)
    sys.stderr.write("y" * 10_000 + "\\n")
    records.logger().info("z" * 5_000)
    warnings.warn("old ways", stacklevel=1)
    sys.stdout.flush()
raise SystemExit(7)
"""


def test_a_disk_that_takes_nothing_ends_nobody_who_prints() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-c", PRINTING], stdout=full, stderr=full, cwd=ROOT, check=False)
    assert done.returncode == 7
    shown = subprocess.run([sys.executable, "-c", PRINTING], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (shown.returncode, shown.stdout) == (7, ("x" * 10_000 + "\n") * 3)
    assert shown.stderr.count("y" * 10_000 + "\n") == 3
