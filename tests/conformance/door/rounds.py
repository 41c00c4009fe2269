"""Tools and a prompt that need input of the client's, asked for in their results (2026-07-28).

What is asked is told anew as long as an answer is missing or none. The state between two rounds is sealed by the package's
own middleware (RequestStateBoundary), so one that comes back here is one that was given out.
"""

from collections.abc import Callable, Mapping

from mcp.server.context import ServerRequestContext
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitationCapability,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    InputResponse,
    ListRootsRequest,
    ListRootsResult,
    SamplingCapability,
    SamplingMessage,
    TextContent,
)

Result = CallToolResult | InputRequiredResult


def form(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(words: str, most: int) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=words))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=most))


def answered(asks: Mapping[str, InputRequest], said: Mapping[str, InputResponse] | None) -> bool:
    """Whether everything was answered, each by what answers it; further answers count for nothing."""
    kinds = {ElicitRequest: ElicitResult, CreateMessageRequest: CreateMessageResult, ListRootsRequest: ListRootsResult}
    return all(isinstance((said or {}).get(name), kinds[type(ask)]) for name, ask in asks.items())


def done(words: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=words)])


def words_of(said: InputResponse | None, field: str) -> str:
    match said:
        case ElicitResult(content={**fields}):
            return str(fields.get(field))
        case CreateMessageResult(content=TextContent(text=text)):
            return text
        case ListRootsResult(roots=roots):
            return ", ".join(str(root.uri) for root in roots)
    return "nothing"


def one(key: str, ask: InputRequest, field: str, words: str, state: str | None = None) -> Callable[..., Result]:
    """A tool that asks for one thing, and says it. state: that it gives out, and wants to see again."""

    def tool(_: ServerRequestContext, params: CallToolRequestParams) -> Result:
        if not answered({key: ask}, params.input_responses) or params.request_state != state:
            return InputRequiredResult(input_requests={key: ask}, request_state=state)
        return done(words.format(words_of((params.input_responses or {})[key], field)))

    return tool


def several(_: ServerRequestContext, params: CallToolRequestParams) -> Result:
    asks: dict[str, InputRequest] = {
        "user_name": form("What is your name?", "name"),
        "greeting": sample("Generate a greeting", 50),
        "client_roots": ListRootsRequest(),
    }
    if not answered(asks, params.input_responses):
        return InputRequiredResult(input_requests=asks, request_state="several")
    return done("All was answered.")


def in_rounds(_: ServerRequestContext, params: CallToolRequestParams) -> Result:
    first = form("Step 1: What is your name?", "name")
    second = form("Step 2: What is your favorite color?", "color")
    match params.request_state:
        case "one" if answered({"step1": first}, params.input_responses):
            return InputRequiredResult(input_requests={"step2": second}, request_state="two")
        case "two" if answered({"step2": second}, params.input_responses):
            return done("Both were answered.")
        case "two":
            return InputRequiredResult(input_requests={"step2": second}, request_state="two")
    return InputRequiredResult(input_requests={"step1": first}, request_state="one")


def within(asked: ServerRequestContext, params: CallToolRequestParams) -> Result:
    """Asks for what the client can answer, and nothing else."""
    can = asked.session.check_client_capability
    asks: dict[str, InputRequest] = {}
    if can(ClientCapabilities(sampling=SamplingCapability())):
        asks["greeting"] = sample("Generate a greeting", 50)
    if can(ClientCapabilities(elicitation=ElicitationCapability())):
        asks["user_name"] = form("What is your name?", "name")
    if not asks or answered(asks, params.input_responses):
        return done("All was answered.")
    return InputRequiredResult(input_requests=asks)


_STATED = one("confirm", form("Please confirm", "ok", "boolean"), "ok", "state-ok", "given-out")
TOOLS: Mapping[str, Callable[[ServerRequestContext, CallToolRequestParams], Result]] = {
    "test_input_required_result_elicitation": one(
        "user_name", form("What is your name?", "name"), "name", "Hello, {}!"
    ),
    "test_input_required_result_sampling": one(
        "capital_question", sample("What is the capital of France?", 100), "", "{}"
    ),
    "test_input_required_result_list_roots": one("client_roots", ListRootsRequest(), "", "Its roots are {}."),
    "test_input_required_result_request_state": _STATED,
    "test_input_required_result_tampered_state": _STATED,
    "test_input_required_result_multiple_inputs": several,
    "test_input_required_result_multi_round": in_rounds,
    "test_input_required_result_capabilities": within,
}
