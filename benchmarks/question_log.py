"""`python -m benchmarks.question_log`: measures the question log and writes QUESTION_LOG.md beside this file.

What logging adds to a prediction, how many questions a second reach a private MariaDB, whether an outage of the
database with processes killed in the middle loses or doubles one, whether planted personal data is found in anything
that was written, and how long the labelling queue and the statistics take over many questions. Needs mariadb-server.
"""

import logging
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from sqlalchemy import func, select

from benchmarks.machine import describe_machine
from benchmarks.mariadb_server import BUFFER_POOL, MariaDbServer
from benchmarks.question_log_fill import fill
from benchmarks.question_log_roles import KEY, PLANTERS, prediction, question
from benchmarks.question_log_scale import measure
from control_plane.database.database import Database
from control_plane.database.migration import upgrade
from control_plane.questions.question_log import QuestionLog
from control_plane.questions.question_mover import QuestionMover
from control_plane.questions.spool import Spool, segment_names
from control_plane.questions.tables import QuestionDayRow, QuestionRow

HERE = Path(__file__).resolve().parent
RATE, RATE_S, RECORDS, PLANTED = 2500, 20, 20_000, 10_000
OUTAGE_S, BEFORE_S, OUTAGE_RATE = 30, 5, 500
_DRAIN_TIMEOUT_S, _POLL_S = 120, 0.1
Line = tuple[str, str, str]  # what, its bound, the figure


