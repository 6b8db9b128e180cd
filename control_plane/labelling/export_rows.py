"""Writes labels as JSONL or CSV, such that import_rows reads them again. Knows no database."""

import csv
import io
from collections.abc import Iterable, Iterator

import orjson

from control_plane.labelling.examples import LabelledRow
from control_plane.labelling.import_rows import FORMULA_BEGINNINGS, LABEL_SEPARATOR
from control_plane.labelling.taxonomy import OUT_OF_SCOPE, TaxonomySnapshot

COLUMNS = ("id", "text", "labels", "time_intent", "labeler_id", "origin", "slice", "split", "labeled_at")
_BYTE_ORDER_MARK = "\ufeff"  # Spreadsheets take CSV without it for something else than UTF-8.


def write_jsonl(rows: Iterable[LabelledRow], taxonomy: TaxonomySnapshot) -> Iterator[bytes]:
    """Yield one JSON object a line, with COLUMNS."""
    for row in rows:
        yield orjson.dumps(_values(row, taxonomy), option=orjson.OPT_APPEND_NEWLINE)


def write_csv(rows: Iterable[LabelledRow], taxonomy: TaxonomySnapshot) -> Iterator[bytes]:
    """Yield a header and one record for each row; cells that a spreadsheet would run are quoted with '."""
    yield (_BYTE_ORDER_MARK + _record(COLUMNS)).encode()
    for row in rows:
        values = _values(row, taxonomy)
        values["labels"] = LABEL_SEPARATOR.join(values["labels"]) or OUT_OF_SCOPE
        values["time_intent"] = values["time_intent"] and orjson.dumps(values["time_intent"]).decode()
        yield _record(_inert(value) for value in values.values()).encode()


def _values(row: LabelledRow, taxonomy: TaxonomySnapshot) -> dict:
    resolution = row.resolution
    return {"id": row.question.id, "text": row.question.question, "labels": taxonomy.names_of(resolution.intents),
            "time_intent": resolution.time_intent, "labeler_id": resolution.first_labeler, "origin": resolution.origin,
            "slice": resolution.slice, "split": row.split,
            "labeled_at": resolution.resolved_at.isoformat(timespec="seconds")}


def _record(cells: Iterable[str]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _inert(value: str | None) -> str:
    text = value or ""
    # One that begins so already gets another quote, for reading takes one away.
    return f"'{text}" if text.lstrip("'").startswith(FORMULA_BEGINNINGS) else text
