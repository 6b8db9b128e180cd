"""REST for people who label: all labels as a file, and labels from a file (JSONL or CSV)."""

from itertools import chain
from typing import Literal

from flask import Response, current_app, g, stream_with_context
from flask_openapi3 import APIBlueprint, RawModel, Tag
from pydantic import BaseModel, ConfigDict, Field

from control_plane.access.scopes import LABEL, needs_scope
from control_plane.api.request_bodies import takes_files
from control_plane.labelling.export_rows import write_csv, write_jsonl
from control_plane.labelling.import_rows import CSV, JSONL, PARSERS
from control_plane.labelling.label_fields import LabelerId
from control_plane.labelling.tables import IMPORT, SEED
from control_plane.problems import problem_responses
from control_plane.services import services

blueprint = APIBlueprint("label_files", __name__, url_prefix="/api/v1/model-tuning/questions",
                         abp_tags=[Tag(name="labelling")], abp_security=[{"bearer": []}])
_WRITERS = {"jsonl": (JSONL, write_jsonl), "csv": (CSV, write_csv)}
_FILE = {"description": "All labels", "content": {
    media_type: {"schema": {"type": "string"}} for media_type in (JSONL, CSV)}}


class LabelFile(RawModel):
    """Rows with `id` or `text`, and `labels`."""

    mimetypes = [JSONL, CSV]  # noqa: RUF012 - flask-openapi3 reads it from the class


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ImportQuery(_Strict):
    """What to do with bad rows, and whose labels these are."""

    on_error: Literal["keep", "reject"] = Field("reject", description=(
        "With bad rows: keep the good ones, or reject them all."))
    labeler_id: LabelerId | None = Field(None, description="Who labelled the rows that do not say; default the key.")
    origin: Literal[IMPORT, SEED] = Field(IMPORT, description="seed: examples that no user asked.")


class ExportQuery(_Strict):
    """Which format."""

    format: Literal["jsonl", "csv"] = "jsonl"


class RefusedRowDescription(BaseModel):
    """A row that was not imported."""

    row: int = Field(description="Line of the file, from 1.")
    message: str


class ImportAnswer(BaseModel):
    """What became of the rows."""

    imported: int
    unchanged: int = Field(description="Labelled so already.")
    refused: int
    errors: list[RefusedRowDescription] = Field(description="The first 100 refused rows.")


@blueprint.post("/import", responses={"200": ImportAnswer, **problem_responses(401, 413, 415, 422, 503)},
                summary="Import labels")
@takes_files(JSONL, CSV)
@needs_scope(LABEL)
def import_labels(query: ImportQuery, raw: LabelFile):
    """Import labels from JSONL or CSV: of logged questions by id or text, and of new texts, which are masked."""
    parse = PARSERS[raw.mimetype]
    rows = parse(raw.get_data(), services(current_app).settings.max_text_chars)
    report = services(current_app).tuning.label_import.run(
        rows, query.labeler_id or g.actor, query.origin, query.on_error == "keep")
    return {"imported": report.imported, "unchanged": report.unchanged, "refused": report.refused,
            "errors": [{"row": row.number, "message": row.reason} for row in report.errors]}


@blueprint.get("/export", responses={"200": _FILE, **problem_responses(401, 422, 503)}, summary="Export labels")
@needs_scope(LABEL)
def export_labels(query: ExportQuery):
    """Stream every labelled question with its label, by the names of today. An import takes the file."""
    tuning = services(current_app).tuning
    media_type, write = _WRITERS[query.format]
    chunks = tuning.label_reports.labelled_chunks()
    first = next(chunks, [])  # A database that is away is told of now; later the status has gone out.
    lines = write(chain.from_iterable(chain([first], chunks)), tuning.taxonomy.snapshot())
    return Response(stream_with_context(lines), content_type=f"{media_type}; charset=utf-8", headers={
        "Content-Disposition": f'attachment; filename="labels.{query.format}"'})
