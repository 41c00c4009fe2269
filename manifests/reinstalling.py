"""How a Hand is installed anew (pure), as one types it: not every Hand has a folder of its own that somebody wrote."""

from typing import Final

from manifests.schema import Manifest

_OF_A_FOLDER: Final = (
    "install {name} again from its folder, `maniple install DIR`; one that is sealed there by that key is first to be "
    "sealed by another that `maniple keys` lists as trusted, `maniple seal DIR --key FILE`"
)


def how_to_reinstall(manifest: Manifest) -> str:
    """What seals a Hand with the home's own key as it is now, and installs it."""
    from manifests.mcp import door  # what is said of so few refusals is not to be in every kernel
    from manifests.mcp import folder as server
    from manifests.skills import folder as skills

    name = manifest.hand.name
    if manifest.hand.pipeline:
        return f"add the pipeline {name} again, `maniple pipeline add FILE`"
    if name.startswith(server.PREFIX):
        return f"add the server again, as at first: `maniple mcp add {name.removeprefix(server.PREFIX)} …`"
    if name.startswith(door.PREFIX):
        return f"offer it again, as at first: `maniple mcp offer {name.removeprefix(door.PREFIX)} …`"
    if name == skills.HAND:
        return "install one of the skills again, `maniple skills install DIR`, which seals all of them"
    return _OF_A_FOLDER.format(name=name)
