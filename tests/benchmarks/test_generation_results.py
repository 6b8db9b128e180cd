import pytest

from benchmarks.generation_contestants import (
    ALL,
    CELLS,
    CELLS_OF,
    CONCH,
    DISTURBED,
    EIGHT,
    LLAMA_Q8,
    LLAMA_Q8_SPINNING,
    ONE,
    UNDISTURBED,
)
from benchmarks.generation_in_process import GENAI, GENAI_INT4, TRANSFORMERS
from benchmarks.generation_page import render
from benchmarks.generation_results import Cell, GenerationResults, GenerationSample, Stream, sample_of
from benchmarks.generation_targets import verdicts


def results_of(*samples: GenerationSample, **checks) -> GenerationResults:
    return GenerationResults({"Cores": "2"}, {"Python": "3.11"}, {"Rounds": "1"}, {CONCH: "Triton"}, list(CELLS),
                             list(samples), **checks)


def speed(contestant: str, cell: Cell, decoding_per_s: float, number: int = 0) -> GenerationSample:
    return GenerationSample(contestant, cell.name, number, 1.0, decoding_per_s, 1.0, 1.0, 1.0)


def delay(cell: Cell, p99_ms: float) -> GenerationSample:
    return GenerationSample(CONCH, cell.name, 0, 1.0, 1.0, 1.0, 1.0, p99_ms)


def verdict_of(results: GenerationResults, start: str):
    [found] = [verdict for verdict in verdicts(results) if verdict.target.startswith(start)]
    return found


def test_speed_while_decoding_counts_only_the_time_in_which_every_stream_runs():
    # The second stream begins at 2 and the first ends at 5: six pieces in those three seconds.
    first, second = Stream(0, [1, 2, 3, 4, 5], 5), Stream(0, [2, 3, 4, 5, 6, 7], 6)
    sample = sample_of(CONCH, Cell(20, 2), [[first, second]])
    assert sample.decoding_per_s == pytest.approx(2)
    assert sample.tokens_per_s == pytest.approx(11 / 7)
    assert sample.first_token_ms == pytest.approx(1500)
    assert (sample.p50_ms, sample.p99_ms) == (pytest.approx(1000), pytest.approx(1000))


def test_streams_that_never_all_run_have_no_speed_while_decoding():
    sample = sample_of(CONCH, Cell(20, 2), [[Stream(0, [1, 2], 2), Stream(0, [3, 4], 2)]])
    assert sample.decoding_per_s is None
    assert sample.tokens_per_s == pytest.approx(1)


def test_a_piece_of_two_tokens_counts_as_two():
    assert sample_of(CONCH, ONE, [[Stream(0, [1, 2, 3], 6)]]).decoding_per_s == pytest.approx(2)


def test_waves_follow_each_other_and_the_time_between_them_is_nobodys():
    waves = [[Stream(0, [1, 2], 2)], [Stream(100, [101, 102], 2)]]
    sample = sample_of(CONCH, ONE, waves)
    assert sample.tokens_per_s == pytest.approx(1)
    assert sample.p99_ms == pytest.approx(1000)


def test_what_a_long_prompt_does_is_counted_once_all_streams_run():
    # The first stream waits five seconds for the second one's prompt, which is not what the cell asks about.
    wave = [Stream(0, [1, 6, 7, 8], 4), Stream(0, [6, 7, 8, 9], 4)]
    assert sample_of(CONCH, DISTURBED, [wave]).p99_ms == pytest.approx(1000)
    assert sample_of(CONCH, EIGHT, [wave]).p99_ms > 4000


def test_uneven_answers_have_the_mean_length_of_even_ones():
    cell = Cell(20, 24, uneven=True)
    assert sum(cell.lengths) == 24 * cell.tokens
    assert (min(cell.lengths), max(cell.lengths)) == (8, 120)
    assert cell.company == "24 streams of 8 to 120 tokens"


def test_every_contestant_has_cells_and_no_two_cells_share_a_name():
    assert set(CELLS_OF) == set(ALL)
    assert all(set(cells) <= set(CELLS) for cells in CELLS_OF.values())
    assert len({cell.name for cell in CELLS}) == len(CELLS)


def test_targets_compare_within_a_round_and_with_the_faster_kind_of_llama():
    results = results_of(speed(CONCH, ONE, 100), speed(CONCH, EIGHT, 400), speed(GENAI, EIGHT, 320),
                         speed(GENAI_INT4, EIGHT, 200), speed(LLAMA_Q8, EIGHT, 200),
                         speed(LLAMA_Q8_SPINNING, EIGHT, 250), speed(TRANSFORMERS, ONE, 10))
    assert verdict_of(results, "8 streams / 1 stream").passed
    batch = verdict_of(results, "8 streams / static batch of 8 (genai)")
    assert (batch.measured.median, batch.passed) == (pytest.approx(1.25), False)
    batch = verdict_of(results, "8 streams / static batch of 8 (genai-int4, half the bits)")
    assert (batch.measured.median, batch.passed) == (pytest.approx(2), None)
    assert verdict_of(results, f"8 streams / 8 streams ({LLAMA_Q8_SPINNING})").measured.median == pytest.approx(1.6)
    assert verdict_of(results, "8 streams / one prompt at a time").measured.median == pytest.approx(40)
    assert verdict_of(results, "1 stream / 1 stream in process (genai)").passed is None


@pytest.mark.parametrize(("p99_ms", "passed"), [(290, True), (310, False)])
def test_a_long_prompt_may_triple_the_slowest_tokens(p99_ms, passed):
    results = results_of(delay(UNDISTURBED, 100), delay(DISTURBED, p99_ms))
    found = {verdict.target.partition(":")[0]: verdict for verdict in verdicts(results) if "(conch)" in verdict.target}
    assert found["A 1,000-token prompt among 7 running streams"].passed is passed


def test_checks_are_judged_and_the_page_says_what_was_missed():
    results = results_of(greedy={"prompts": 200, "different": 1},
                         cancelled={"requests": 1000, "running": 0, "before_bytes": 1000, "after_bytes": 1030})
    assert verdict_of(results, "Greedy answers").passed is False
    leavers = [verdict for verdict in verdicts(results) if verdict.target.startswith("1,000 clients")]
    assert [verdict.passed for verdict in leavers] == [True, False]
    page = render(results, {})
    assert "| Greedy answers that differ from the same alone, of 200 | ≤ 0 | 1.00 (1.00–1.00) | **missed** |" in page


def test_the_page_has_a_table_for_each_measured_cell_and_no_other():
    page = render(results_of(speed(CONCH, EIGHT, 400), speed(GENAI, EIGHT, 200)), {"A picture": "plots/a.svg"})
    assert "## 20-token prompts, 8 streams\n" in page
    assert "| conch | 400 (400–400) |" in page
    assert "1 stream\n\n|" not in page
    assert "![A picture](plots/a.svg)" in page