@click.command()
@click.option("--rows", type=click.IntRange(1), default=1_000_000, show_default=True)
def main(rows: int) -> None:
    """Measure the question log on this machine."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = []
        with MariaDbServer(folder / "mariadb") as server:
            for line in _measure(server, folder, rows):
                click.echo(": ".join(line))
                lines.append(line)
    (HERE / "QUESTION_LOG.md").write_text(_render(lines, rows, load_before), encoding="utf-8")
    click.echo(f"wrote {HERE / 'QUESTION_LOG.md'}")


def _measure(server: MariaDbServer, folder: Path, rows: int) -> Iterator[Line]:
    yield from _added_latency(folder / "latency")
    yield from _sustained(server, folder / "rate")
    yield from _outage(server, folder / "outage")
    yield from _planted(server, folder / "planted")
    yield from _scale({"SQLite": f"sqlite:///{folder / 'scale.db'}", "MariaDB": server.create_database("scale")},
                      folder, rows)


def _added_latency(folder: Path) -> Iterator[Line]:
    """Record one question after the other; processor time is what is left when others use the machine too."""
    log, rng = QuestionLog(Spool(folder), KEY), random.Random(1)  # noqa: S311 - what is asked is no secret
    wall, processor = [], []
    for _ in range(RECORDS):
        item = prediction(question(rng), rng)
        began, used = time.perf_counter(), time.thread_time()
        log.record(item)
        processor.append((time.thread_time() - used) * 1000)
        wall.append((time.perf_counter() - began) * 1000)
    for what, latencies in (("processor time", processor), ("wall time", wall)):
        p50, p95, p99 = np.percentile(latencies, (50, 95, 99))
        yield (f"Added to a prediction, {what}, p50 / p95 / p99", "< 0.5 ms at p99",
               f"{p50:.3f} / {p95:.3f} / {p99:.3f} ms")


def _sustained(server: MariaDbServer, folder: Path) -> list[Line]:
    """Ask at a steady rate while another process moves; the figure has the time until the last one arrived."""
    url = server.create_database("rate")
    database, began = _migrated(url), time.monotonic()
    with _running("move", folder, url), _running("ask", folder, RATE_S, RATE) as asker:
        asker.wait()
        ids = _ids(folder, asker)
        asked_s = time.monotonic() - began
        _wait_until_moved(folder)
        arrived_s = time.monotonic() - began
    with database.read() as session:
        questions = int(session.scalar(select(func.sum(QuestionDayRow.questions))))
    spooled = folder.with_name("spooled")
    log, rng = QuestionLog(Spool(spooled), KEY), random.Random(3)  # noqa: S311 - what is asked is no secret
    for _ in range(RECORDS):
        log.record(prediction(question(rng), rng))
    time.sleep(1.5)  # until the last segment is finished
    began, used = time.monotonic(), time.process_time()
    moved = QuestionMover(database, spooled).run_once().questions
    alone, processor_us = moved / (time.monotonic() - began), (time.process_time() - used) / moved * 1e6
    return [(f"Asked and moved into MariaDB at once for {asked_s:.0f} s", "≥ 2,000 questions/s",
             f"{questions / arrived_s:,.0f} questions/s ({questions:,} counted, {len(ids):,} of them kept)"),
            ("Moved into MariaDB while nobody asks", "–",
             f"{alone:,.0f} questions/s, {processor_us:.0f} µs of the mover's processor time each")]


def _outage(server: MariaDbServer, folder: Path) -> list[Line]:
    """Stop the database, kill the asking and the moving process in the middle, and compare what arrived."""
    url = server.create_database("outage")
    database = _migrated(url)
    with _running("move", folder, url), _running("ask", folder, 3600, OUTAGE_RATE) as first:
        time.sleep(BEFORE_S)
        server.stop()
        time.sleep(OUTAGE_S / 2)
    ids = _ids(folder, first)
    with (_running("move", folder, url),
          _running("ask", folder, OUTAGE_S / 2 + BEFORE_S, OUTAGE_RATE) as second):
        time.sleep(OUTAGE_S / 2)
        server.start()
        second.wait()
        ids += _ids(folder, second)
        _wait_until_moved(folder)
    database.dispose()
    with database.read() as session:
        rows = session.scalars(select(QuestionRow.id)).all()
        logged = int(session.scalar(select(func.sum(QuestionDayRow.logged))))
    lost, unanswered = len(set(ids) - set(rows)), len(set(rows) - set(ids))
    return [(f"Lost over {OUTAGE_S} s without database, SIGKILL of both processes in the middle", "0",
             f"{lost} of {len(ids):,}"),
            ("Doubled", "0", f"{len(rows) - len(set(rows)) + logged - len(rows)} (rows and daily figures)"),
            ("Logged, but killed before the id was given out", "≤ 1", f"{unanswered}")]


def _planted(server: MariaDbServer, folder: Path) -> list[Line]:
    """Log planted personal data into both databases and leave the last part in the spool; then search every file."""
    rng = random.Random(4)  # noqa: S311 - what is asked is no secret
    items = [planter(rng) for planter in PLANTERS for _ in range(PLANTED // len(PLANTERS))]
    rng.shuffle(items)
    folder.mkdir()
    logging.basicConfig(filename=folder / "conch.log", level=logging.DEBUG, force=True)
    third = len(items) // 3
    parts = (items[:third], items[third:2 * third], items[2 * third:])
    urls = (f"sqlite:///{folder / 'planted.db'}", server.create_database("planted"), None)
    for number, (part, url) in enumerate(zip(parts, urls, strict=True)):
        spool = Spool(folder / f"spool{number}")
        log = QuestionLog(spool, KEY)
        for item in part:
            log.record(prediction(f"{question(rng)}我的是{item}，帮我看看", rng))
        spool.close()
        if url is not None:
            QuestionMover(_migrated(url), folder / f"spool{number}").run_once()
    logging.basicConfig(level=logging.WARNING, force=True)  # Whatever is measured next is to write no such log.
    files = [path for root in (folder, server.data.parent) for path in root.rglob("*") if path.is_file()]
    found = set().union(*(_look_for(set(items), path.read_bytes()) for path in files))
    size_mb = sum(path.stat().st_size for path in files) / 1e6
    return [(f"Of {len(items):,} planted identity numbers, cards, phones and e-mails found in the files of both "
             f"databases, spool and logs ({len(files)} files, {size_mb:.0f} MB)", "0", f"{len(found)}")]


def _look_for(items: set[str], content: bytes) -> set[str]:
    """Return those items that `content` holds, also inside longer runs of digits."""
    windows = {run[begin:begin + length].decode() for run in re.findall(rb"[0-9]{11,}[Xx]?", content)
               for length in (11, 15, 16, 17, 18, 19) for begin in range(len(run) - length + 1)}
    return items & (windows | {mail.decode() for mail in re.findall(rb"[\w.+-]+@[\w.-]+", content, re.ASCII)})


def _scale(urls: dict[str, str], folder: Path, rows: int) -> Iterator[Line]:
    databases = [_migrated(url) for url in urls.values()]
    fill(databases, rows)
    for database in databases:
        database.dispose()
    for kind, url in urls.items():
        for what, bound, p50, p95 in measure(url, folder / f"home-{kind}"):
            yield f"{kind}, {rows:,} questions: {what}, p50 / p95", bound, f"{p50:.1f} / {p95:.1f} ms"


def _migrated(url: str) -> Database:
    database = Database(url)
    upgrade(database)
    return database


@contextmanager
def _running(role: str, folder: Path, *arguments: object) -> Iterator[subprocess.Popen]:
    """Have a process run that prints into a file, since it must not wait for a reader; SIGKILL ends it."""
    staged = folder.with_name(f"{folder.name}.starting")
    with staged.open("w") as printed:
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.question_log_roles", role,
                                    *map(str, (folder, *arguments))], stdout=printed)
    try:
        staged.rename(_printed(folder, process))
        yield process
    finally:
        process.kill()
        process.wait()


def _printed(folder: Path, process: subprocess.Popen) -> Path:
    return folder.with_name(f"{folder.name}.{process.pid}")


def _ids(folder: Path, process: subprocess.Popen) -> list[str]:
    """Return the ids that an asking process gave out: whole lines, since it may have been killed."""
    lines = _printed(folder, process).read_text().splitlines(keepends=True)
    return [line[:-1] for line in lines if line.endswith("\n") and line != "None\n"]


def _wait_until_moved(folder: Path) -> None:
    deadline = time.monotonic() + _DRAIN_TIMEOUT_S
    while segment_names(folder):
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(segment_names(folder))} segments are left after {_DRAIN_TIMEOUT_S} s")
        time.sleep(_POLL_S)


def _render(lines: list[Line], rows: int, load_before: float) -> str:
    machine = ", ".join(f"{name.lower()}: {value}" for name, value in describe_machine().items())
    load = f"{load_before:.1f} to {os.getloadavg()[0]:.1f}"
    table = "\n".join(f"| {what} | {bound} | {figure} |" for what, bound, figure in lines)
    return (f"# The question log\n\nWritten by `python -m benchmarks.question_log --rows {rows}`.\n\n"
            f"Machine: {machine}; load average from beginning to end: {load}. MariaDB's buffer pool: {BUFFER_POOL}.\n\n"
            f"| What | Bound | Measured |\n| --- | --- | --- |\n{table}\n")


if __name__ == "__main__":
    main()
