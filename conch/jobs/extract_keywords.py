"""The job `extract_keywords`: keyword rules are proposed from the newest labelled questions."""

from conch.jobs.tuning_keywords import propose_keywords
from control_plane.database.database import Database
from control_plane.intents.rule_store import RuleStore
from control_plane.jobs.kinds import ExtractKeywordsArguments
from control_plane.jobs.worker import Report
from control_plane.labelling.examples import TEST
from control_plane.settings import load_settings
from control_plane.tuning.batch_store import BatchStore
from training.keyword_extraction import LabelledQuestion


def run(arguments: ExtractKeywordsArguments, report: Report) -> dict:
    """Return how many keywords were proposed, from how many questions; the frozen test set is left out."""
    database = Database(load_settings().database_address)
    try:
        report(0.0, "reading the labelled questions")
        examples = [item for item in BatchStore(database).read_training_data().examples if item.split != TEST]
        newest = sorted(examples, key=lambda item: item.id)[-arguments.limit:]
        report(0.3, f"looking for keywords in {len(newest)} questions")
        proposed = propose_keywords(RuleStore(database), [
            LabelledQuestion(item.id, item.text, item.labels) for item in newest], arguments.min_confidence)
        return {"questions": len(newest), "keywords_proposed": proposed}
    finally:
        database.dispose()
