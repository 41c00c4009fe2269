"""The kinds of guests there are: whose processor, whose packages, whose Linux (pure)."""

from typing import Final, NamedTuple


class Kind(NamedTuple):
    """architecture: as `uname -m` says it. debian: the same in Debian's words. suite: whose packages and Linux it has.

    linux: the package of its Linux. emulator: what runs it, and package: Debian's of that. hardware: the emulator's options
    for it, with a processor that can all that the emulator can show. console: where its Linux speaks. systemd: whether
    its process 1 is systemd, of which a trial is a service.
    """

    architecture: str
    debian: str
    suite: str
    linux: str
    emulator: str
    package: str
    hardware: tuple[str, ...]
    console: str
    systemd: bool = False


KINDS: Final = {
    "x86_64": Kind(
        architecture="x86_64", debian="amd64", suite="bookworm", linux="linux-image-cloud-amd64",
        emulator="qemu-system-x86_64", package="qemu-system-x86", hardware=("-machine", "q35", "-cpu", "max"),
        console="ttyS0",
    ),
    "systemd": Kind(
        architecture="x86_64", debian="amd64", suite="trixie", linux="linux-image-cloud-amd64",
        emulator="qemu-system-x86_64", package="qemu-system-x86", hardware=("-machine", "q35", "-cpu", "max"),
        console="ttyS0", systemd=True,
    ),
    "aarch64": Kind(
        architecture="aarch64", debian="arm64", suite="bookworm", linux="linux-image-cloud-arm64",
        emulator="qemu-system-aarch64", package="qemu-system-arm",
        hardware=("-machine", "virt,gic-version=max", "-cpu", "max,pauth-impdef=on"), console="ttyAMA0",
    ),
}  # fmt: skip
"""By the names that tests and the builder's command line use."""
