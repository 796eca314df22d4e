"""Prints each row as soon as it is measured, goes on after a failed measurement, and writes all results as JSON."""

import sys
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import orjson

from bench.machine import Machine
from bench.rows import Row

RESULTS = Path(__file__).resolve().parent / "results"
HEADING = ("what", "against", "ours", "theirs", "ratio", "goal", "", "details (ours/theirs)")
WIDTHS = (50, 36, 15, 15, 6, 6, 6, 0)
SMALL_FIGURE = 100


class Report:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._rows: list[tuple[str, Row]] = []
        self._failures: list[tuple[str, str]] = []
        self._skipped: list[tuple[str, str]] = []
        self._group = ""
        self._path = RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-{machine.commit}.json"

    @property
    def has_failures(self) -> bool:
        return bool(self._failures)

    @property
    def missed(self) -> list[Row]:
        return [row for _, row in self._rows if not row.is_met]

    def begin_group(self, name: str) -> None:
        self._group = name
        print(f"\n[{name}]")
        _print_cells(HEADING)

    def measure(self, what: str, measurement: Callable[[], Row | Iterable[Row]]) -> None:
        """Run one measurement and print its rows. Print its error instead if it raises one."""
        try:
            measured = measurement()
            for row in [measured] if isinstance(measured, Row) else measured:
                self._rows.append((self._group, row))
                _print_cells(_cells(row))
        except Exception as error:  # noqa: BLE001 - one measurement must not end the others
            self._failures.append((f"{self._group}: {what}", f"{type(error).__name__}: {error}"))
            print(f"FAILED {what}: {type(error).__name__}: {str(error)[:2000]}", flush=True)
            traceback.print_exc(file=sys.stderr)

    def skip(self, what: str, reason: str) -> None:
        self._skipped.append((f"{self._group}: {what}", reason))
        print(f"skipped {what}: {reason}", flush=True)

    def write(self) -> Path:
        """Write the results so far to bench/results. Git keeps the runs that somebody commits."""
        RESULTS.mkdir(exist_ok=True)
        results = {
            "machine": self._machine.as_json(),
            "rows": [{"group": group, **row.as_json()} for group, row in self._rows],
            "failures": dict(self._failures),
            "skipped": dict(self._skipped),
        }
        self._path.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2) + b"\n")
        return self._path


def _cells(row: Row) -> tuple[str, ...]:
    is_compared = bool(row.against)
    return (
        row.what,
        row.against,
        _figure(row.ours, row.unit),
        _figure(row.theirs, row.unit) if is_compared else "",
        f"{row.ratio:.2f}" if is_compared else "",
        str(row.goal or ""),
        "" if row.is_met else "missed",
        "  ".join(f"{name} {_pair(value)}" for name, value in row.details.items()),
    )


def _figure(value: float, unit: str) -> str:
    return f"{value:,.2f} {unit}" if abs(value) < SMALL_FIGURE else f"{value:,.0f} {unit}"


def _pair(value: tuple[float, float] | float) -> str:
    figures = value if isinstance(value, tuple) else (value,)
    return "/".join(f"{figure:.2f}".removesuffix(".00") for figure in figures)


def _print_cells(cells: tuple[str, ...]) -> None:
    print("  ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip(), flush=True)
