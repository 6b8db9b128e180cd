"""The job `seed`: a new platform gets its first intent model while everything else is served already."""

from conch.seed import seed_intents
from control_plane.jobs.kinds import SeedArguments
from control_plane.jobs.worker import Report
from control_plane.settings import load_settings


def run(arguments: SeedArguments, report: Report) -> dict:
    """Return what the first batch made; nothing where there is a model already. Raises ConchError."""
    return seed_intents(load_settings(), report) or {}
