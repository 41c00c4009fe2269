"""What does a call of one of the kernel's own methods (acts): whatever goes wrong ends that call, never the kernel."""

import traceback
from typing import TYPE_CHECKING

from kernel.errors import Failure, HomeError
from kernel.methods import TABLE
from kernel.methods.request import Request
from kernel.runs import Peer
from manifests.calls import OpenCall
from manifests.changes import ChangeInvalid
from wire import codec
from wire.errors import CodecError, Refusal, Unencodable

if TYPE_CHECKING:
    from kernel.core import Kernel


def act(kernel: "Kernel", call: OpenCall, peer: Peer) -> None:
    """Act on a delivered call, and end it, unless its act does so later."""
    exchange = kernel.exchange
    try:
        arguments = codec.decode_body(call.body)
        request = Request(kernel, call, peer, arguments if isinstance(arguments, dict) else {})
        answer = TABLE[call.method].act(request)
    except Refusal as refusal:
        exchange.refuse(call, refusal)
    except Failure as failure:
        exchange.fail(call, failure.code, str(failure))
    except (CodecError, Unencodable, ChangeInvalid, HomeError) as invalid:
        exchange.fail(call, "arguments", str(invalid))
    except Exception:  # noqa: BLE001 - a fault of the kernel's own costs this call its end, never everybody the kernel
        traceback.print_exc()
        exchange.fail(call, "fault", f"{call.method} met a fault of the kernel's own: see run/kernel.log")
    else:
        if answer is not None:
            kernel.answer(call, answer)
