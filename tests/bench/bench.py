"""`python3 dev.py bench [NAME…] [--quick] [--json FILE]`: each measure beside its bar.

Nothing here is a test: a busy machine makes no build fail. Exit 0 when every bar asked for is met, 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from machine import describe_machine
from measures import Bench, BenchError, Measured, Row, Setup


def load_benches() -> list[Bench]:
    """All benches, in the order of the table they answer to."""
    import bus_bench
    import commit_bench
    import damage_bench
    import history_bench
    import memory_bench
    import window_bench

    return [
        bus_bench.CYCLE,
        window_bench.BENCH,
        bus_bench.DEAD,
        history_bench.BENCH,
        commit_bench.BENCH,
        memory_bench.BENCH,
        memory_bench.BENCH_DAY,
        *damage_bench.BENCHES,
    ]


def is_met(row: Row, measured: Measured) -> bool:
    """Whether the measured value is on the good side of the bar."""
    return measured.number <= row.bar if row.sense == "<=" else measured.number >= row.bar


def number_text(number: float) -> str:
    """As many figures as tell a miss from a hit, without an exponent."""
    if abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 100 else f"{number:.4f}".rstrip("0").rstrip(".")


def run_bench(bench: Bench, is_quick: bool, parent: Path) -> list[dict[str, object]]:
    """Run one bench and print its rows. A bench that fails counts as not met and does not stop the others."""
    folder = parent / bench.name
    folder.mkdir()
    print(f"\n{bench.name} …", flush=True)
    started = time.monotonic()
    failure = ""
    results: dict[str, Measured] = {}
    try:
        results = dict(bench.run(Setup(is_quick, folder, lambda text: print(f"  {text}", flush=True))))
    except BenchError as error:
        failure = str(error)
    except Exception as error:  # noqa: BLE001  one broken bench must not hide the others; its trace is printed
        traceback.print_exc()
        failure = f"{type(error).__name__}: {error}"
    shutil.rmtree(folder, ignore_errors=True)
    seconds = time.monotonic() - started
    rows = []
    for row in bench.rows:
        measured = results.get(row.key)
        met = measured is not None and is_met(row, measured)
        shown = f"{number_text(measured.number)} {row.unit}".strip() if measured else "not measured"
        bar = f"{row.sense} {number_text(row.bar)} {row.unit}".strip().replace("<=", "≤").replace(">=", "≥")
        detail = measured.detail if measured else failure
        print(f"  {row.what:70} {shown:>14}   bar {bar:<12} {'met' if met else 'NOT met'}", flush=True)
        if detail:
            print(f"      {detail}", flush=True)
        rows.append(
            {
                "bench": bench.name,
                "measure": row.key,
                "what": row.what,
                "unit": row.unit,
                "sense": row.sense,
                "bar": row.bar,
                "measured": measured.number if measured else None,
                "met": met,
                "detail": detail,
                "seconds": round(seconds, 1),
            }
        )
    return rows


def main(arguments: Sequence[str]) -> int:
    """Run the benches asked for."""
    benches = load_benches()
    parser = argparse.ArgumentParser(prog="dev.py bench", description="Measure, and print each measure beside its bar.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(b.name for b in benches)}")
    parser.add_argument("--quick", action="store_true", help="shorter runs; proves less and says so")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results and the machine to FILE")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - {bench.name for bench in benches}
    if unknown:
        parser.error(f"no bench is called {', '.join(sorted(unknown))}")
    machine = describe_machine()
    started = datetime.now(UTC)
    cores, memory = machine["cores"], machine["memory_bytes"]
    print(
        f"{machine['processor']}, {cores} cores, {int(memory) / 2**30 if isinstance(memory, int) else 0:.0f} GiB, "
        f"{machine['system']}, Python {machine['python']}, SQLite {machine['sqlite']}, load {machine['load_average']}"
    )
    if options.quick:
        print("QUICK RUN: shorter and with less data than the bars ask for")
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="emdx-bench-") as parent:
        for bench in benches:
            if not options.names or bench.name in options.names:
                rows += run_bench(bench, options.quick, Path(parent))
    missed = [row for row in rows if not row["met"]]
    print(f"\n{len(rows) - len(missed)} of {len(rows)} bars met" + (" (quick run)" if options.quick else ""))
    if options.json:
        document = {
            "schema": "emdx/bench/1",
            "started": started.isoformat(timespec="seconds"),
            "quick": options.quick,
            "machine": machine,
            "results": rows,
        }
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"written to {options.json}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
