"""Tapes hold headers as arrays, so an upgrade must read what the version before it wrote."""

import msgspec

from wire import codec, headers

WRITTEN = {
    "bye": "why",
    "call": "number method resource deadline parent most upload labels time ask",
    "cancel": "number why time",
    "cancelled": "number why labels cost time used",
    "chunk": "number labels last time",
    "credit": "number chunks time",
    "done": "number labels cost time used",
    "event": "event labels missed time depth",
    "failed": "number code text labels cost time used",
    "hello": "version time is_written",
    "publish": "number event labels parent",
    "ready": "",
    "refused": "number code why grant time",
    "resting": "",
    "still": "time",
    "stop": "why grace time",
    "subscribe": "number event parent",
}
"""By tag, the fields that tapes of people's homes hold, in their order."""


def test_a_new_field_of_a_header_stands_last_and_has_a_default() -> None:
    kinds = {str(kind.__struct_config__.tag): kind for kind in headers.Header.__subclasses__()}
    assert kinds.keys() == WRITTEN.keys()
    for tag, kind in kinds.items():
        before = WRITTEN[tag].split()
        new = msgspec.structs.fields(kind)[len(before) :]
        assert list(kind.__struct_fields__[: len(before)]) == before
        assert [field.name for field in new if field.required] == []


def test_a_call_from_a_tape_of_an_earlier_version_is_read() -> None:
    written = msgspec.msgpack.encode(["call", 2, "run", "", 60_000, 0, None, False, [], 7, ""])
    assert codec.decode_from_kernel(written) == headers.Call(number=2, method="run", deadline=60_000, time=7)
