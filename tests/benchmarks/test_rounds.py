from benchmarks.results import Sample
from benchmarks.rounds import Turn, play


def turn(name: str) -> Turn:
    return Turn(name, "short", "32x1", lambda: Sample(name, "short", "32x1", -1, 1.0))


def test_every_contestant_takes_its_turn_in_every_round_and_another_begins():
    announced = []
    samples = play([turn(name) for name in "abc"], 3, lambda taken, number: announced.append(taken.contestant))
    assert announced == list("abcbcacab")
    assert sorted((sample.contestant, sample.round) for sample in samples) == [
        (name, number) for name in "abc" for number in range(3)]
