"""Reads the rows of an import, JSONL or CSV. A bad row becomes a refusal with its number. Knows no database."""

import csv
import io
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import orjson
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from control_plane.errors import InvalidRequestError
from control_plane.labelling.label_fields import IntentNames, LabelerId, QuestionId, TimeIntentFields
from control_plane.labelling.taxonomy import OUT_OF_SCOPE

JSONL, CSV = "application/x-ndjson", "text/csv"
LABEL_SEPARATOR = "|"  # between the labels in a cell of CSV
# What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection"); an export writes ' before it.
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")
_KEPT_CONTROLS = "\t\n\r"


class _Fields(BaseModel):
    """One row. What an export writes besides is taken and means nothing."""

    model_config = ConfigDict(extra="forbid")

    id: QuestionId | None = None
    text: str | None = None
    labels: IntentNames = Field(validation_alias=AliasChoices("labels", "correct_intent"))
    time_intent: TimeIntentFields | None = Field(
        None, validation_alias=AliasChoices("time_intent", "correct_time_intent"))
    labeler_id: LabelerId | None = None
    origin: object = None
    slice: object = None
    split: object = None
    labeled_at: object = None


@dataclass(frozen=True)
class ImportRow:
    """A row that can be read: a question by its id, or by its text, and its labels."""

    number: int  # line of the file, from 1
    id: str | None
    text: str | None
    labels: tuple[str, ...]
    time_intent: dict | None
    labeler: str | None


@dataclass(frozen=True)
class RefusedRow:
    """A row that cannot be imported, and why."""

    number: int
    reason: str


def parse_jsonl(data: bytes, max_chars: int) -> Iterator[ImportRow | RefusedRow]:
    """Yield one row for each line that is not blank; texts have at most `max_chars` characters."""
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            yield _guarded(number, lambda line=line: orjson.loads(line), max_chars)


def parse_csv(data: bytes, max_chars: int) -> Iterator[ImportRow | RefusedRow]:
    """Yield one row for each record under the header; behind one that is no CSV nothing more can be read.

    Raises InvalidRequestError for a header that names no labels, or no questions.
    """
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        _check_header(reader.fieldnames)
        for record in reader:
            yield _guarded(reader.line_num, lambda record=record: _from_cells(record), max_chars)
    except UnicodeDecodeError as error:
        yield RefusedRow(data[:error.start].count(b"\n") + 1, "the file is not UTF-8; nothing of it was read")
    except csv.Error as error:
        yield RefusedRow(reader.line_num, f"not CSV ({error}); what follows was not read")


PARSERS: dict[str, Callable[[bytes, int], Iterator[ImportRow | RefusedRow]]] = {JSONL: parse_jsonl, CSV: parse_csv}


def _check_header(names: Sequence[str] | None) -> None:
    """An empty file has no header and no rows."""
    if names is None or ({"labels", "correct_intent"} & {*names} and {"id", "text"} & {*names}):
        return
    raise InvalidRequestError("body", "the first line of CSV must name its columns: labels, and id or text")


def _guarded(number: int, read: Callable[[], object], max_chars: int) -> ImportRow | RefusedRow:
    try:
        fields = _Fields.model_validate(read())
        _check_text(fields, max_chars)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return RefusedRow(number, ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"]))))
    except ValueError as error:
        return RefusedRow(number, str(error))
    return ImportRow(number, fields.id, fields.text, tuple(dict.fromkeys(fields.labels)),
                     fields.time_intent and fields.time_intent.to_json(), fields.labeler_id)


def _check_text(fields: _Fields, max_chars: int) -> None:
    text = fields.text
    if text is None:
        if fields.id is None:
            raise ValueError("it has neither an id nor a text")
        return
    if not text.strip():
        raise ValueError("text: it is empty")
    if len(text) > max_chars:
        raise ValueError(f"text: {len(text)} characters are more than {max_chars}")
    wrong = {char for char in text if unicodedata.category(char) in ("Cc", "Cs") and char not in _KEPT_CONTROLS}
    if wrong:
        names = ", ".join(f"U+{ord(char):04X}" for char in sorted(wrong))
        raise ValueError(f"text: it has control characters ({names})")


def _from_cells(record: dict) -> dict:
    """Return a record as JSON would have it; an empty cell was not given."""
    if None in record or None in record.values():
        raise ValueError("it has another number of cells than the header")
    cells = {name: _without_quote(cell) for name, cell in record.items() if cell != ""}
    for name in ("labels", "correct_intent"):
        if name in record:
            if name not in cells:
                raise ValueError(f"{name}: it is empty; write {OUT_OF_SCOPE} for a question without intents")
            cells[name] = [] if cells[name] == OUT_OF_SCOPE else cells[name].split(LABEL_SEPARATOR)
    for name in ("time_intent", "correct_time_intent"):
        if name in cells:
            cells[name] = orjson.loads(cells[name])
    return cells


def _without_quote(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULA_BEGINNINGS) else cell
