"""Words of a register become one number, by its type.

Source: Modbus Application Protocol V1.1b3 section 4.2 (a word is sent high byte first); the order of the
words of a longer value is the maker's and stands in the profile.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from emdx_desktop.domain.profiles import ValueType, WordOrder

_SIGNED = frozenset({ValueType.S16, ValueType.S32, ValueType.S48, ValueType.S64})
_SIGN_MAGNITUDE = frozenset({ValueType.SM16, ValueType.SM32})
_DECIMAL = frozenset({ValueType.BCD16, ValueType.BCD32, ValueType.BCD48})

SMALLEST_NORMAL_FLOAT32 = 2.0**-126
SMALLEST_NORMAL_FLOAT64 = 2.0**-1022


def swap_bytes(word: int) -> int:
    """A word with its two bytes exchanged."""
    return (word & 0xFF) << 8 | word >> 8


def unsigned_value(words: Sequence[int], word_order: WordOrder, is_byte_swapped: bool) -> int:
    """All words as one unsigned number, first word highest after putting them in order."""
    value = 0
    for word in words if word_order is WordOrder.HIGH_FIRST else reversed(words):
        value = value << 16 | (swap_bytes(word) if is_byte_swapped else word)
    return value


def typed_number(unsigned: int, value_type: ValueType, words: int) -> int | float | None:
    """The number the words stand for.

    Args:
        unsigned: All words as one unsigned number.
        value_type: Not `ascii`.
        words: Number of words.
    Returns:
        int or float (NaN and infinities as they are); None when the words are no number of that type.
    """
    bits = 16 * words
    if value_type in _SIGNED:
        return unsigned - (1 << bits) if unsigned >> (bits - 1) else unsigned
    if value_type is ValueType.FLOAT32:
        return float(struct.unpack(">f", unsigned.to_bytes(4, "big"))[0])
    if value_type is ValueType.FLOAT64:
        return float(struct.unpack(">d", unsigned.to_bytes(8, "big"))[0])
    if value_type in _SIGN_MAGNITUDE:
        magnitude = unsigned & ((1 << (bits - 1)) - 1)
        return -magnitude if unsigned >> (bits - 1) else magnitude
    if value_type in _DECIMAL:
        digits = f"{unsigned:x}"
        return int(digits) if digits.isdecimal() else None
    return unsigned


def is_measurable(number: float, value_type: ValueType) -> bool:
    """False for NaN, infinities and denormal numbers: no meter measures them (fault C18)."""
    if not math.isfinite(number):
        return False
    smallest = SMALLEST_NORMAL_FLOAT32 if value_type is ValueType.FLOAT32 else SMALLEST_NORMAL_FLOAT64
    return number == 0 or abs(number) >= smallest


def decode_text(words: Sequence[int], chars_per_word: int) -> str:
    """Text of a register: printable ASCII only, blanks and zeros at the end taken away."""
    codes: list[int] = []
    for word in words:
        codes += [word & 0xFF] if chars_per_word == 1 else [word >> 8, word & 0xFF]
    return "".join(chr(code) if 0x20 <= code < 0x7F else " " for code in codes).strip()
