"""Which epochs count as good as the best."""

import pytest

from training.recipes.recipe import good_epochs


@pytest.mark.parametrize(("scores", "examples", "expected"), [
    ([0.8, 0.9, 0.88, 0.86, 0.9], 100, [True, True, True, False, True]),    # one standard error is 0.03
    ([0.9, 0.88], 10_000, [True, False]),                                   # of many examples it is small
    ([1.0, 0.99, 0.95], 50, [True, True, False]),                           # nor is it 0 where all were right
    ([0.0, 0.0], 0, [True, True]),                                          # without examples none is worse
    ([0.5, 0.6, 0.7], 100, [True, True, True]),
])
def test_as_good_is_what_lies_within_one_standard_error_of_the_best_until_then(scores, examples, expected):
    assert good_epochs(scores, examples).tolist() == expected
