"""Carries out calls of kernel methods (acts). An error ends the call, never the kernel."""

from typing import TYPE_CHECKING

from kernel.errors import Failure, HomeError
from kernel.loop import log_fault
from kernel.methods import TABLE
from kernel.methods.request import Request
from kernel.runs import Peer
from manifests.calls import OpenCall
from manifests.errors import ChangeInvalid
from wire.errors import CodecError, Refusal, Unencodable

if TYPE_CHECKING:
    from kernel.core import Kernel


def act(kernel: "Kernel", call: OpenCall, peer: Peer) -> None:
    """Carry out a delivered call and end it, unless the method's act answers later."""
    exchange = kernel.exchange
    try:
        method = TABLE[call.method]
        answer = method.act(Request(kernel, call, peer, method.unread))
    except Refusal as refusal:
        exchange.refuse(call, refusal)
    except Failure as failure:
        exchange.fail(call, failure.code, str(failure))
    except (CodecError, Unencodable, ChangeInvalid, HomeError) as invalid:
        exchange.fail(call, invalid.code if isinstance(invalid, ChangeInvalid) else "arguments", str(invalid))
    except Exception:  # noqa: BLE001 - a bug of the kernel's costs this call its outcome, not everybody the kernel
        log_fault()
        exchange.fail(call, "fault", f"{call.method} raised an error in the kernel: see run/kernel.log")
    else:
        if answer is not None:
            kernel.answer(call, answer)
