"""Links as people write them."""

from __future__ import annotations

import pytest

from emdx_desktop.domain.installation import Link, LinkScheme
from emdx_desktop.domain.link_text import format_link, parse_link


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("tcp://192.168.1.100:502", Link(LinkScheme.TCP, "192.168.1.100", 502)),
        ("tcp://192.168.1.100", Link(LinkScheme.TCP, "192.168.1.100", 502)),
        ("tcp://gateway-1.plant.local.", Link(LinkScheme.TCP, "gateway-1.plant.local.", 502)),
        ("rtu+tcp://gw:4001", Link(LinkScheme.RTU_TCP, "gw", 4001)),
        ("ascii+tcp://10.0.0.1:65535", Link(LinkScheme.ASCII_TCP, "10.0.0.1", 65535)),
        ("tcp://[fe80::1]", Link(LinkScheme.TCP, "fe80::1", 502)),
        ("tcp://[fe80::1]:503", Link(LinkScheme.TCP, "fe80::1", 503)),
        ("rtu:///dev/ttyUSB0", Link(LinkScheme.RTU, serial_port="/dev/ttyUSB0")),
        ("ascii:///dev/serial/by-id/usb-1-if00", Link(LinkScheme.ASCII, serial_port="/dev/serial/by-id/usb-1-if00")),
        ("rtu://COM3", Link(LinkScheme.RTU, serial_port="COM3")),
        ("rtu://\\\\.\\COM12", Link(LinkScheme.RTU, serial_port="\\\\.\\COM12")),
    ],
)  # fmt: skip
def test_link_is_understood(text: str, link: Link) -> None:
    assert parse_link(text) == link
    assert parse_link(format_link(link)) == link


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("192.168.1.100", "is not a link; allowed are tcp://"),
        ("udp://192.168.1.100", "is not a link"),
        ("tcp://", "has no host"),
        ("tcp://:502", "has no host"),
        ("tcp://192.168.1.300", "neither an IP address nor a host name"),
        ("tcp://192.168.1", "neither"),
        ("tcp://user@host", "neither"),
        ("tcp://host/path", "neither"),
        ("tcp://-host", "neither"),
        ("tcp://" + "a." * 130 + "b", "neither"),
        ("tcp://host:0", "is not a port"),
        ("tcp://host:65536", "is not a port"),
        ("tcp://host:", "is not a port"),
        ("tcp://host:5o2", "is not a port"),
        ("tcp://[::zz]", "IPv6"),
        ("tcp://[::1", "IPv6"),
        ("tcp://[::1]502", "IPv6"),
        ("rtu://", "is not a serial port"),
        ("rtu://COM0", "is not a serial port"),
        ("ascii://ttyUSB0", "write ascii:///dev/ttyUSB0"),
        ("rtu:///etc/passwd", "is not a serial port"),
    ],
)
def test_wrong_link_says_what_is_allowed(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_link(text)
    assert words in str(caught.value)
