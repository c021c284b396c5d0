"""Exit codes and sentences of the command line, without a device."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from pathlib import Path

import pytest

import emdx_desktop.__main__ as program
from emdx_desktop.__main__ import LOG_FILE_NAME, main
from emdx_desktop.commands import plan_bus, screenshot, site
from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.storage.journal_copy import COPY_FILE_NAME

SITE = """
[site]
name = "Plant"
timezone = "Europe/Paris"
[[gateway]]
name = "GW1"
link = "tcp://192.0.2.1"
[[device]]
name = "QF1"
gateway = "GW1"
model = "eastron-sdm630"
unit_id = 1
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "site.toml"
    file.write_text(SITE, encoding="utf-8")
    return file


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data é 中"


def test_import_then_export_round_trips(file: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(data), "site", "import", str(file)]) == 0
    assert 'Site "Plant" is new' in capsys.readouterr().out
    assert main(["site", "export", "-", "--data", str(data)]) == 0
    exported = capsys.readouterr().out
    assert 'name = "QF1"\nid = 1' in exported
    file.write_text(exported, encoding="utf-8")
    assert main(["site", "import", str(file), "--data", str(data)]) == 0
    assert "Nothing changes." in capsys.readouterr().out
    target = file.with_name("out.toml")
    assert main(["site", "export", str(target), "--data", str(data)]) == 0
    assert target.read_text(encoding="utf-8") == exported


def test_mistakes_are_told_at_once_exit_2_and_nothing_changes(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["site", "import", str(file), "--data", str(data)]) == 0
    capsys.readouterr()
    file.write_text(SITE.replace("unit_id = 1", "unit_id = 0\nfoo = 1").replace("Paris", "Pariss"), encoding="utf-8")
    assert main(["site", "import", str(file), "--yes", "--data", str(data)]) == 2
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 3
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert main(["site", "export", "-", "--data", str(data)]) == 0
    assert "unit_id = 1" in capsys.readouterr().out


def test_first_import_with_mistakes_leaves_no_folder(file: Path, data: Path) -> None:
    file.write_text("[site]\n", encoding="utf-8")
    assert main(["site", "import", str(file), "--data", str(data)]) == 2
    assert not data.exists()


