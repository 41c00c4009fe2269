"""The suite's prompts, and completion of their arguments."""

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    EmbeddedResource,
    GetPromptRequestParams,
    GetPromptResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListPromptsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
    TextResourceContents,
)
from pictures import PNG
from rounds import answered, form, words_of

ARGUMENTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


def add(server: Server) -> None:
    """Let a server offer them."""
    server.add_request_handler("prompts/list", PaginatedRequestParams, _listed)
    server.add_request_handler("prompts/get", GetPromptRequestParams, _got)
    server.add_request_handler("completion/complete", CompleteRequestParams, _completed)


async def _listed(_: ServerRequestContext, __: PaginatedRequestParams) -> ListPromptsResult:
    rows = [
        Prompt(
            name=name,
            description=f"The suite's {name}.",
            arguments=[PromptArgument(name=one, description=f"Its {one}.", required=True) for one in takes],
        )
        for name, takes in ARGUMENTS.items()
    ]
    return ListPromptsResult(prompts=rows)


async def _got(_: ServerRequestContext, params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            return _said("This is a simple prompt for testing.")
        case "test_prompt_with_arguments":
            return _said(f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'")
        case "test_prompt_with_embedded_resource":
            inner = TextResourceContents(
                uri=str(given.get("resourceUri")), mime_type="text/plain", text="Embedded resource content for testing."
            )
            resource = EmbeddedResource(type="resource", resource=inner)
            return _said("Please process the embedded resource above.", resource)
        case "test_prompt_with_image":
            return _said("Please analyze the image above.", ImageContent(type="image", data=PNG, mime_type="image/png"))
        case "test_input_required_result_prompt":
            asks: dict[str, InputRequest] = {"user_context": form("What context should the prompt use?", "context")}
            if not answered(asks, params.input_responses):
                return InputRequiredResult(input_requests=asks)
            return _said(f"Use {words_of((params.input_responses or {})['user_context'], 'context')}.")
    raise MCPError(INVALID_PARAMS, f"no prompt {params.name}")


async def _completed(_: ServerRequestContext, params: CompleteRequestParams) -> CompleteResult:
    values = [one for one in ("paris", "park", "party") if one.startswith(params.argument.value)]
    return CompleteResult(completion=Completion(values=values, total=len(values), has_more=False))


def _said(words: str, before: EmbeddedResource | ImageContent | None = None) -> GetPromptResult:
    first = [PromptMessage(role="user", content=before)] if before is not None else []
    return GetPromptResult(messages=[*first, PromptMessage(role="user", content=TextContent(type="text", text=words))])
