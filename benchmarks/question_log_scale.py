"""Measures, over REST and many questions, pages of the labelling queue and the statistics. Knows no report."""

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from flask.testing import FlaskClient
from sqlalchemy import update

from benchmarks.question_log_fill import LABELERS
from benchmarks.question_log_roles import LABELS
from control_plane.app import create_app
from control_plane.database.database import Database
from control_plane.database.schema import utc_now
from control_plane.labelling.propagation import LabelPropagation
from control_plane.labelling.tables import LabelLeaseRow
from control_plane.settings import Settings

# Everybody labels some of the page between two pages; before every third page all leases of its reader have run out.
# Labels reach their duplicates before the next page; a controller carries them on within seconds.
PAGE, ROUNDS, LABELLED_BETWEEN, NEW_EVERY, STATS_REPEATS = 100, 24, 5, 3, 60
_QUEUE, _STATS = "/api/v1/model-tuning/questions/unlabeled", "/api/v1/model-tuning/stats"
Figure = tuple[str, str, float, float]  # what, its bound, p50 and p95 in milliseconds


def measure(url: str, folder: Path) -> Iterator[Figure]:
    """Yield the figures of the database at `url`, asked through an application whose files lie in `folder`."""
    folder.mkdir(exist_ok=True)
    settings = Settings(home=folder, model_repository=folder, database_url=url, access_log=False)
    app = create_app(settings)
    gc.collect()
    gc.freeze()  # as conch.wsgi
    client, database = app.test_client(), Database(url)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {settings.admin_key_file.read_text(encoding='ascii').strip()}"
    for what, latencies in _measure_queue(client, database).items():
        yield what, "p95 < 50 ms", *np.percentile(latencies, (50, 95))
    for days in (30, 365):
        latencies = [_ask(client, partial(client.get, f"{_STATS}?days={days}"))[1] for _ in range(STATS_REPEATS)]
        yield f"statistics of {days} days", "p95 < 100 ms", *np.percentile(latencies, (50, 95))
    database.dispose()


def _measure_queue(client: FlaskClient, database: Database) -> dict[str, list[float]]:
    """Return the latencies of pages that follow a few labels, of those where nothing was leased, and of all."""
    latencies, labels, count = {"refilled": [], "new": []}, itertools.cycle(LABELS), itertools.count()
    labels_reach_duplicates = LabelPropagation(database)
    for _ in range(ROUNDS):
        for labeler in LABELERS:
            is_new = next(count) % NEW_EVERY == 0
            if is_new:
                _run_out(database, labeler)
            labels_reach_duplicates.run_once()
            page, latency_ms = _ask(client, partial(client.get, f"{_QUEUE}?limit={PAGE}&labeler_id={labeler}"))
            if len(page["questions"]) != PAGE:
                raise AssertionError(f"a page of {len(page['questions'])} questions, where many wait")
            latencies["new" if is_new else "refilled"].append(latency_ms)
            for item in page["questions"][:LABELLED_BETWEEN]:
                _ask(client, partial(client.post, f"/api/v1/model-tuning/questions/{item['id']}/label",
                                     json={"correct_intent": [next(labels)], "labeler_id": labeler}))
    everything = [*latencies["refilled"], *latencies["new"]]
    return {f"page of the labelling queue, {PAGE} questions, {len(LABELERS)} people": everything,
            "of these, pages whose questions are all new": latencies["new"]}


def _ask(client: FlaskClient, send: Callable) -> tuple[dict, float]:
    """Return the answer and how many milliseconds it took."""
    began = time.perf_counter()
    response = send()
    latency_ms = (time.perf_counter() - began) * 1000
    if response.status_code != 200:
        raise AssertionError(f"{response.request.path} answered {response.status_code}: {response.text}")
    return response.get_json(), latency_ms


def _run_out(database: Database, labeler: str) -> None:
    with database.write() as session:
        session.execute(update(LabelLeaseRow).where(LabelLeaseRow.labeler == labeler).values(expires_at=utc_now()))
