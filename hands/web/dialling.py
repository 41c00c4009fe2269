"""Connects to a host, at an address that was checked and only there (acts).

Resolving and connecting are one step: the name is looked up once, `address_check` checks every address, and the socket is
connected to one of the checked addresses. No second lookup follows, so an answer that changes (DNS rebinding) gains
nothing. TLS then verifies the *host*, whatever the address. Proxies named in the environment are ignored.

Several addresses are tried a quarter of a second apart; the first that answers wins (RFC 8305 §5).
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from address_check import Address, Allowance, canonical, check_all
from manifests.schema import CERTIFICATES
from name_lookup import Lookup
from web_failure import SPENT, WebFailed, busy

STAGGER: Final = 0.25
ADDRESSES_MAX: Final = 8
"""Addresses of one name that are tried; all of its addresses are checked."""

READ_SIZE: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Link:
    """An open connection. connected_us: microseconds from the call of `dial` until TCP (not TLS) was up."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: Address
    connected_us: int

    def cut(self) -> None:
        """Closes it at once, without waiting for the other side."""
        self.writer.transport.abort()


def trust(authorities: str) -> ssl.SSLContext:
    """The TLS context: trusts the system's certificate authorities and those of the setting `authorities` (PEM).

    Raises WebFailed if the setting is not PEM. A Hand's environment has no SSL_* variables.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_default_certs()
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):
        for bundle in filter(os.path.exists, CERTIFICATES):
            context.load_verify_locations(cafile=bundle)
    if authorities.strip():
        try:
            context.load_verify_locations(cadata=authorities)
        except (ssl.SSLError, ValueError) as error:
            raise WebFailed("settings", f"The setting `authorities` holds no certificates in PEM: {error}.") from None
    return context


async def dial(
    host: str, port: int, *, lookup: Lookup, allowance: Allowance, tls: ssl.SSLContext | None = None
) -> Link:
    """Connects to host and port. host: a name, or an address, IPv6 in brackets. Raises WebFailed.

    Has no time limit of its own: the caller's asyncio.timeout ends it.
    """
    began = time.monotonic_ns()
    bare = host.strip("[]")
    try:
        canonical(bare)
        found: tuple[str, ...] = (bare,)
    except ValueError:
        found = await lookup(bare)
    addresses = check_all(bare, found, allowance)[:ADDRESSES_MAX]
    connected, address = await _first_to_answer(bare, addresses, port)
    connected_us = (time.monotonic_ns() - began) // 1000
    try:
        if tls is None:
            reader, writer = await asyncio.open_connection(sock=connected, limit=READ_SIZE)
        else:
            reader, writer = await asyncio.open_connection(
                sock=connected, ssl=tls, server_hostname=bare, limit=READ_SIZE
            )
    except BaseException as error:
        connected.close()
        if isinstance(error, OSError):
            raise _tls_failed(bare, error) from None
        raise
    return Link(reader=reader, writer=writer, address=address, connected_us=connected_us)


def _tls_failed(host: str, error: OSError) -> WebFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        return WebFailed("certificate", f"{host} could not prove who it is: {error.verify_message}.")
    if isinstance(error, ssl.SSLError):
        return WebFailed("tls", f"No encrypted connection to {host}: {error.reason or error}.")
    return WebFailed("broken off", f"{host} ended the connection: {error.strerror or error}.")


async def _first_to_answer(host: str, addresses: Sequence[Address], port: int) -> tuple[socket.socket, Address]:
    if len(addresses) == 1:  # no race needed
        try:
            return await _connect(addresses[0], port)
        except OSError as failure:
            raise _not_connected(host, port, [failure]) from None
    waiting = list(addresses)
    trying: set[asyncio.Task[tuple[socket.socket, Address]]] = set()
    failed: list[OSError] = []
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(_connect(waiting.pop(0), port)))
            done, _ = await asyncio.wait(
                trying, timeout=STAGGER if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                trying.discard(task)
                error = task.exception()
                if error is None:
                    trying |= done - {task}
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failed.append(error)
    finally:
        await _drop(trying)
    raise _not_connected(host, port, failed)


def _not_connected(host: str, port: int, failed: Sequence[OSError]) -> WebFailed:
    for error in failed:
        if error.errno in SPENT:  # this Hand ran out of something, so the text blames it and not the host
            return busy(host, error)
    why = dict.fromkeys(os.strerror(error.errno) if error.errno else str(error) for error in failed)
    return WebFailed("unreachable", f"{host} port {port}: {'; '.join(why)}.")


async def _drop(trying: set[asyncio.Task[tuple[socket.socket, Address]]]) -> None:
    for task in trying:
        task.cancel()
    for outcome in await asyncio.gather(*trying, return_exceptions=True):
        if not isinstance(outcome, BaseException):
            outcome[0].close()


async def _connect(address: Address, port: int) -> tuple[socket.socket, Address]:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (str(address), port))
        if canonical(made.getpeername()[0]) != address:
            raise OSError("the system connected to another address")
    except BaseException:
        made.close()
        raise
    return made, address
