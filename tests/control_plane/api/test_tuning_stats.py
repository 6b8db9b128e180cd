"""GET /api/v1/model-tuning/stats: the figures of the last days in one answer."""

import pytest

from control_plane.database.schema import utc_now
from control_plane.questions.daily_figures import add_to_days
from tests.control_plane.api.model_tuning import TUNING, add_intents, ask
from tests.control_plane.problem_assertions import assert_problem
from tests.control_plane.questions.questions import entry, kept

STATS = f"{TUNING}/stats"


def test_a_new_platform_has_no_figures(client):
    answer = client.get(f"{STATS}?days=1").json
    assert answer["first_day"] == answer["last_day"]
    assert answer["total"] == {"questions": 0, "logged": 0, "labeled": 0, "labeled_share": None, "llm_calls": 0,
                               "llm_call_rate": None, "mean_latency_ms": None, "p95_latency_ms": None}
    assert answer["training"] == {"runs": 0, "success_rate": None, "mean_duration_s": None, "by_state": {
        "created": 0, "running": 0, "succeeded": 0, "failed": 0}}
    assert answer["rules"] == {"rules": 0, "usage_count": 0, "success_count": 0, "by_state": {
        "proposed": 0, "shadow": 0, "active": 0, "retired": 0}}
    assert (answer["days"], answer["intents"], answer["methods"], answer["model_versions"], answer["accuracy"]) == (
        [], {}, {}, {}, [])


def test_the_figures_of_what_was_asked_and_labelled(client, services):
    now = utc_now()
    with services.database.write() as session:
        add_to_days(session, [entry(kept(now), model_version="3"), entry(kept(now), model_version="3"), entry(
            kept(now), method="llm_fallback", model_version="", called_llm=True, intents=(), latency_ms=40.0)])
    add_intents(services, "wealth", "love")
    for question, intent in zip(ask(services, "我的财运", "你的财运"), ("wealth", "love"), strict=True):
        services.tuning.annotations.label(question, [intent], None, "ann")
    services.tuning.rules.add("财运", "wealth", 0.5, "ann", "active")
    services.tuning.batch_store.add("", "head", "ann")
    answer = client.get(STATS).json
    total = answer["total"]
    assert (total["questions"], total["logged"], total["labeled"], total["mean_latency_ms"]) == (3, 3, 2, 20.0)
    assert (total["labeled_share"], total["llm_call_rate"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert answer["days"] == [{"day": answer["last_day"], **total}]
    assert answer["intents"] == {"wealth": pytest.approx(2 / 3), "out_of_scope": pytest.approx(1 / 3)}
    assert set(answer["methods"]) == {"local_model", "llm_fallback"}
    assert answer["model_versions"] == {"3": pytest.approx(2 / 3), "": pytest.approx(1 / 3)}
    assert (answer["training"]["runs"], answer["rules"]["by_state"]["active"]) == (1, 1)
    week, = answer["accuracy"]
    assert (week["questions"], week["exact_match"]["value"]) == (2, 0.5)
    assert week["exact_match"]["low"] < week["micro_f1"]["value"] == 0.5 < week["exact_match"]["high"]


def test_periods_have_limits(client):
    for days in ("0", "367", "x"):
        assert_problem(client.get(f"{STATS}?days={days}"), 422, "invalid-request", field="days")
