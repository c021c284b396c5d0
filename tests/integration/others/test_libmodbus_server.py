"""The foreign server answers as the standard says: what polls it is measured against something not ours."""

import os
import socket
import struct
import tty
from collections.abc import Callable

V1_N_OF_0_146_68 = 0xC558  # wire address; 0 146 68 says 230 V there


def test_answers_modbus_tcp_and_keeps_silent_for_other_units(start_libmodbus: Callable[..., int]) -> None:
    port = start_libmodbus({5: {"holding": {V1_N_OF_0_146_68: 23000}}})
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
        link.sendall(struct.pack(">HHHBBHH", 1, 0, 6, 9, 3, V1_N_OF_0_146_68, 1))  # nobody
        link.sendall(struct.pack(">HHHBBHH", 2, 0, 6, 5, 3, V1_N_OF_0_146_68, 1))
        assert link.recv(100) == struct.pack(">HHHBBBH", 2, 0, 5, 5, 3, 2, 23000)


def test_answers_rtu_on_a_serial_port(start_libmodbus: Callable[..., int]) -> None:
    ours, theirs = os.openpty()
    tty.setraw(ours)
    try:
        start_libmodbus({1: {"holding": {0: 0x1234}}}, rtu=os.ttyname(theirs))
        os.write(ours, bytes.fromhex("01 03 00 00 00 01 84 0a"))
        reply = b""
        while len(reply) < 7:
            reply += os.read(ours, 7)
        assert reply == bytes.fromhex("01 03 02 12 34 b5 33")
    finally:
        os.close(ours)
        os.close(theirs)
