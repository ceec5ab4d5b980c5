"""What a benchmark found, as a Markdown table and as a plot."""

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One figure: `ours` and `other` are paired samples in `unit`; `bar` says what ratio or value is asked for."""

    name: str
    unit: str
    ours: Sequence[float]
    other: Sequence[float] = ()
    against: str = ""
    bar: str = ""

    @property
    def ratio(self) -> float | None:
        """The median of ours/other over the pairs."""
        pairs = [a / b for a, b in zip(self.ours, self.other, strict=False) if b]
        return statistics.median(pairs) if pairs else None


@dataclass
class Report:
    """All rows of one run on one machine."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The table, with the machine described; only ratios can be compared across machines."""
        lines = [
            "# Measured",
            "",
            f"Made by `make bench` on {machine()}. Medians of paired runs. Absolute figures (marked †) cannot be",
            "compared across machines; ratios can, roughly.",
            "",
            "| what | ours † | against | theirs † | ratio | asked for |",
            "|---|---|---|---|---|---|",
        ]
        lines += [self._line(row) for row in self.rows]
        lines += ["", *(f"* {note}" for note in self.notes), "", "![ratios](results.svg)", ""]
        return "\n".join(lines)

    def _line(self, row: Row) -> str:
        other = f"{statistics.median(row.other):.4g} {row.unit}" if row.other else ""
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        ours = f"{statistics.median(row.ours):.4g} {row.unit}"
        return "| " + " | ".join((row.name, ours, row.against, other, ratio, row.bar)) + " |"

    def svg(self) -> str:
        """A bar per ratio; the line at 1.0 is the other side."""
        rows = [(row, row.ratio) for row in self.rows if row.ratio is not None]
        top = max([2.0, *(ratio for _, ratio in rows)])
        height = 30 * len(rows) + 50
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="{height}" font-family="sans-serif"'
            ' font-size="13">',
            '<rect width="100%" height="100%" fill="white"/>',
        ]
        scale = 380 / top
        for index, (row, ratio) in enumerate(rows):
            y = 30 * index + 20
            parts.append(
                f'<text x="420" y="{y + 15}" text-anchor="end">{escape(row.name)} / {escape(row.against)}</text>'
            )
            parts.append(f'<rect x="430" y="{y}" width="{ratio * scale:.1f}" height="20" fill="#3b7dd8"/>')
            parts.append(f'<text x="{436 + ratio * scale:.1f}" y="{y + 15}">{ratio:.2f}</text>')
        x = 430 + scale
        parts.append(f'<line x1="{x:.1f}" y1="10" x2="{x:.1f}" y2="{height - 25}" stroke="#c33" stroke-dasharray="4"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle" fill="#c33">equal</text></svg>')
        return "\n".join(parts) + "\n"

    def write(self, folder: Path) -> None:
        """`results.md` and `results.svg` in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.md").write_text(self.markdown())
        (folder / "results.svg").write_text(self.svg())


def machine() -> str:
    """The machine in a phrase: processor, cores, memory, kernel, Python."""
    info = Path("/proc/cpuinfo").read_text()
    model = next(
        (line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "unknown"
    )
    cores = info.count("processor\t")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 2**20
    return f"{model}, {cores} cores, {memory} GiB, Linux {platform.release()}, Python {platform.python_version()}"
