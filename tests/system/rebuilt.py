"""A kernel whose runs are made of another runtime: kernel.main, but for that digest."""

from kernel import core
from kernel import main as kernel_main
from kernel.digests import code_digests

main = kernel_main.main
core.__dict__["code_digests"] = lambda: {**code_digests(), "runtime": "0" * 64}
