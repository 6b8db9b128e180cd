"""Writes GENERATION.md. Pure: results in, text out."""

from benchmarks.generation_contestants import ALL
from benchmarks.generation_results import Cell, GenerationResults
from benchmarks.generation_targets import verdicts
from benchmarks.report import show_spread, write_facts, write_section, write_table

_INTRODUCTION = """# Text generation: Conch against its peers

Written by `make bench-generation` from `generation_results.json`; benchmarks/README.md says how it measures. All
contestants generated with SmolLM2-135M-Instruct on all cores of one machine, took turns at each cell in every round and
got the same prompts, of which none came twice. Figures are the median over the rounds, with the smallest and the
largest in brackets."""
_HEADINGS = ["Contestant", "Tokens/s while decoding", "Tokens/s in all", "First token, ms", "Inter-token p50, ms",
             "p99, ms", "Client's processor cores"]
_NOTE = """Speeds of the targets are tokens a second while decoding, from the moment when the last stream has its first
token to the first end of one. Ratios are taken round by round."""


def render(results: GenerationResults, plots: dict[str, str]) -> str:
    """Return the whole page; `plots` maps a title to the path of its picture."""
    parts = [
        _INTRODUCTION, write_section("Machine and versions", write_facts({**results.machine, **results.versions})),
        write_section("Conditions", write_facts(results.conditions)),
        write_section("Targets", f"{_targets(results)}\n\n{_NOTE}"),
        *(f"![{title}]({path})" for title, path in plots.items()),
        *(write_section(cell.name, table) for cell in results.cells if (table := _figures(results, cell))),
        write_section("Contestants", write_table(["Contestant", "Settings"],
                                                 [[name, words] for name, words in results.settings.items()])),
    ]
    return "\n\n".join(parts) + "\n"


def _targets(results: GenerationResults) -> str:
    marks = {True: "met", False: "**missed**", None: "–"}
    rows = [[verdict.target, verdict.bound, show_spread(verdict.measured, 2), marks[verdict.passed]]
            for verdict in verdicts(results)]
    return write_table(["Target", "Bound", "Measured", ""], rows)


def _figures(results: GenerationResults, cell: Cell) -> str:
    figures = {"decoding_per_s": 0, "tokens_per_s": 0, "first_token_ms": 0, "p50_ms": 1, "p99_ms": 1, "client_cores": 2}
    rows = [[name, *(show_spread(results.spread(name, cell, figure), digits) for figure, digits in figures.items())]
            for name in ALL if results.spread(name, cell, "tokens_per_s")]
    return write_table(_HEADINGS, rows) if rows else ""
