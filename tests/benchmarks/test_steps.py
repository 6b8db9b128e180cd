from benchmarks.peers.steps import run_once


def test_a_step_runs_again_for_another_recipe_or_after_a_failure(tmp_path):
    ran = []

    def fail() -> None:
        raise RuntimeError

    for recipe, action in (("a", fail), ("a", lambda: ran.append("a")), ("a", fail), ("b", lambda: ran.append("b"))):
        try:
            run_once(tmp_path / "mark", recipe, action)
        except RuntimeError:
            ran.append("failed")
    assert ran == ["failed", "a", "b"]
