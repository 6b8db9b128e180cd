"""The job `seed`: a new platform gets its first intent model while everything else is served already."""

from conch.seed import seed_intents
from control_plane.database.database import Database
from control_plane.jobs.kinds import SeedArguments
from control_plane.jobs.worker import Report
from control_plane.lifecycle.store import Change
from control_plane.services import build_services
from control_plane.settings import load_settings


def run(arguments: SeedArguments, report: Report) -> dict:
    """Return what the first batch made; nothing where there is a model already. Raises ConchError."""
    settings = load_settings()

    def load(database: Database, version: int) -> None:
        """Load it as an administrator would, so that the platform stays ready meanwhile."""
        services = build_services(settings)
        services.lifecycle.load(settings.intent_model, Change("seed", "the first version"))
        services.database.dispose()

    return seed_intents(settings, report, load) or {}
