"""`emdx-desktop screenshot PAGE -o FILE.png`: any page, rendered off screen."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.app.runtime import AcquisitionRuntime
from emdx_desktop.commands.atomic_file import open_part
from emdx_desktop.commands.site_folder import SiteFolder, open_site_folder
from emdx_desktop.commands.window import attach_if_owned
from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.ports import HistoryReader, SupervisionPort
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import open_writer

_SIZE = re.compile(r"([0-9]{3,4})x([0-9]{3,4})\Z")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("page", metavar="PAGE", help="live or trends")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.png", help="picture to write")
    parser.add_argument("--size", type=parse_size, default=(1440, 900), metavar="WxH", help="size in pixels")
    parser.add_argument("--theme", choices=("light", "dark"), default="light", help="light or dark")
    parser.add_argument("--language", default="en", metavar="CODE", help="language, e.g. fr")


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of `1280x800`."""
    match = _SIZE.match(text)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not a size; write it as 1280x800')
    return int(match[1]), int(match[2])


def run(args: argparse.Namespace) -> int:
    """Draw the page from what the folder holds; live values come from the acquisition that runs, or our own."""
    folder = open_site_folder(args.data)
    folder.load_installation()
    render_picture(folder, args.page, args.output, args.size, args.theme, args.language)
    if args.json:
        print(json.dumps({"schema": "emdx/screenshot/1", "page": args.page, "file": str(args.output)}))
    return 0


def render_picture(
    folder: SiteFolder, page: str, output: Path, size_px: tuple[int, int], theme: str, language: str
) -> None:
    """Draw a page into a file.

    Raises:
        EnvironmentFault: The page has no data, or the file cannot be written.
    """
    attached = attach_if_owned(folder)
    reader = SqliteHistoryReader(folder.path)
    try:
        if attached is not None:
            try:
                save_picture(folder, reader, attached, None, page, output, size_px, theme, language)
            finally:
                attached.close()
            return
        writer = open_writer(folder.path, SystemClock(), purpose="screenshot")
        try:
            runtime = folder.make_runtime(folder.load_installation(), writer, reader)
            save_picture(folder, reader, runtime, runtime, page, output, size_px, theme, language)
        finally:
            writer.close()
    finally:
        reader.close()


def save_picture(
    folder: SiteFolder,
    reader: HistoryReader,
    port: SupervisionPort,
    runtime: AcquisitionRuntime | None,
    page: str,
    output: Path,
    size_px: tuple[int, int],
    theme: str,
    language: str,
) -> None:
    """Draw a page of a port into a file; `runtime` is acquisition to run meanwhile, None when it runs already."""
    # Qt is loaded for pictures and windows only
    from emdx_desktop.ui.screenshot import render_page, save_page
    from emdx_desktop.ui.theme import ThemeName

    image = render_page(
        page,
        port,
        reader,
        folder.catalogue,
        size_px=size_px,
        theme=ThemeName(theme),
        language=language,
        runtime=runtime,
    )
    try:
        with open_part(output) as part:
            save_page(part, image)
    except OSError as error:
        raise EnvironmentFault(
            f"{output} cannot be written ({error.strerror}) - there is no picture - choose another place."
        ) from error
