import xml.etree.ElementTree as ElementTree

import numpy as np

from training.calibration import reliability
from training.plots import draw_confusion, draw_reliability

SVG = "{http://www.w3.org/2000/svg}"


def test_the_confusion_plot_is_svg_with_every_label_and_count():
    labels = ("财运", "<love> & \"more\"", "(no intent)")
    root = ElementTree.fromstring(draw_confusion(np.array([[7, 2, 0], [0, 5, 0], [0, 0, 1]]), labels))  # noqa: S314
    texts = [text.text for text in root.iter(f"{SVG}text")]
    for label in labels:
        assert texts.count(label) == 2
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert len(titles) == 4
    assert "财运 decided as <love> & \"more\": 2" in titles


def test_the_reliability_plot_has_a_point_for_each_bin_in_its_place():
    scores = np.array([[0.1], [0.1], [0.9], [0.9]])
    root = ElementTree.fromstring(  # noqa: S314 - our own text
        draw_reliability(reliability(scores, np.array([[False], [False], [True], [False]]))))
    first, second = root.iter(f"{SVG}circle")
    assert float(first.get("cx")) < float(second.get("cx"))
    assert float(first.get("cy")) > float(second.get("cy"))
