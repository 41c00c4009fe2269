"""What of the system runs may read or execute, as paths that a system may have (pure).

Separate from the probing of kernel/process/machine.py, so that what is shown to every run can be read and tested at one
place. A folder counts with all below it, so none of these may hold anybody's secrets: an ordinary user's runs have his
user id and his groups, and read here what he may read.
"""

from typing import Final

SYSTEM: Final = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
    "/etc/mime.types", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip
"""Every run: shared libraries, and what they read of the system."""

_CERTIFICATES: Final = (
    "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem", "/etc/pki/tls/openssl.cnf", "/etc/pki/ca-trust", "/etc/ca-certificates",
    "/usr/share/ca-certificates",
)  # fmt: skip
"""Whom to trust; beside these, in /etc/ssl/private and /etc/pki/tls/private, servers keep their private keys."""

ONLINE: Final = (
    "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
    *_CERTIFICATES,
)  # fmt: skip
"""A run on the machine's network: what names are looked up in."""

PROGRAMS: Final = (
    "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/lib", "/lib64", "/usr/lib", "/usr/lib64",
    "/usr/libexec", "/usr/local/lib",
)  # fmt: skip
"""A run with programs: where they lie, to be executed."""

TOOLS: Final = ("/usr/include", "/usr/share", "/usr/local/share", "/etc/alternatives", *_CERTIFICATES)
"""A run with programs: what these read besides."""

EMPTY: Final = ("/mnt", "/srv", "/media", "/opt")
"""Where nothing lies that a run need see."""
