"""The library of a Hand: its base class, its handle on the kernel, calls, errors."""

from runtime.later import putting_off, seldom

with putting_off(seldom()):
    import asyncio as asyncio
    import pathlib as pathlib

    import zmq as zmq

from runtime.calls import Reply, Stream
from runtime.errors import CallCancelled, CallEnded, CallFailed, CallRefused, Failure, LinkLost, WrongThread
from runtime.hand import Event, Hand
from runtime.kernel_handle import Budget, Check, KernelHandle, Outcome
from runtime.serving import Call
from wire.amounts import Cost

__all__ = [
    "Hand",
    "Call",
    "Event",
    "Failure",
    "CallEnded",
    "CallFailed",
    "CallRefused",
    "CallCancelled",
    "LinkLost",
    "WrongThread",
    "KernelHandle",
    "Reply",
    "Stream",
    "Budget",
    "Check",
    "Outcome",
    "Cost",
]
