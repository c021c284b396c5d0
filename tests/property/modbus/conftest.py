"""The fakes of the unit tests are found by name (importlib mode imports tests by file)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "modbus"))
