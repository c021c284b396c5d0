"""Random and mutated replies: no wrong value ever passes for the right one (invariant I1)."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modbus_frames import ascii_frame, mbap, reply_pdu, rtu

from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.installation import TransactionIdCheck
from emdx_desktop.modbus.framing import AsciiFraming, Framing, MbapFraming, RtuFraming
from emdx_desktop.modbus.reply_guard import read_words
from emdx_desktop.modbus.requests import ReadRequest

ROUNDS = 100_000


def echo_words(request: ReadRequest) -> tuple[int, ...]:
    return tuple(range(request.address, request.address + request.count))


def mutate(rng: random.Random, frame: bytes) -> bytes:
    data = bytearray(frame)
    for _ in range(rng.randint(1, 3)):
        kind = rng.randrange(6)
        at = rng.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            del data[at]
        elif kind == 2:
            data.insert(at, rng.randrange(256))
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            data += rng.randbytes(rng.randint(1, 6))
        elif data:
            data[at] = rng.randrange(256)
    return bytes(data)


def test_100_000_fuzzed_replies_give_no_wrong_value() -> None:
    """The guard on PDUs: whatever passes has the unit, the function and the size that were asked for."""
    rng = random.Random(20261120)
    passed = 0
    for _ in range(ROUNDS):
        request = ReadRequest(rng.randint(1, 4), rng.choice((3, 4)), rng.randrange(0, 200), rng.randint(1, 8))
        unit_id, pdu = request.unit_id, reply_pdu(echo_words(request), request.function_code)
        choice = rng.randrange(4)
        if choice == 0:
            other = ReadRequest(rng.randint(1, 4), rng.choice((3, 4)), rng.randrange(0, 200), rng.randint(1, 8))
            unit_id, pdu = other.unit_id, reply_pdu(echo_words(other), other.function_code)
        elif choice == 1:
            pdu = rng.randbytes(rng.randint(0, 20))
        elif choice == 2:
            # the header only: what is inside the data is the check sum's business
            head = mutate(rng, pdu[:2])
            pdu = head + pdu[2:]
        try:
            words = read_words(request, unit_id, pdu)
        except LinkFault:
            continue
        passed += 1
        assert unit_id == request.unit_id
        assert pdu[0] == request.function_code
        assert len(words) == request.count
        assert len(pdu) == 2 + 2 * request.count == 2 + pdu[1]
    assert passed > ROUNDS / 10


@pytest.mark.parametrize(
    ("make", "build"),
    [
        (RtuFraming, lambda sent, unit_id, pdu: rtu(unit_id, pdu)),
        (AsciiFraming, lambda sent, unit_id, pdu: ascii_frame(unit_id, pdu)),
        (
            lambda: MbapFraming(TransactionIdCheck.STRICT),
            lambda sent, unit_id, pdu: mbap(int.from_bytes(sent[:2], "big"), unit_id, pdu),
        ),
    ],
)
def test_mutated_frames_give_the_right_words_or_a_fault(
    make: Callable[[], Framing], build: Callable[[bytes, int, bytes], bytes]
) -> None:
    """With a check sum, words that pass are the device's; Modbus TCP leaves the data to TCP's check sum."""
    rng = random.Random(7)
    framing = make()
    passed = 0
    for _ in range(6_000):
        request = ReadRequest(5, 3, rng.randrange(0, 60_000), rng.randint(1, 10))
        sent = framing.encode(request)
        right = echo_words(request)
        frame = mutate(rng, build(sent, 5, reply_pdu(right)))
        cut = rng.randrange(len(frame) + 1)
        try:
            words = framing.feed(frame[:cut])
            words = framing.feed(frame[cut:]) if words is None else words
            words = framing.finish() if words is None else words
        except LinkFault:
            continue
        passed += 1
        assert len(words) == request.count
        if not isinstance(framing, MbapFraming):
            # an LRC is one byte of sum: two changes may cancel each other out, which no client can see
            assert words == right or isinstance(framing, AsciiFraming)
    assert passed > 100


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 300), max_size=6))
def test_noise_around_and_cuts_within_never_change_the_words(noise: list[bytes], cuts: list[int]) -> None:
    framing = RtuFraming()
    request = ReadRequest(5, 3, 1000, 6)
    framing.encode(request)
    stream = (
        b"".join(noise[: len(noise) // 2]) + rtu(5, reply_pdu(echo_words(request))) + b"".join(noise[len(noise) // 2 :])
    )
    words = None
    start = 0
    try:
        for cut in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
            words = framing.feed(stream[start:cut])
            start = cut
            if words is not None:
                break
        words = framing.finish() if words is None else words
    except LinkFault:
        return  # noise that is an intact frame of somebody else
    assert words == echo_words(request)
