"""The system's files and folders that runs may read or execute, as paths that a system may have (pure).

Separate from the probing of kernel/process/machine.py, so that they can be read and tested in one place. A folder includes
all below it, so none of these may contain secrets: runs of an ordinary user have that user's id and groups, and can read
here what that user can read.
"""

from typing import Final

SYSTEM: Final = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
    "/etc/mime.types", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip
"""For every run: shared libraries, and the system files that they read."""

_CERTIFICATES: Final = (
    "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem", "/etc/pki/tls/openssl.cnf", "/etc/pki/ca-trust", "/etc/ca-certificates",
    "/usr/share/ca-certificates",
)  # fmt: skip
"""Certificate authorities. Not their parent folders: servers keep private keys in /etc/ssl/private and
/etc/pki/tls/private."""

ONLINE: Final = (
    "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
    *_CERTIFICATES,
)  # fmt: skip
"""For runs on the machine's network: what resolving names and checking certificates needs."""

PROGRAMS: Final = (
    "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/lib", "/lib64", "/usr/lib", "/usr/lib64",
    "/usr/libexec", "/usr/local/lib", "/usr/share",
)  # fmt: skip
"""For runs with programs: where these are, to be executed. Names in /usr/bin may lead to scripts in /usr/share."""

_JAVA: Final = tuple(
    f"/etc/java-{version}-openjdk/{part}"
    for version in (8, 11, 17, 21, 25)
    for part in ("security", "net.properties", "logging.properties")
)
"""Debian's configuration of Java, which does not start without. Not the folder: that of its management may hold passwords."""

TOOLS: Final = (
    "/usr/include", "/usr/local/share", "/etc/alternatives", "/etc/debian_version", *_JAVA, *_CERTIFICATES,
)  # fmt: skip
"""For runs with programs: what these read in addition. Debian's pip does not start without debian_version."""

EMPTY: Final = ("/mnt", "/srv", "/media", "/opt")
"""Folders that no run needs."""

SHARED: Final = "/dev/shm"  # noqa: S108 - nothing is made in the machine's own
"""Where programs share memory by POSIX semaphores and files (shm_overview(7)). Each run with programs has its own."""
