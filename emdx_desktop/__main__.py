"""Command line and composition root."""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from emdx_desktop import __version__
from emdx_desktop.app.paths import default_data_folder
from emdx_desktop.commands import collect, demo, history, plan_bus, read, screenshot, simulate, site, window
from emdx_desktop.commands.site_folder import open_site_folder
from emdx_desktop.domain.errors import ConfigurationError, EmdxError

logger = logging.getLogger("emdx_desktop")

LOG_FILE_NAME = "emdx-desktop.log"
LOG_BYTES = 2_000_000
LOG_FILES = 5

EXIT_BUG, EXIT_INPUT, EXIT_ENVIRONMENT = 1, 2, 3
EXIT_INTERRUPTED = 130

COMMANDS = {
    "site": (site, "read or write the installation as one file"),
    "collect": (collect, "acquire and record without a window"),
    "read": (read, "ask once and print every value"),
    "plan-bus": (plan_bus, "predicted cycle of each line and what would make it faster"),
    "history": (history, "recorded values as csv"),
    "screenshot": (screenshot, "a picture of a page, also without a screen"),
    "simulate": (simulate, "the simulated building, or lines for measuring"),
}
_NEEDS_NO_FOLDER = ("simulate",)


def make_shared_parser() -> argparse.ArgumentParser:
    """Options that every command takes, in any place of the command line."""
    shared = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    shared.add_argument("--data", type=Path, metavar="DIR", help="data folder of the site")
    shared.add_argument("--json", action="store_true", help="print JSON")
    return shared


def make_parser(shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="emdx-desktop",
        description="Energy supervision for a building's PC. Without a command: the window.",
        epilog="Every command takes --data DIR and --json.",
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"EMDX Desktop {__version__}")
    parser.add_argument("--demo", action="store_true", help="a simulated building, live")
    demo.add_arguments(parser)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, help_text) in COMMANDS.items():
        module.add_arguments(subparsers.add_parser(name, help=help_text))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 done, 1 a bug (logged), 2 wrong usage or bad input, 3 a fault of the environment.
    """
    shared = make_shared_parser()
    try:
        common, rest = shared.parse_known_args(argv)
        args = make_parser(shared).parse_args(rest)
    except SystemExit as ended:  # argparse: 0 after --help, 2 after wrong usage, its sentence is printed
        return ended.code if isinstance(ended.code, int) else EXIT_INPUT
    args.json = common.json
    default = demo.default_demo_folder() if args.demo else default_data_folder()
    args.data = (common.data or default).expanduser().absolute()
    log_file = _start_log(args.data) if args.command not in _NEEDS_NO_FOLDER else None
    try:
        if args.command is not None:
            code: int = COMMANDS[args.command][0].run(args)
            return code
        return demo.run(args) if args.demo else window.run(open_site_folder(args.data))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return EXIT_INPUT
    except EmdxError as error:
        print(error, file=sys.stderr)
        return EXIT_ENVIRONMENT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # who read our output is gone; what Python would still flush at exit goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # the last edge: a bug is logged whole and told in a sentence
        logger.exception("the command ended by a mistake of the program")
        where = f" The log {log_file} says where." if log_file else ""
        print(f"The program made a mistake and could not go on; nothing was damaged.{where}", file=sys.stderr)
        return EXIT_BUG


class _FolderLog(logging.handlers.RotatingFileHandler):
    """A log in the data folder; it neither makes the folder nor stops the program when it cannot be written."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, if there is a folder by now."""
        if Path(self.baseFilename).parent.is_dir():
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A full disk must not end acquisition, nor print a stack trace."""


def _start_log(folder: Path) -> Path:
    """Log into the data folder, also what nobody caught."""
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, _FolderLog):  # main is called twice, as in tests
            root.removeHandler(old)
            old.close()
    root.setLevel(logging.INFO)
    sys.excepthook = _log_escaped
    threading.excepthook = lambda escaped: _log_escaped(
        escaped.exc_type, escaped.exc_value or escaped.exc_type(), escaped.exc_traceback
    )
    path = folder / LOG_FILE_NAME
    handler = _FolderLog(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    return path


def _log_escaped(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody caught, in any thread (I8)."""
    logger.critical("a mistake of the program escaped", exc_info=(kind, error, trace))


if __name__ == "__main__":
    sys.exit(main())
