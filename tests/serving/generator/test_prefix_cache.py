"""The longest prefix that may be reused."""

import numpy as np
import pytest

from serving.generator.prefix_cache import longest_prefix


@pytest.mark.parametrize(("prompt", "computed", "expected"), [
    ([1, 2, 3, 4, 5, 6, 7], [[], [1, 2, 3, 4, 5], [1, 2]], (1, 5)),
    ([1, 2, 3, 4, 5, 6, 7], [[1, 2, 3, 4, 5, 6, 7]], (0, 5)),        # two are computed anew
    ([1, 2, 3, 4, 5, 6, 7], [[1, 2, 3, 9], [9, 2, 3, 4, 5, 6]], (0, 0)),  # too few to be worth it
    ([1], [[1]], (0, 0)), ([1, 2], [[], []], (0, 0)),
])
def test_the_longest_common_prefix_wins(prompt, computed, expected):
    assert longest_prefix(np.array(prompt), [np.array(item, dtype=np.int64) for item in computed]) == expected
