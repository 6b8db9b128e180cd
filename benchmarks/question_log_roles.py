"""The processes of the question log's benchmark, which somebody may kill: one that is asked, and one that moves.

`ask FOLDER SECONDS RATE` records questions and prints each id once it is recorded; `move FOLDER URL` moves the spool.
"""

import random
import sys
import threading
import time
from pathlib import Path

from benchmarks.masking_sentences import card_number, email_address, identity_number, mobile_number
from control_plane.database.database import Database
from control_plane.labelling.propagation import mark_arrivals
from control_plane.questions.prediction import Prediction
from control_plane.questions.question_log import QuestionLog
from control_plane.questions.spool import Spool
from control_plane.questions.upkeep import QuestionUpkeep

KEY = "a key that only this benchmark has"
LABELS = ("wealth", "career", "marriage", "love", "health", "study", "family", "travel", "general")
PLANTERS = (identity_number, card_number, mobile_number, email_address)
_QUESTIONS = ("我今年财运怎么样", "明年什么时候适合换工作", "他还会回来找我吗", "最近身体不太好要注意什么",
              "孩子高考能考好吗", "下个月出行顺不顺利", "2027年结婚合适吗", "跟老板关系紧张怎么办",
              "近三年有没有大的变化，适不适合买房")


def question(rng: random.Random) -> str:
    """Return a question without personal data."""
    return f"{rng.choice(_QUESTIONS)}，{rng.choice(_QUESTIONS)}？"


def prediction(text: str, rng: random.Random, has_consent: bool = True) -> Prediction:
    """Return a prediction of the sort that the local model gives."""
    scores = {label: rng.random() for label in LABELS}
    best = max(scores, key=scores.get)
    return Prediction(
        text, (best, ), scores[best], "local_model", rng.lognormvariate(2.5, 0.5), has_consent, "intent:3", scores,
        dict.fromkeys(LABELS, 0.5), {"type": "this_year", "target_years": [2026]}, f"user-{rng.randrange(100_000)}")


def ask(folder: Path, seconds: float, rate: float) -> None:
    """Record `rate` questions a second, every tenth without consent, and print the ids of those that are kept."""
    log, rng = QuestionLog(Spool(folder), KEY), random.Random()  # noqa: S311 - what is asked is no secret
    began, asked = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < seconds:
        for _ in range(int(elapsed * rate) - asked):
            asked += 1
            print(log.record(prediction(question(rng), rng, asked % 10 != 0)), flush=True)
        time.sleep(0.002)


def move(folder: Path, url: str) -> None:
    """Move the spool for ever."""
    QuestionUpkeep(Database(url), folder, 365, mark_arrivals).run(threading.Event())


if __name__ == "__main__":
    role, spool, *arguments = sys.argv[1:]
    if role == "ask":
        ask(Path(spool), *map(float, arguments))
    else:
        move(Path(spool), *arguments)
