from benchmarks.results import Sample
from benchmarks.rounds import Turn, play


def turn(name: str, mix: str = "short", scenario: str = "32x1") -> Turn:
    return Turn(name, mix, scenario, lambda: Sample(name, mix, scenario, -1, 1.0))


def test_every_contestant_takes_its_turn_in_every_round_and_another_begins():
    announced = []
    samples = play([turn(name) for name in "abc"], 3, lambda taken, number: announced.append(taken.contestant))
    assert announced == list("abcbcacab")
    assert sorted((sample.contestant, sample.round) for sample in samples) == [
        (name, number) for name in "abc" for number in range(3)]


def test_all_contestants_do_one_thing_then_the_next():
    taken = []
    things = [("short", "32x1"), ("short", "4x32"), ("long", "32x1")]
    turns = [turn(name, *thing) for name in "ab" for thing in things]
    play(turns, 2, lambda turn, number: taken.append((number, turn.mix, turn.scenario, turn.contestant)))
    order = [("short", "32x1", "ab"), ("short", "4x32", "ab"), ("long", "32x1", "ab")]
    assert taken == [(number, mix, scenario, name) for number in range(2) for mix, scenario, names in order
                     for name in (names[::-1] if number else names)]
