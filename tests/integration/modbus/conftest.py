"""The fakes of the unit tests are found by name (importlib mode imports tests by file)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "modbus"))

# pseudo-terminals are Linux's (the same rule as for the tests of other implementations)
collect_ignore = [] if sys.platform.startswith("linux") else ["test_serial_ports.py"]
