"""A Modbus server that shares no line of code with the program: libmodbus, called through ctypes.

    python libmodbus_server.py REGISTERS.json                  Modbus TCP on a free port of 127.0.0.1
    python libmodbus_server.py REGISTERS.json --rtu /dev/pts/4 --baud 9600

REGISTERS.json: {"5": {"holding": {"50520": 230}, "input": {}}} – unit id, table, wire address, word.
All other registers are 0; all other units stay silent. Prints `port N` (or `ready`) once it listens,
ends when its standard input closes.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import select
import socket
import sys
from pathlib import Path

REGISTERS = 65_536
MAX_ADU_BYTES = 260


class Mapping(ctypes.Structure):
    """modbus_mapping_t of libmodbus 3.1 (modbus.h)."""

    _fields_ = (
        ("nb_bits", ctypes.c_int),
        ("start_bits", ctypes.c_int),
        ("nb_input_bits", ctypes.c_int),
        ("start_input_bits", ctypes.c_int),
        ("nb_input_registers", ctypes.c_int),
        ("start_input_registers", ctypes.c_int),
        ("nb_registers", ctypes.c_int),
        ("start_registers", ctypes.c_int),
        ("tab_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("tab_registers", ctypes.POINTER(ctypes.c_uint16)),
    )


def load_library() -> ctypes.CDLL:
    """libmodbus with the signatures used here."""
    library = ctypes.CDLL("libmodbus.so.5", use_errno=True)
    library.modbus_new_tcp.restype = ctypes.c_void_p
    library.modbus_new_tcp.argtypes = (ctypes.c_char_p, ctypes.c_int)
    library.modbus_new_rtu.restype = ctypes.c_void_p
    library.modbus_new_rtu.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.c_char, ctypes.c_int, ctypes.c_int)
    library.modbus_mapping_new.restype = ctypes.POINTER(Mapping)
    library.modbus_mapping_new.argtypes = (ctypes.c_int,) * 4
    library.modbus_tcp_listen.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.modbus_set_slave.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.modbus_set_socket.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.modbus_get_socket.argtypes = (ctypes.c_void_p,)
    library.modbus_connect.argtypes = (ctypes.c_void_p,)
    library.modbus_receive.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    library.modbus_reply.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(Mapping))
    library.modbus_strerror.restype = ctypes.c_char_p
    return library


def load_units(library: ctypes.CDLL, file: Path) -> dict[int, ctypes._Pointer[Mapping]]:
    """A register mapping for every unit of the file."""
    units = {}
    for unit, tables in json.loads(file.read_text(encoding="utf-8")).items():
        mapping = library.modbus_mapping_new(REGISTERS, REGISTERS, REGISTERS, REGISTERS)
        for address, word in tables.get("holding", {}).items():
            mapping.contents.tab_registers[int(address)] = word
        for address, word in tables.get("input", {}).items():
            mapping.contents.tab_input_registers[int(address)] = word
        units[int(unit)] = mapping
    return units


def serve_tcp(library: ctypes.CDLL, units: dict[int, ctypes._Pointer[Mapping]]) -> None:
    """Answer on a free port until standard input closes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = library.modbus_new_tcp(b"127.0.0.1", port)
    listener = library.modbus_tcp_listen(context, 8)
    if listener < 0:
        raise SystemExit(f"libmodbus cannot listen: {library.modbus_strerror(ctypes.get_errno()).decode()}")
    print(f"port {port}", flush=True)
    server = socket.socket(fileno=listener)
    clients: dict[int, socket.socket] = {}
    query = ctypes.create_string_buffer(MAX_ADU_BYTES)
    while True:
        readable, _, _ = select.select([sys.stdin, server, *clients.values()], [], [])
        if sys.stdin in readable:
            return
        if server in readable:
            client, _ = server.accept()
            clients[client.fileno()] = client
        for client in [c for c in clients.values() if c in readable]:
            library.modbus_set_socket(context, client.fileno())
            length = library.modbus_receive(context, query)
            if length < 0:
                clients.pop(client.fileno()).close()
            elif length > 0 and query.raw[6] in units:
                library.modbus_reply(context, query, length, units[query.raw[6]])


def serve_rtu(
    library: ctypes.CDLL, units: dict[int, ctypes._Pointer[Mapping]], device: str, baud: int, parity: str
) -> None:
    """Answer on a serial port as the one unit of the file until standard input closes."""
    ((unit, mapping),) = units.items()
    context = library.modbus_new_rtu(device.encode(), baud, parity.encode(), 8, 1)
    library.modbus_set_slave(context, unit)
    if library.modbus_connect(context) < 0:
        raise SystemExit(f"libmodbus cannot open {device}: {library.modbus_strerror(ctypes.get_errno()).decode()}")
    print("ready", flush=True)
    line = library.modbus_get_socket(context)
    query = ctypes.create_string_buffer(MAX_ADU_BYTES)
    while True:
        readable, _, _ = select.select([sys.stdin, line], [], [])
        if sys.stdin in readable:
            return
        length = library.modbus_receive(context, query)
        if length > 0:
            library.modbus_reply(context, query, length, mapping)


def main() -> None:
    """Serve what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("registers", type=Path)
    parser.add_argument("--rtu", metavar="PORT")
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--parity", choices=("N", "E", "O"), default="N")
    options = parser.parse_args()
    library = load_library()
    units = load_units(library, options.registers)
    if options.rtu:
        serve_rtu(library, units, options.rtu, options.baud, options.parity)
    else:
        serve_tcp(library, units)
    # libmodbus keeps its own descriptors; the process ends here and takes them along
    os._exit(0)


if __name__ == "__main__":
    main()
