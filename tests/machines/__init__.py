"""Guests: whole machines in QEMU, each with a Linux that is not this one's, on which tests of Maniple run."""
