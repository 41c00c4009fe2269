"""A kernel that ends sooner who floods it with what concerns no open call: kernel.main, but for one of its constants."""

from kernel import main as kernel_main
from kernel import runs

main = kernel_main.main
runs.__dict__["LATE_PER_MINUTE"] = 6_000
