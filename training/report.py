"""Writes what the gate found: gate.json for programs, and gate.html, one page that needs nothing beside it.

Knows nothing of how the verdict came about.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from training.calibration import reliability
from training.confusion import confusion_matrix, most_confused
from training.gate import Scored, Verdict
from training.metrics import decide
from training.plots import draw_confusion, draw_reliability
from training.targets import truth_matrix

JSON_FILE, PAGE_FILE = "gate.json", "gate.html"
_MOST_LABELS = 30   # of the confusion plot; more cannot be read
_NO_INTENT = "(no intent)"
_STYLE = """body{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left}
.pass{color:#2a7d4f}.fail{color:#b3331f}.inconclusive{color:#8a6100}svg{max-width:100%;height:auto}"""


def write_report(directory: Path, title: str, verdict: Verdict, challenger: Scored,
                 truth_labels: Sequence[Sequence[str]]) -> None:
    """Write both files; `title` names challenger and champion, `truth_labels` are the test set's."""
    directory.mkdir(parents=True, exist_ok=True)
    document = {"format": 1, "title": title, **asdict(verdict)}
    (directory / JSON_FILE).write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    page = _page(title, verdict, challenger, truth_labels)
    (directory / PAGE_FILE).write_text(page, encoding="utf-8")


def _page(title: str, verdict: Verdict, challenger: Scored, truth_labels: Sequence[Sequence[str]]) -> str:
    truth = truth_matrix(truth_labels, challenger.labels)
    matrix = confusion_matrix(decide(challenger.scores, challenger.thresholds), truth)
    shown = most_confused(matrix, _MOST_LABELS)
    names = (*challenger.labels, _NO_INTENT)
    left_out = f" The {len(shown)} of {len(names)} with the most mistakes." if len(shown) < len(names) else ""
    return "\n".join([
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{_STYLE}</style></head><body>", f"<h1>{escape(title)}</h1>",
        f'<p>Verdict: <strong class="{verdict.verdict}">{verdict.verdict}</strong></p>', "<h2>Checks</h2>",
        _checks(verdict), "<h2>Figures on the test set</h2>", _figures(verdict), *_gains(verdict),
        f"<h2>Confusion of the challenger</h2><p>Rows are true, columns decided.{left_out}</p>",
        draw_confusion(matrix[shown][:, shown], [names[index] for index in shown]),
        "<h2>Reliability of the challenger</h2>", draw_reliability(reliability(challenger.scores, truth)),
        "</body></html>\n"])


def _checks(verdict: Verdict) -> str:
    rows = [(escape(check.name), f'<span class="{check.verdict}">{check.verdict}</span>', escape(check.measured),
             escape(check.required)) for check in verdict.checks]
    return _table(("check", "verdict", "measured", "required"), rows)


def _figures(verdict: Verdict) -> str:
    champion = verdict.champion or {}
    return _table(("figure", "challenger", "champion"), [
        (name.replace("_", " "), f"{value:.4f}", f"{champion[name]:.4f}" if name in champion else "–")
        for name, value in verdict.challenger.items()])


def _gains(verdict: Verdict) -> list[str]:
    """Return the table of gains by intent, the worst first; nothing without a champion."""
    if not verdict.label_gains:
        return []
    rows = [(escape(label), f"{gain.value:+.4f}", f"{gain.low:+.4f} to {gain.high:+.4f}")
            for label, gain in sorted(verdict.label_gains.items(), key=lambda item: item[1].value)]
    return ["<h2>F1 by intent, challenger minus champion</h2>", _table(("intent", "gain", "95 % interval"), rows)]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already."""
    lines = ["".join(f"<th>{cell}</th>" for cell in head), *("".join(f"<td>{cell}</td>" for cell in row)
                                                             for row in rows)]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
