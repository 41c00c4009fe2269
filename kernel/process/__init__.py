"""Kernel code that runs in other processes: the template, each run until its Hand's code begins, and compilers."""
