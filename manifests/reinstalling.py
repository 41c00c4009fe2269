"""The command that reinstalls a Hand (pure): it differs for Hands that a command made, which have no folder of their own."""

from typing import Final

from manifests.schema import Manifest

_OF_A_FOLDER: Final = (
    "install {name} again from its folder, `maniple install DIR`; "
    "if that key's seal is in there, first `maniple seal DIR`, or with another key `maniple seal DIR --key FILE`"
)


def how_to_reinstall(manifest: Manifest) -> str:
    """Say how to seal a Hand with the home's present key, and install it."""
    # imported here, since few refusals need them and every kernel would load them
    from manifests.judging import BUNDLED
    from manifests.mcp import door
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
    if name in BUNDLED:
        return "install the bundled Hands again, `maniple install --bundled`"
    return _OF_A_FOLDER.format(name=name)
