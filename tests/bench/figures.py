"""What a benchmark finds out, and how it is written down: report.json, report.md and one plot per figure that has a peer."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("cryptography", "httptools", "httpx", "msgspec", "sqlalchemy", "starlette", "uvicorn", "uvloop")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, beside the same number of a peer where there is one.

    ratio   value / peer_value; how many times better when `more_is_better`.
    limit   what the machine could do at most: the cryptography and the disk alone, measured in the same run.
    goal    in the unit of `goal_for`: the value itself, or the ratio.
    rounds  what each round gave; value and peer_value are their medians.
    """

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    limit: float | None = None
    goal: float | None = None
    goal_for: str = "value"
    more_is_better: bool = True
    note: str = ""
    rounds: tuple[float, ...] = ()
    peer_rounds: tuple[float, ...] = ()

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.peer_value else None

    @property
    def met(self) -> bool | None:
        found = self.ratio if self.goal_for == "ratio" else self.value
        if self.goal is None or found is None:
            return None
        return found >= self.goal if self.more_is_better else found <= self.goal

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio, "met": self.met}


@dataclass
class Bench:
    """What a benchmark is given: a directory of its own, and a voice."""

    directory: Path
    say: Callable[[str], None]
    quick: bool = False
    skipped: dict[str, str] = field(default_factory=dict)

    def amount(self, full: int) -> int:
        """That many, or a tenth of it in a quick run that only shows that the benchmark works."""
        return max(1, full // 10) if self.quick else full


def measured(
    name: str, unit: str, rounds: Sequence[float], peer_rounds: Sequence[float] = (), **more: Any
) -> Figure:
    """A figure from the medians of its rounds."""
    return Figure(
        name,
        statistics.median(rounds),
        unit,
        peer_value=statistics.median(peer_rounds) if peer_rounds else None,
        rounds=tuple(rounds),
        peer_rounds=tuple(peer_rounds),
        **more,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def machine() -> dict[str, Any]:
    """What it was measured on."""
    model = ""
    with Path("/proc/cpuinfo").open() as lines:
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "load": os.getloadavg(),
    }


def versions(node: str) -> dict[str, str]:
    """What was measured, and with what."""
    return {
        "python": sys.version.split()[0],
        "nodejs": node,
        "social-rights-tracker": version("social-rights-tracker"),
    } | {name: version(name) for name in LIBRARIES}


def write(directory: Path, figures: Sequence[Figure], skipped: dict[str, str], *, node: str) -> None:
    """Write report.json, report.md and the plots."""
    directory.mkdir(parents=True, exist_ok=True)
    report = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(node),
        "results": [figure.as_json() for figure in figures],
        "not_run": skipped,
    }
    (directory / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    (directory / "report.md").write_text(_markdown(report, figures, skipped))
    for figure in figures:
        if figure.peer_value is not None:
            (directory / f"{figure.name}.svg").write_text(_plot(figure))


def table(figures: Sequence[Figure]) -> str:
    """The figures as a table for people."""
    lines = [
        "| figure | value | peer | ratio | limit | goal | |",
        "|---|---|---|---|---|---|---|",
    ]
    for figure in figures:
        peer = f"{figure.peer} {_number(figure.peer_value)}" if figure.peer_value is not None else ""
        ratio = f"× {figure.ratio:.2f}" if figure.ratio is not None else ""
        limit = _number(figure.limit) if figure.limit is not None else ""
        goal = ""
        if figure.goal is not None:
            sign = "≥" if figure.more_is_better else "≤"
            goal = f"{sign} {'× ' if figure.goal_for == 'ratio' else ''}{_number(figure.goal)}"
        met = {True: "met", False: "**not met**", None: ""}[figure.met]
        value = f"{_number(figure.value)} {figure.unit}"
        lines.append(f"| {figure.name} | {value} | {peer} | {ratio} | {limit} | {goal} | {met} |")
    return "\n".join(lines)


def _markdown(report: dict[str, Any], figures: Sequence[Figure], skipped: dict[str, str]) -> str:
    on, with_ = report["machine"], report["versions"]
    parts = [
        "# Benchmarks",
        f"{report['made_at']} on {on['cores']} × {on['processor']}, {on['system']}. "
        "Ratios are of two programs measured in turns in this run; absolute numbers belong to this machine.",
        table(figures),
    ]
    parts += [f"**{figure.name}** {figure.note}" for figure in figures if figure.note]
    parts += [f"Not run: **{name}**, {why}" for name, why in skipped.items()]
    parts += [f"![{figure.name}]({figure.name}.svg)" for figure in figures if figure.peer_value is not None]
    parts.append("With " + ", ".join(f"{name} {number}" for name, number in with_.items()) + ".")
    return "\n\n".join(parts) + "\n"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def _plot(figure: Figure) -> str:
    """Two bars, a dot for each round: what was measured, and how far it scattered."""
    most = max(*figure.rounds, *figure.peer_rounds, figure.limit or 0)
    rows = [
        ("this", figure.value, figure.rounds),
        (figure.peer or "peer", figure.peer_value or 0, figure.peer_rounds),
    ]
    if figure.limit is not None:
        rows.append(("limit", figure.limit, ()))
    left, width, height = 110, 480, 34
    drawn = []
    for index, (label, value, rounds) in enumerate(rows):
        y = 40 + index * height
        drawn.append(f'<text x="{left - 8}" y="{y + 16}" text-anchor="end">{label}</text>')
        drawn.append(
            f'<rect x="{left}" y="{y}" width="{value / most * width:.1f}" height="22" class="b{index}"/>'
        )
        drawn += [f'<circle cx="{left + one / most * width:.1f}" cy="{y + 11}" r="3"/>' for one in rounds]
        drawn.append(f'<text x="{left + value / most * width + 8:.1f}" y="{y + 16}">{_number(value)}</text>')
    total = 50 + len(rows) * height
    style = "text{font:14px sans-serif}.b0{fill:#1f6f8b}.b1{fill:#c9a227}.b2{fill:#bbb}circle{fill:#222}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 {total}" role="img">'
        f"<title>{figure.name}, {figure.unit}</title><style>{style}</style>"
        f'<text x="8" y="20">{figure.name}, {figure.unit}</text>{"".join(drawn)}</svg>\n'
    )
