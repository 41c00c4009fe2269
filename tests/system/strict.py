"""A kernel that bears less, so that a test need not send as much: kernel.main, but for two of its constants.

It ends sooner who floods it with what concerns no open call, and keeps fewer bytes of what a Hand's runs have sent.
"""

from typing import Final

from kernel import main as kernel_main
from kernel import runs
from manifests import holding
from wire.limits import MIB

KEPT_MOST: Final = 32 * MIB

main = kernel_main.main
runs.__dict__["LATE_PER_MINUTE"] = 6_000
holding.__dict__["KEPT_MOST"] = KEPT_MOST
