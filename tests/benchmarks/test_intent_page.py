from benchmarks.intent_page import render_page, targets

MACHINE = {"machine": {"Processor": "p"}, "packages": {"torch": "1"}, "roles": {"fit": 3}}
RESULTS = {"clinc": {"full": {**MACHINE, "accuracy": 0.971, "oos_recall_at_0.95": 0.5, "epochs": 8},
                     "head": {**MACHINE, "accuracy": 0.93}, "embedded": {"fit_5000_s": 4.0}}}


def test_targets_say_what_was_met_and_what_was_missed():
    assert [met for *_, met in targets(RESULTS)] == [True, False, False, True]


def test_the_page_has_every_figure_that_was_measured_and_no_other():
    page = render_page(RESULTS)
    assert page.count("**missed**") == 2
    assert "| accuracy of the best label, in scope | 0.9300 | 0.9710 |" in page
    assert "| epochs, or penalties tried | – | 8 |" in page
    assert "SMP2017" not in page
    assert page.count("Measured on") == 1
