import pytest
import torch

from training.saved_state import SavedState, fingerprint


def test_a_state_comes_back_to_the_same_training_only(tmp_path):
    SavedState(tmp_path, "a").save({"step": 3, "weights": {"w": torch.arange(3)}})
    state = SavedState(tmp_path, "a").load()
    assert state["step"] == 3
    assert state["weights"]["w"].tolist() == [0, 1, 2]
    assert SavedState(tmp_path, "b").load() is None


def test_no_state_is_none_and_clearing_leaves_nothing(tmp_path):
    state = SavedState(tmp_path, "a")
    assert state.load() is None
    state.save({"step": 1})
    state.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_kill_while_saving_leaves_the_state_before(tmp_path, monkeypatch):
    state = SavedState(tmp_path, "a")
    state.save({"step": 1})

    def killed(value, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        state.save({"step": 2})
    assert state.load()["step"] == 1


def test_the_fingerprint_changes_with_any_fact_and_not_with_their_order():
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1, "b": [2]}) != fingerprint({"a": 1, "b": [3]})
