"""The installation: site > panel > gateway > device, with circuits and zones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from emdx_desktop.domain.readings import DeviceId, GatewayId


class LinkScheme(StrEnum):
    """Transport and framing of a link."""

    TCP = "tcp"
    RTU_TCP = "rtu+tcp"
    ASCII_TCP = "ascii+tcp"
    RTU = "rtu"
    ASCII = "ascii"


@dataclass(frozen=True, slots=True)
class Link:
    """Where a gateway is reached: host and port, or a serial port's name."""

    scheme: LinkScheme
    host: str = ""
    port: int = 0
    serial_port: str = ""

    @property
    def is_serial(self) -> bool:
        """A serial port of this PC."""
        return self.scheme in (LinkScheme.RTU, LinkScheme.ASCII)

    @property
    def has_transaction_id(self) -> bool:
        """Only Modbus TCP frames carry one."""
        return self.scheme is LinkScheme.TCP

    def __str__(self) -> str:
        where = self.serial_port if self.is_serial else f"{self.host}:{self.port}"
        return f"{self.scheme}://{where}"


class Parity(StrEnum):
    """Parity of a serial line."""

    NONE = "none"
    EVEN = "even"
    ODD = "odd"


BAUD_RATES = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


@dataclass(frozen=True, slots=True)
class LineSettings:
    """The RS485 line behind a gateway, or the serial port itself."""

    baud: int = 9600
    parity: Parity = Parity.NONE
    stopbits: int = 1
    databits: int = 8  # 7 on an ASCII line


class TransactionIdCheck(StrEnum):
    """What a gateway does with transaction ids; `off` is treated as a link without them."""

    STRICT = "strict"
    ACCEPT_ZERO = "accept_zero"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Site:
    """The site: one data folder is one site."""

    name: str
    timezone: str  # IANA
    currency: str = "EUR"  # ISO 4217
    description: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A distribution panel; the tree groups by it."""

    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Gateway:
    """One line: an RS485/IP gateway, an Ethernet meter's own address, or a serial port.

    `line` is None for a meter that has no serial line behind it.
    """

    id: GatewayId
    name: str
    link: Link
    panel: str = ""
    line: LineSettings | None = None
    timeout_ms: int = 1000
    pause_ms: int = 0
    tid_check: TransactionIdCheck = TransactionIdCheck.STRICT
    is_enabled: bool = True
    description: str = ""


class SupplyDirection(StrEnum):
    """`downstream` swaps the sign of P and Q and the import and export series at decoding."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


class Role(StrEnum):
    """What the circuit does."""

    CONSUMER = "consumer"
    PRODUCER = "producer"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Device:
    """One device (or one pulse input of a concentrator).

    Attributes:
        id: Stable; renaming keeps history.
        profile_id: Id of the profile that reads it.
        model: As written in the site file: a catalogue number or a profile id.
        unit_id: 1..255 (0 and above 255 are refused, 248..255 warned about).
        sub_address: Second half of `2-1` (CX³ behind an interface), None otherwise.
        scales: Entered by a person for points whose scale is unknown: point key -> base units per count.
        is_archived: Missing in the last site file: kept with its history, not polled.
        fed_by: Name of the meter upstream that measures this one too; sums count the power once.
    """

    id: DeviceId
    name: str
    gateway: str
    model: str
    profile_id: str
    unit_id: int
    sub_address: int | None = None
    description: str = ""
    circuit: str = ""
    zones: tuple[str, ...] = ()
    position: int | None = None
    side: str = ""
    phase: str = ""
    supply: SupplyDirection = SupplyDirection.UPSTREAM
    role: Role = Role.CONSUMER
    scales: Mapping[str, Fraction] = field(default_factory=dict)
    is_enabled: bool = True
    is_archived: bool = False
    fed_by: str = ""


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything the site file holds. Names of panels, gateways, circuits and zones are unique in their kind."""

    site: Site
    panels: tuple[Panel, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    devices: tuple[Device, ...] = ()
    circuits: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    revision: int = 0

    def gateway_of(self, device: Device) -> Gateway:
        """The gateway a device hangs on.

        Raises:
            KeyError: The installation was not checked.
        """
        for gateway in self.gateways:
            if gateway.name == device.gateway:
                return gateway
        raise KeyError(device.gateway)
