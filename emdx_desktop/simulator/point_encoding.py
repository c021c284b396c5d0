"""Values become register words: the simulator's own encoder, the reverse of what a client decodes.

It is written from `domain/profiles.py` alone and shares no code with the decoder, so that the two check each other.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from fractions import Fraction

from emdx_desktop.domain.profiles import DeviceProfile, PointDef, ScaleRule, ValueType, WordOrder

_SIGNED = frozenset({ValueType.S16, ValueType.S32, ValueType.S48, ValueType.S64})
_SIGN_MAGNITUDE = frozenset({ValueType.SM16, ValueType.SM32})
_BCD = frozenset({ValueType.BCD16, ValueType.BCD32, ValueType.BCD48})
_FLOAT = frozenset({ValueType.FLOAT32, ValueType.FLOAT64})


def is_float(point: PointDef) -> bool:
    """The register holds an IEEE 754 number."""
    return point.value_type in _FLOAT


def compute_raw_range(point: PointDef) -> tuple[int, int]:
    """Lowest and highest integer the register's type can hold."""
    bits = 16 * point.words
    if point.value_type in _SIGNED:
        return -(1 << bits - 1), (1 << bits - 1) - 1
    if point.value_type in _SIGN_MAGNITUDE:
        return -(1 << bits - 1) + 1, (1 << bits - 1) - 1
    if point.value_type in _BCD:
        return 0, 10 ** (4 * point.words) - 1
    if point.bit_mask:
        return 0, point.bit_mask >> point.bit_shift
    return 0, (1 << bits) - 1


def compute_modulus(point: PointDef) -> int:
    """Counts at which a counter starts again from 0: as documented, or where its register ends."""
    return point.modulus or compute_raw_range(point)[1] + 1


def select_scale(rule: ScaleRule, selector: Fraction) -> Fraction:
    """Scale of the step a selector falls into.

    Raises:
        ValueError: The rule has no step for it (its last step has a bound).
    """
    for step in rule.steps:
        if step.below is None or selector < step.below:
            return step.scale
    raise ValueError(f"scale rule {rule.name} says nothing for {selector}")


def resolve_scale(
    point: PointDef, profile: DeviceProfile, settings: Mapping[str, int], assumed: Mapping[str, Fraction]
) -> Fraction:
    """Base units one count of a point is worth in this very device.

    Args:
        point: The point.
        profile: Its profile.
        settings: Raw values of auxiliary points, e.g. the CT ratio a scale rule reads.
        assumed: Scales of points whose document gives none; one base unit a count where nothing is assumed.
    """
    if point.scale_rule:
        rule = profile.scale_rules[point.scale_rule]
        selector = Fraction(1)
        for key in rule.points:
            selector *= settings.get(key, 1) * (profile.point(key).scale or Fraction(1))
        return select_scale(rule, selector)
    if point.scale is not None:
        return point.scale
    return assumed.get(point.key, Fraction(1))


def encode_raw(point: PointDef, raw: int) -> int:
    """The unsigned content of all words of an integer register, high word first."""
    bits = 16 * point.words
    if point.value_type in _BCD:
        return int(str(raw), 16)
    if point.value_type in _SIGN_MAGNITUDE:
        return abs(raw) | (1 << bits - 1 if raw < 0 else 0)
    if point.bit_mask:
        return raw << point.bit_shift & point.bit_mask
    return raw & (1 << bits) - 1


def encode_float(point: PointDef, number: float) -> int:
    """The unsigned content of all words of a float register, high word first."""
    return int.from_bytes(struct.pack(">f" if point.value_type is ValueType.FLOAT32 else ">d", number), "big")


def encode_text(point: PointDef, text: str) -> int:
    """The unsigned content of all words of an ASCII register, blank filled, high word first."""
    characters = text.encode("ascii", "replace").ljust(point.words * point.chars_per_word)
    if point.chars_per_word == 1:
        characters = b"".join(b"\0" + characters[i : i + 1] for i in range(point.words))
    return int.from_bytes(characters[: 2 * point.words], "big")


def encode_instant(point: PointDef, value: float, scale: Fraction) -> int:
    """Content for a value in base units; beyond the register's range it stays at its end.

    A register with a sign of its own elsewhere holds the magnitude.
    """
    number = abs(value) if point.sign_point else value
    if is_float(point):
        return encode_float(point, number / float(scale))
    lowest, highest = compute_raw_range(point)
    raw = min(max(math.floor(number / float(scale) + 0.5), lowest), highest)
    content = encode_raw(point, raw)
    while content in point.sentinels:  # a real value that looks like "not available" is shown one count less
        raw = raw - 1 if raw > 0 else raw + 1
        content = encode_raw(point, raw)
    return content


def encode_count(point: PointDef, count: int, scale: Fraction) -> int:
    """Content for a counter, in counts of its register or, for a float, of its resolution."""
    if is_float(point):
        return encode_float(point, float(count * (point.resolution or scale) / scale))
    if point.value_type in _SIGNED and count < 0:  # a balance of import and export
        return encode_raw(point, count)
    return encode_raw(point, count % compute_modulus(point))


def encode_unavailable(point: PointDef) -> int:
    """Content that says "not available": the profile's first sentinel, a NaN, or 0 where neither exists."""
    if point.sentinels:
        return point.sentinels[0]
    return encode_float(point, math.nan) if is_float(point) else 0


def split_words(point: PointDef, content: int, profile: DeviceProfile) -> tuple[int, ...]:
    """Words as they stand on the wire, in the device's word and byte order."""
    words = [content >> 16 * i & 0xFFFF for i in reversed(range(point.words))]
    if point.value_type is not ValueType.ASCII:
        if profile.word_order is WordOrder.LOW_FIRST:
            words.reverse()
        if profile.is_byte_swapped:
            words = [(word & 0xFF) << 8 | word >> 8 for word in words]
    return tuple(words)
