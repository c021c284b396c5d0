"""Register words become readings, by the device's profile."""

from __future__ import annotations

from dataclasses import dataclass

from emdx_desktop.domain.readings import Quality


@dataclass(frozen=True, slots=True)
class RegisterBlock:
    """The answer to one read, checked against its request.

    Attributes:
        unit_offset: Added to the device's unit id.
        function_code: 1..4.
        address: First register (wire address).
        words: Words read (for function codes 1 and 2 one 0/1 per bit), None when the read failed.
        quality: GOOD, or why there are no words.
        detail: The fault in words, empty when good.
    """

    unit_offset: int
    function_code: int
    address: int
    words: tuple[int, ...] | None
    quality: Quality = Quality.GOOD
    detail: str = ""
