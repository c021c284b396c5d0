"""Links as people write them: `tcp://192.168.1.100:502`, `rtu:///dev/ttyUSB0`, `rtu://COM3`."""

from __future__ import annotations

import ipaddress
import re

from emdx_desktop.domain.installation import Link, LinkScheme

DEFAULT_PORT = 502
"""Port of Modbus TCP (Messaging on TCP/IP Implementation Guide V1.0b, section 4.3.2); gateways that speak RTU
or ASCII over TCP are given the same one when none is written."""

_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_SERIAL_PORT = re.compile(r"(/dev/[\w./@:+-]+|COM[1-9][0-9]{0,2}|\\\\\.\\COM[1-9][0-9]{0,2})\Z")
_FORMS = (
    "tcp://HOST:502, rtu+tcp://HOST:PORT, ascii+tcp://HOST:PORT, rtu:///dev/ttyUSB0, ascii:///dev/ttyUSB0, rtu://COM3"
)


def parse_link(text: str) -> Link:
    """The link a text means; the port is 502 when none is written.

    Raises:
        ValueError: It is none; the message is one sentence for a person.
    """
    scheme_text, separator, rest = text.partition("://")
    try:
        scheme = LinkScheme(scheme_text) if separator else None
    except ValueError:
        scheme = None
    if scheme is None:
        raise ValueError(f'"{text[:80]}" is not a link; allowed are {_FORMS}.')
    if scheme in (LinkScheme.RTU, LinkScheme.ASCII):
        if not _SERIAL_PORT.match(rest):
            raise ValueError(f'"{rest[:80]}" is not a serial port; write {scheme}:///dev/ttyUSB0 or {scheme}://COM3.')
        return Link(scheme, serial_port=rest)
    host, port_text = _split_host(rest, scheme)
    if port_text is None:
        return Link(scheme, host=host, port=DEFAULT_PORT)
    if not _PORT.match(port_text) or not 1 <= int(port_text) <= 65535:
        raise ValueError(f'"{port_text[:20]}" is not a port; allowed are 1 to 65535.')
    return Link(scheme, host=host, port=int(port_text))


def _split_host(rest: str, scheme: LinkScheme) -> tuple[str, str | None]:
    if rest.startswith("["):
        host, bracket, after = rest[1:].partition("]")
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError(f'"{rest[:80]}" is not an IPv6 address in brackets.') from None
        if not bracket or (after and not after.startswith(":")):
            raise ValueError(f'"{rest[:80]}" is not an IPv6 address in brackets.')
        return host, after[1:] if after else None
    host, colon, port_text = rest.partition(":")
    if not host:
        raise ValueError(f"has no host; write {scheme}://192.168.1.100:502 or a host name.")
    if not _is_host(host):
        raise ValueError(f'"{host[:80]}" is neither an IP address nor a host name.')
    return host, port_text if colon else None


def _is_host(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    if labels[-1].isdigit():  # a name never ends in a number, so this is meant as an IPv4 address
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return False
        return True
    return len(host) <= 253 and all(_HOST_LABEL.match(label) for label in labels)


def format_link(link: Link) -> str:
    """The text `parse_link` reads back."""
    if link.is_serial:
        return f"{link.scheme}://{link.serial_port}"
    host = f"[{link.host}]" if ":" in link.host else link.host
    return f"{link.scheme}://{host}:{link.port}"
