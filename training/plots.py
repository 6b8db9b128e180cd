"""Draws the gate's two plots as inline SVG, which needs no library and shows every script that the reader's fonts have.

Knows nothing of what the numbers mean for a verdict.
"""

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from training.calibration import Reliability

_CELL, _LABEL_SPACE, _PLOT = 22, 170, 300
_FONT = 'font-family="sans-serif" font-size="12"'


def draw_confusion(matrix: np.ndarray, labels: Sequence[str]) -> str:
    """Return an SVG of int [labels, labels], rows true and columns decided; shades are shares of the row."""
    side = _LABEL_SPACE + _CELL * len(labels)
    return _svg(side, side, "".join([*_labels(labels), *_cells(matrix, labels)]))


def draw_reliability(bins: Reliability) -> str:
    """Return an SVG of what came true over what the scores promised; on the diagonal they are the same."""
    corner, size = 50, _PLOT
    points = [(corner + x * size, 20 + (1 - y) * size) for x, y in zip(bins.confidence, bins.accuracy, strict=True)]
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#205080"><title>{count} scores around {mean:.2f}, '
            f'{share:.2f} of them true</title></circle>'
            for (x, y), count, mean, share in zip(points, bins.counts, bins.confidence, bins.accuracy, strict=True)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return _svg(size + 80, size + 70, "".join([
        f'<rect x="{corner}" y="20" width="{size}" height="{size}" fill="none" stroke="#888"/>',
        f'<line x1="{corner}" y1="{20 + size}" x2="{corner + size}" y2="20" stroke="#bbb" stroke-dasharray="4"/>',
        f'<polyline points="{line}" fill="none" stroke="#205080"/>', *dots, *_axes(corner, size)]))


def _axes(corner: int, size: int) -> Iterator[str]:
    for share in (0.0, 0.5, 1.0):
        yield f'<text x="{corner + share * size:.0f}" y="{size + 38}" text-anchor="middle">{share:g}</text>'
        yield f'<text x="{corner - 6}" y="{24 + (1 - share) * size:.0f}" text-anchor="end">{share:g}</text>'
    yield f'<text x="{corner + size / 2}" y="{size + 58}" text-anchor="middle">score</text>'
    yield f'<text transform="translate(16 {20 + size / 2}) rotate(-90)" text-anchor="middle">share that is true</text>'


def _labels(labels: Sequence[str]) -> Iterator[str]:
    for index, label in enumerate(labels):
        middle = _LABEL_SPACE + _CELL * index + _CELL / 2
        yield f'<text x="{_LABEL_SPACE - 6}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>'
        yield f'<text transform="translate({middle + 4} {_LABEL_SPACE - 6}) rotate(-90)">{escape(label)}</text>'


def _cells(matrix: np.ndarray, labels: Sequence[str]) -> Iterator[str]:
    totals = np.maximum(matrix.sum(axis=1), 1)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        count, x, y = matrix[row, column], _LABEL_SPACE + _CELL * column, _LABEL_SPACE + _CELL * row
        colour = "#2a7d4f" if row == column else "#b3331f"
        yield (f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" fill="{colour}" '
               f'fill-opacity="{0.15 + 0.85 * count / totals[row]:.2f}"><title>{escape(labels[row])} decided as '
               f'{escape(labels[column])}: {count}</title></rect>'
               f'<text x="{x + _CELL / 2}" y="{y + 15}" text-anchor="middle" font-size="10">{count}</text>')


def _svg(width: int, height: int, content: str) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" {_FONT}>{content}</svg>')