def test_changes_need_a_yes_where_nobody_can_be_asked(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["site", "import", str(file), "--data", str(data)]) == 0
    file.write_text(SITE.replace("QF1", "QF2"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert main(["site", "import", str(file), "--data", str(data)]) == 2
    captured = capsys.readouterr()
    assert "archived; its history is kept" in captured.out
    assert "--yes" in captured.err
    assert main(["site", "import", str(file), "--yes", "--json", "--data", str(data)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["schema"], answer["revision"]) == ("emdx/site-import/1", 2)


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2)])
def test_person_is_asked(file: Path, data: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert main(["site", "import", str(file), "--data", str(data)]) == 0
    file.write_text(SITE.replace("QF1", "QF2"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", Terminal(answer + "\n"))
    assert main(["site", "import", str(file), "--data", str(data)]) == code


@pytest.mark.parametrize(
    "argv",
    [
        ["read"],
        ["collect"],
        ["plan-bus"],
        ["site", "export", "-"],
        ["history", "export"],
        ["screenshot", "live", "-o", "x.png"],
    ],
)
def test_command_without_a_site_exits_2_with_a_sentence(
    argv: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*argv, "--data", str(data)]) == 2
    captured = capsys.readouterr()
    assert "site import FILE" in captured.err
    assert captured.out == ""


def test_site_without_devices_is_not_polled(file: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text('[site]\nname = "Empty"\ntimezone = "UTC"\n', encoding="utf-8")
    assert main(["site", "import", str(file), "--data", str(data)]) == 0
    assert main(["collect", "--data", str(data)]) == 2
    assert "has no devices" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"garbage" * 9000], ids=["empty", "garbage"])
def test_collect_goes_on_where_the_live_file_is_damaged_and_nobody_else_touches_it(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    file.write_text(SITE.replace("192.0.2.1", "127.0.0.1:1"), encoding="utf-8")
    assert main(["site", "import", str(file), "--data", str(data)]) == 0
    live = data / "live.db"
    live.write_bytes(content)
    capsys.readouterr()
    for argv in (["read"], ["plan-bus"], ["history", "export"], ["site", "import", str(file)]):
        assert main([*argv, "--data", str(data)]) == 3
        assert "start acquisition" in capsys.readouterr().err
    assert live.read_bytes() == content
    assert main(["collect", "--for", "0.2", "--data", str(data)]) == 0
    assert "was set aside" in capsys.readouterr().out
    assert [path.read_bytes() for path in data.glob("live.db.damaged-*")] == [content]
    assert main(["site", "export", "-", "--data", str(data)]) == 0
    assert 'name = "QF1"' in capsys.readouterr().out


def test_collect_says_why_there_is_no_site_any_more(file: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "import", str(file), "--data", str(data)]) == 0
    for name in ("live.db", COPY_FILE_NAME):
        (data / name).write_bytes(b"garbage" * 9000)
    assert main(["collect", "--for", "0.2", "--data", str(data)]) == 2
    told = capsys.readouterr().err
    assert "was set aside" in told
    assert "site import FILE" in told
    assert main(["site", "import", str(file), "--data", str(data)]) == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["read", "QF7"], '"QF7" is not a device of this site; there are "QF1"'),
        (["history", "export", "--from", "yesterday"], "--from"),
        (["history", "export", "--from", "2026-10-02", "--to", "2026-10-01"], "must be later"),
        (["history", "export", "--quantity", "power"], "not a known quantity"),
        (["history", "export", "--device", "QF8"], "is not a device"),
        (["screenshot", "nowhere", "-o", "x.png"], "nowhere"),
    ],
)
def test_wrong_input_exits_2_and_says_what_is_allowed(
    file: Path, data: Path, capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    assert main(["site", "import", str(file), "--data", str(data)]) == 0
    assert main([*argv, "--data", str(data)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [["nonsense"], ["collect", "--for", "-3"], ["screenshot", "live", "-o", "x", "--size", "big"]]
)
def test_wrong_usage_exits_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "usage:" in capsys.readouterr().err


def test_help_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "plan-bus" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"), [(b"\xff\xfe\x00", "UTF-8"), (None, "cannot be read"), (b"\xef\xbb\xbf[site]\n", "site.name")]
)
def test_file_that_is_no_site_file_exits_2(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    file = tmp_path / "bad.toml"
    if content is not None:
        file.write_bytes(content)
    assert main(["site", "import", str(file), "--data", str(data)]) == 2
    assert words in capsys.readouterr().err


def test_output_that_cannot_be_written_exits_3(file: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["site", "import", str(file), "--data", str(data)]) == 0
    assert main(["site", "export", str(data / "missing" / "x.toml"), "--data", str(data)]) == 3
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "schema", "keys"),
    [
        (["site", "import", "{file}"], "emdx/site-import/1", {"changes", "warnings", "revision"}),
        (["site", "export", "{out}"], "emdx/site-export/1", {"file", "devices", "revision"}),
        (["plan-bus"], "emdx/plan-bus/1", {"lines"}),
        (["history", "export", "-o", "{out}"], "emdx/history-export/1", {"file", "rows"}),
        (["screenshot", "live", "-o", "{out}"], "emdx/screenshot/1", {"page", "file"}),
        (["read", "QF1"], "emdx/read/1", {"site", "ts", "devices"}),
    ],
)
def test_every_command_answers_with_one_json_document_of_its_schema(
    file: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    schema: str,
    keys: set[str],
) -> None:
    def draw(_folder: object, _page: str, output: Path, *_look: object) -> None:
        output.write_bytes(b"picture")

    monkeypatch.setattr(screenshot, "render_picture", draw)
    file.write_text(SITE.replace("192.0.2.1", "127.0.0.1:1"), encoding="utf-8")
    assert main(["site", "import", str(file), "--data", str(data)]) == 0
    capsys.readouterr()
    out = data / "out.file"
    filled = [part.format(file=file, out=out) for part in argv]
    assert main([*filled, "--json", "--data", str(data)]) == (3 if argv[0] == "read" else 0)
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == schema
    assert keys <= answer.keys()
    assert out.exists() == ("{out}" in argv)


def test_environment_fault_exits_3_without_a_trace(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_args: object) -> int:
        raise EnvironmentFault("The disk is full.")

    monkeypatch.setattr(plan_bus, "run", fail)
    assert main(["plan-bus", "--data", str(data)]) == 3
    assert capsys.readouterr().err == "The disk is full.\n"


def test_bug_is_logged_and_told_in_a_sentence(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_args: object) -> int:
        raise ZeroDivisionError("oops")

    data.mkdir()
    monkeypatch.setattr(plan_bus, "run", fail)
    assert main(["plan-bus", "--data", str(data)]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert LOG_FILE_NAME in error
    assert "ZeroDivisionError: oops" in (data / LOG_FILE_NAME).read_text(encoding="utf-8")


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt(), 130)])
def test_interruption_is_quiet(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int
) -> None:
    def fail(_args: object) -> int:
        raise raised

    monkeypatch.setattr(site, "run", fail)
    assert main(["site", "export", "-", "--data", str(data)]) == code
    assert capsys.readouterr().err == ""


def test_what_escapes_in_a_thread_is_logged(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    data.mkdir()
    hooks = sys.excepthook, threading.excepthook
    try:
        program._start_log(data)
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    finally:
        sys.excepthook, threading.excepthook = hooks
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture(autouse=True)
def _log_is_put_back() -> object:
    hooks = sys.excepthook, threading.excepthook
    level = logging.getLogger().level
    yield
    sys.excepthook, threading.excepthook = hooks
    root = logging.getLogger()
    root.setLevel(level)
    for handler in list(root.handlers):
        if isinstance(handler, program._FolderLog):
            root.removeHandler(handler)
            handler.close()
