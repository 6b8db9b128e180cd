"""Draws a horizontal bar chart as SVG, without a plotting library. Pure: figures in, text out."""

from dataclasses import dataclass
from html import escape

from benchmarks.results import Spread

ROW_PX, LABEL_PX, BAR_PX, VALUE_PX, TOP_PX = 26, 240, 420, 150, 40
COLOURS = {"ours": "#0b7285", "theirs": "#adb5bd"}


@dataclass(frozen=True)
class Bar:
    """One contestant's figure."""

    label: str
    spread: Spread
    kind: str  # a key of COLOURS


def draw_bars(title: str, bars: list[Bar]) -> str:
    """Return an SVG with the longest bar on top; a thin line shows the smallest and the largest of the rounds."""
    ordered = sorted(bars, key=lambda bar: -bar.spread.median)
    scale = BAR_PX / max(bar.spread.high for bar in ordered)
    height = TOP_PX + ROW_PX * len(ordered) + 10
    rows = (line for index, bar in enumerate(ordered) for line in _draw_bar(bar, TOP_PX + index * ROW_PX, scale))
    width = LABEL_PX + BAR_PX + VALUE_PX
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="24" font-size="16" font-weight="bold">{escape(title)}</text>', *rows, "</svg>", ""])


def _draw_bar(bar: Bar, top: int, scale: float) -> list[str]:
    low, middle, high = (LABEL_PX + value * scale for value in (bar.spread.low, bar.spread.median, bar.spread.high))
    text_y, line_y = top + 15, top + 10
    return [
        f'<text x="{LABEL_PX - 8}" y="{text_y}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect x="{LABEL_PX}" y="{top}" width="{middle - LABEL_PX:.1f}" height="20" fill="{COLOURS[bar.kind]}"/>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{line_y}" y2="{line_y}" stroke="black"/>',
        f'<text x="{high + 6:.1f}" y="{text_y}">{bar.spread.median:.0f}</text>',
    ]
