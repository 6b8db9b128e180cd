import numpy as np

from training.confusion import confusion_matrix, most_confused


def row(*labels):
    """Return which of three labels hold."""
    return [index in labels for index in range(3)]


def test_each_kind_of_mistake_is_counted_where_it_belongs():
    truth = np.array([row(0), row(0), row(1), row(), row(), row(0, 1), row(2)])
    decided = np.array([row(0), row(1), row(), row(), row(2), row(0, 2), row(2, 0)])
    assert confusion_matrix(decided, truth).tolist() == [
        [2, 1, 0, 0],   # found twice, once taken for 1
        [0, 0, 1, 1],   # once taken for 2 beside a right one, once not found
        [0, 0, 1, 0],
        [1, 0, 1, 1]]   # 0 beside a right one, 2 for nothing, and nothing for nothing


def test_the_most_confused_come_first_and_in_their_order():
    matrix = np.array([[9, 0, 0], [0, 5, 3], [0, 1, 5]])
    assert most_confused(matrix, 2).tolist() == [1, 2]
    assert most_confused(matrix, 5).tolist() == [0, 1, 2]
