"""The last check before words are believed: does this reply belong to that request?

pymodbus decodes a reply by what the reply says about itself: it accepts another function code, a byte count
that lies, fewer or more registers than asked for and the exception of another function (tried with 3.16.1).
Here every reply is measured against its request first, byte for byte, and once more after decoding.
"""

from __future__ import annotations

from pymodbus.pdu import DecodePDU
from pymodbus.pdu.bit_message import ReadCoilsResponse, ReadDiscreteInputsResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse, ReadInputRegistersResponse

from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.readings import FaultKind
from emdx_desktop.modbus.requests import EXCEPTION_MARK, ReadRequest, exception_name, protocol_fault

_RESPONSES = {
    1: ReadCoilsResponse,
    2: ReadDiscreteInputsResponse,
    3: ReadHoldingRegistersResponse,
    4: ReadInputRegistersResponse,
}
_DECODER = DecodePDU(is_server=False)


def read_words(request: ReadRequest, unit_id: int, pdu: bytes) -> tuple[int, ...]:
    """The words of a reply that answers the request.

    Args:
        request: What was asked.
        unit_id: Address in the reply's frame.
        pdu: Function code and data of the reply, check sums and header removed.
    Returns:
        One word a register, or one 0 / 1 a bit; exactly `request.count` of them.
    Raises:
        LinkFault: `exception` with its code when the device refused this very request; `protocol`
            when the reply is any other than the one asked for.
    """
    if unit_id != request.unit_id:
        raise protocol_fault(f"address {unit_id} answered where address {request.unit_id} was asked")
    if not pdu:
        raise protocol_fault("a reply without a function code came")
    function_code = pdu[0]
    if function_code & EXCEPTION_MARK:
        if function_code != request.function_code | EXCEPTION_MARK:
            raise protocol_fault(f"function {function_code & 0x7F} was refused where {request.function_code} was asked")
        if len(pdu) != 2:
            raise protocol_fault("a refusal without a code, or with more than its code, came")
        raise LinkFault(
            exception_name(pdu[1]), kind=FaultKind.EXCEPTION, retryable=pdu[1] not in (1, 2, 3), exception_code=pdu[1]
        )
    if function_code != request.function_code:
        raise protocol_fault(f"function {function_code} answered where {request.function_code} was asked")
    if len(pdu) != 2 + request.byte_count or pdu[1] != request.byte_count:
        told = pdu[1] if len(pdu) > 1 else 0
        raise protocol_fault(
            f"{len(pdu) - 2} bytes came ({told} announced) where {request.byte_count} belong to {request}"
        )
    response = _DECODER.decode(pdu)
    if type(response) is not _RESPONSES[request.function_code]:
        raise protocol_fault("the reply could not be decoded")
    if request.is_of_bits:
        words = tuple(int(bit) for bit in response.bits[: request.count])
    else:
        words = tuple(response.registers)
    if len(words) != request.count:
        raise protocol_fault(f"{len(words)} values came where {request.count} were asked")
    return words
