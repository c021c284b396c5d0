"""A refusal as a document prints it, through the check every reply passes."""

import pytest

from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.readings import FaultKind
from emdx_desktop.modbus.reply_guard import read_words
from emdx_desktop.modbus.requests import ReadRequest


def test_refusal_of_the_guide_is_exception_1() -> None:
    """Legrand, Measurement to supervision guide: 03 h from 4000 h, 1 word, device 01 h: 83 01 identifies a fault."""
    with pytest.raises(LinkFault, match="illegal function") as caught:
        read_words(ReadRequest(0x01, 3, 0x4000, 1), 0x01, bytes.fromhex("83 01"))
    assert (caught.value.kind, caught.value.exception_code) == (FaultKind.EXCEPTION, 1)
