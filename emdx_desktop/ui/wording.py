"""States and qualities in words, shape and colour: one table, never colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QCoreApplication

from emdx_desktop.domain.quantities import QuantityDef
from emdx_desktop.domain.readings import DeviceState, FaultKind, LiveValue, NoticeLevel, Quality

translate = QCoreApplication.translate


class Shape(StrEnum):
    """Shapes of state and quality marks, drawn in `widgets/marks.py`."""

    NONE = "none"
    DOT = "dot"  # measured, answers
    TICK = "tick"
    SQUARE = "square"  # notice
    TRIANGLE = "triangle"  # warning
    OCTAGON = "octagon"  # alarm
    BROKEN_RING = "broken_ring"  # no answer
    HALF_DISC = "half_disc"  # incomplete
    BARRED_RING = "barred_ring"  # not assessed
    CLOCK = "clock"  # stale, working
    BREAKER_CLOSED = "breaker_closed"
    BREAKER_OPEN = "breaker_open"
    BREAKER_FAULT = "breaker_fault"


@dataclass(frozen=True, slots=True)
class Mark:
    """A state as shape, word and colour.

    Attributes:
        shape: What is drawn.
        word: What is written beside it.
        token: Colour of the theme table.
        is_quiet: Normal: the word may be left out in a row.
    """

    shape: Shape
    word: str
    token: str
    is_quiet: bool = False


def device_mark(state: DeviceState) -> Mark:
    """State of a device."""
    match state:
        case DeviceState.WAITING:
            return Mark(Shape.CLOCK, translate("Words", "waiting"), "ink3")
        case DeviceState.ANSWERING:
            return Mark(Shape.DOT, translate("Words", "answers"), "ink2", is_quiet=True)
        case DeviceState.PARTIAL:
            return Mark(Shape.TRIANGLE, translate("Words", "partly"), "warn")
        case DeviceState.SILENT:
            return Mark(Shape.BROKEN_RING, translate("Words", "no answer"), "silent")
        case DeviceState.GATEWAY_DOWN:
            return Mark(Shape.BROKEN_RING, translate("Words", "line down"), "silent")
        case DeviceState.UNREADABLE:
            return Mark(Shape.BARRED_RING, translate("Words", "no table"), "warn")
        case DeviceState.DISABLED:
            return Mark(Shape.BARRED_RING, translate("Words", "not read"), "ink3")


BREAKER_OPEN, BREAKER_CLOSED = 0, 1
"""Codes of `breaker_position`. Source: Legrand 0 146 68 Modbus table, relay state 8E10h: 0 open, 1 closed."""


def breaker_mark(position: int | None, fault: int | None) -> Mark:
    """ON is not green and OFF is not red: only FAULT is coloured."""
    if fault:
        return Mark(Shape.BREAKER_FAULT, translate("Words", "FAULT"), "alarm")
    if position == BREAKER_CLOSED:
        return Mark(Shape.BREAKER_CLOSED, translate("Words", "ON"), "ink")
    if position == BREAKER_OPEN:
        return Mark(Shape.BREAKER_OPEN, translate("Words", "OFF"), "ink2")
    return Mark(Shape.BARRED_RING, translate("Words", "unknown"), "ink3")


def quality_mark(quality: Quality, *, is_late: bool = False) -> Mark:
    """Quality of one live value; `is_late`: good, but older than three of its periods."""
    if quality is Quality.GOOD:
        if is_late:
            return Mark(Shape.CLOCK, translate("Words", "stale"), "warn")
        return Mark(Shape.DOT, translate("Words", "measured"), "ink2", is_quiet=True)
    shape, word, token = {
        Quality.TIMEOUT: (Shape.BROKEN_RING, translate("Words", "no answer"), "silent"),
        Quality.EXCEPTION: (Shape.TRIANGLE, translate("Words", "refused"), "warn"),
        Quality.PROTOCOL: (Shape.TRIANGLE, translate("Words", "answer unusable"), "warn"),
        Quality.SENTINEL: (Shape.BARRED_RING, translate("Words", "not available"), "ink3"),
        Quality.IMPLAUSIBLE: (Shape.TRIANGLE, translate("Words", "implausible"), "warn"),
        Quality.STALE: (Shape.CLOCK, translate("Words", "stale"), "warn"),
        Quality.CLOCK: (Shape.CLOCK, translate("Words", "clock unsure"), "warn"),
        Quality.PENDING: (Shape.HALF_DISC, translate("Words", "to confirm"), "warn"),
        Quality.NOT_DUE: (Shape.CLOCK, translate("Words", "not due yet"), "ink3"),
        Quality.NOT_RECORDED: (Shape.BARRED_RING, translate("Words", "not recorded"), "ink3"),
    }[quality]
    return Mark(shape, word, token)


def notice_mark(level: NoticeLevel) -> Mark:
    """How loud a notice is."""
    match level:
        case NoticeLevel.INFO:
            return Mark(Shape.SQUARE, translate("Words", "notice"), "info")
        case NoticeLevel.WARNING:
            return Mark(Shape.TRIANGLE, translate("Words", "warning"), "warn")
        case NoticeLevel.ALARM:
            return Mark(Shape.OCTAGON, translate("Words", "alarm"), "alarm")


def fault_word(kind: FaultKind) -> str:
    """Why requests got no usable reply."""
    return {
        FaultKind.CONNECT: translate("Words", "not reached"),
        FaultKind.CONNECTION_LIMIT: translate("Words", "connection refused at once"),
        FaultKind.CLOSED: translate("Words", "connection closed"),
        FaultKind.TIMEOUT: translate("Words", "no answer in time"),
        FaultKind.CRC: translate("Words", "checksum wrong"),
        FaultKind.PROTOCOL: translate("Words", "answer did not match"),
        FaultKind.EXCEPTION: translate("Words", "refused by the device"),
    }[kind]


def quantity_name(definition: QuantityDef) -> str:
    """Name of a quantity in the language of the window."""
    return translate("Quantities", definition.name)


def gap_word(quality: int) -> str:
    """Why minutes are missing."""
    if quality == Quality.NOT_RECORDED:
        return translate("Words", "not recorded")
    return quality_mark(Quality(quality)).word


def state_word(quantity_id: str, live: LiveValue) -> str:
    """A state quantity in words; its code where no document gives the words."""
    if live.value is None:
        return ""
    code = int(live.value)
    if quantity_id == "breaker_position":
        return breaker_mark(code, None).word
    if quantity_id == "breaker_fault":
        return translate("Words", "FAULT") if code else translate("Words", "none")
    if quantity_id.startswith(("input_", "output_")):
        return translate("Words", "closed") if code else translate("Words", "open")
    if quantity_id.startswith("reactive_kind"):
        words = (translate("Words", "neither"), translate("Words", "inductive"), translate("Words", "capacitive"))
        return words[code] if 0 <= code < len(words) else translate("Words", "code {0}").format(code)
    return translate("Words", "code {0}").format(code)
