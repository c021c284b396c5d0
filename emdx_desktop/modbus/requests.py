"""A read as it goes to the line, and the words of its faults."""

from __future__ import annotations

from dataclasses import dataclass

from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.readings import FaultKind

EXCEPTION_MARK = 0x80
"""Added to the function code of an exception reply (Modbus Application Protocol V1.1b3, section 7)."""

EXCEPTION_NAMES = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge, still working",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""Modbus Application Protocol V1.1b3, section 7. Codes not listed are treated as a device failure."""

ILLEGAL = (1, 2, 3)
BUSY = (5, 6)
PATH_UNAVAILABLE, TARGET_SILENT = 10, 11

NO_ANSWER = "no answer came in time"
"""Message of a plain time-out."""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One read of coils, inputs or registers.

    Attributes:
        unit_id: 1..255.
        function_code: 1..4.
        address: First wire address.
        count: Registers, or bits for function codes 1 and 2.
    """

    unit_id: int
    function_code: int
    address: int
    count: int

    @property
    def is_of_bits(self) -> bool:
        """Coils and discrete inputs come eight to a byte."""
        return self.function_code in (1, 2)

    @property
    def byte_count(self) -> int:
        """Bytes of data the right reply carries."""
        return (self.count + 7) // 8 if self.is_of_bits else 2 * self.count

    def __str__(self) -> str:
        last = self.address + self.count - 1
        what = {1: "coils", 2: "inputs", 3: "registers", 4: "input registers"}[self.function_code]
        return f"{what} {self.address}–{last} of address {self.unit_id}"


def exception_name(code: int) -> str:
    """An exception code in words, e.g. `exception 2 (illegal data address)`."""
    return f"exception {code} ({EXCEPTION_NAMES.get(code, 'not a standard code')})"


def protocol_fault(message: str, *, is_reply_pending: bool = True) -> LinkFault:
    """A reply that does not belong to its request.

    Args:
        message: What came.
        is_reply_pending: The right reply may still be under way: without transaction ids, asking again at
            once would take it for the answer to the second request, and so on for ever.
    """
    return LinkFault(message, kind=FaultKind.PROTOCOL, retryable=not is_reply_pending)
