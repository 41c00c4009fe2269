"""A kernel that tells of two live runs at a time: kernel.main, but for one of its constants."""

from kernel import main as kernel_main
from kernel.methods import runs

main = kernel_main.main
runs.__dict__["PAGE"] = 2
