"""The job `generate`: one query is answered while nobody waits."""

from control_plane.generation.query import answer_query
from control_plane.generation.query_arguments import QueryArguments
from control_plane.jobs.worker import Report
from control_plane.services import build_services
from control_plane.settings import load_settings


def run(arguments: QueryArguments, report: Report) -> dict:
    """Return the answer as POST /generate gives it. Raises ControlPlaneError."""
    services = build_services(load_settings())
    try:
        report(0.0, f"asking {arguments.model_id}")
        return answer_query(services.generation, arguments)
    finally:
        services.database.dispose()
