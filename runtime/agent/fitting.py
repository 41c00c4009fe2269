"""Makes the request that a model is asked (pure): as much of the conversation as its window and a message of the bus take."""

import msgspec
from msgspec.structs import replace

from runtime.agent.conversation import Conversation
from runtime.models.messages import Request
from wire import limits


def fit(request: Request, conversation: Conversation, room: int, *, is_known: bool) -> Request | None:
    """Return the request with the conversation in at most `room` tokens; None if it cannot be folded to that.

    is_known: if False, `room` is a guess, as in Conversation.view. A window of a million tokens takes more than a message
    has bytes for.
    """
    while (messages := conversation.view(room, is_known=is_known)) is not None:
        whole = replace(request, messages=messages)
        if len(msgspec.msgpack.encode(whole)) <= limits.BODY_MAX:
            return whole
        room, is_known = room * 2 // 3, True
    return None
