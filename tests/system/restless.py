"""A kernel that puts runs to sleep after a moment already, and goes through each tape in many pieces."""

from kernel import main as kernel_main
from kernel.record import resuming
from manifests import calls
from wire import fast_forward

main = kernel_main.main
resuming.__dict__["EVERY"] = 0.1
calls.__dict__["RESTS_FROM"] = 500_000
fast_forward.__dict__["PIECE"] = 64
