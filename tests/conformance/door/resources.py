"""The suite's resources, a template of some, subscriptions, and levels of records."""

import re

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    BlobResourceContents,
    EmptyResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pictures import PNG

TEXT = "This is the content of the static text resource."
KINDS = {
    "test://static-text": "text/plain",
    "test://static-binary": "image/png",
    "test://watched-resource": "text/plain",
}


def add(server: Server) -> None:
    """Let a server offer them."""
    server.add_request_handler("resources/list", PaginatedRequestParams, _listed)
    server.add_request_handler("resources/templates/list", PaginatedRequestParams, _templates)
    server.add_request_handler("resources/read", ReadResourceRequestParams, _read)
    server.add_request_handler("resources/subscribe", SubscribeRequestParams, _heard)
    server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, _heard)
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, _heard)


async def _listed(_: ServerRequestContext, __: PaginatedRequestParams) -> ListResourcesResult:
    rows = [
        Resource(uri=uri, name=uri.removeprefix("test://"), description=f"The suite's {uri}.", mime_type=mime)
        for uri, mime in KINDS.items()
    ]
    return ListResourcesResult(resources=rows)


async def _templates(_: ServerRequestContext, __: PaginatedRequestParams) -> ListResourceTemplatesResult:
    row = ResourceTemplate(
        uri_template="test://template/{id}/data",
        name="template",
        description="The suite's template.",
        mime_type="application/json",
    )
    return ListResourceTemplatesResult(resource_templates=[row])


async def _read(_: ServerRequestContext, params: ReadResourceRequestParams) -> ReadResourceResult:
    uri = str(params.uri)
    if uri == "test://static-binary":
        return ReadResourceResult(contents=[BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)])
    if uri in KINDS:
        return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type="text/plain", text=TEXT)])
    if found := re.fullmatch(r"test://template/([^/]+)/data", uri):
        words = f'{{"id":"{found[1]}","templateTest":true,"data":"Data for ID: {found[1]}"}}'
        return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type="application/json", text=words)])
    raise MCPError(INVALID_PARAMS, "Resource not found", {"uri": uri})


async def _heard(
    _: ServerRequestContext, __: SubscribeRequestParams | UnsubscribeRequestParams | SetLevelRequestParams
) -> EmptyResult:
    return EmptyResult()
