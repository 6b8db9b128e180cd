"""Writes results as Markdown. Pure: results in, text out."""

from benchmarks.contestants import ALL
from benchmarks.results import SCENARIOS, Results, Spread
from benchmarks.targets import SAME_QUALITY_COSINE, verdicts

_INTRODUCTION = """# Embeddings: Conch against its peers

Written by `make bench` from `results.json`; benchmarks/README.md says how it measures. All contestants served
sentence-transformers/all-MiniLM-L6-v2 on one machine, took turns in every round, got the same texts and, over REST, the
same client. Figures are the median over the rounds, with the smallest and the largest in brackets."""


def render(results: Results, plots: dict[str, str]) -> str:
    """Return the whole report; `plots` maps a title to the path of its picture."""
    parts = [
        _INTRODUCTION, write_section("Machine and versions", write_facts({**results.machine, **results.versions})),
        write_section("Conditions", write_facts(results.conditions)), write_section("Targets", _targets(results)),
        *(f"![{title}]({path})" for title, path in plots.items()),
        *(write_section(f"{scenario.title}, {mix} texts", table)
          for mix in _mixes(results) for scenario in SCENARIOS
          if (table := _throughput(results, mix, scenario.name))),
        write_section("Contestants", _contestants(results)),
    ]
    return "\n\n".join(parts) + "\n"


def _mixes(results: Results) -> list[str]:
    return sorted({sample.mix for sample in results.samples}, reverse=True)


def write_section(title: str, body: str) -> str:
    """Return a section of a page."""
    return f"## {title}\n\n{body}"


def write_facts(facts: dict[str, str]) -> str:
    """Return a table of names and values."""
    return write_table(["What", "Value"], [[name, value] for name, value in facts.items()])


def _targets(results: Results) -> str:
    marks = {True: "pass", False: "**miss**", None: "–"}
    rows = [[verdict.target, verdict.bound, show_spread(verdict.measured, 2), marks[verdict.passed]]
            for verdict in verdicts(results)]
    note = (f"Of the same quality is an engine whose lowest cosine to sentence-transformers float32 is at least "
            f"{SAME_QUALITY_COSINE}. Ratios are taken round by round.")
    return write_table(["Target", "Bound", "Measured", ""], rows) + f"\n\n{note}"


def _throughput(results: Results, mix: str, scenario: str) -> str:
    rows = []
    for name in ALL:
        texts, p50, p99, cores = (results.spread(name, mix, scenario, figure)
                                  for figure in ("texts_per_s", "p50_ms", "p99_ms", "client_cores"))
        if texts:
            rows.append([name, show_spread(texts, 0), show_spread(p50, 0), show_spread(p99, 0), show_spread(cores, 2)])
    rows.sort(key=lambda row: -float(row[1].split()[0]))
    return write_table(["Contestant", "Texts/s", "p50 ms", "p99 ms", "Client's processor cores"], rows) if rows else ""


def _contestants(results: Results) -> str:
    rows = [[name, settings, f"{results.min_cosines[name]:.5f}" if name in results.min_cosines else "–"]
            for name, settings in results.settings.items()]
    return write_table(["Contestant", "Settings", "Lowest cosine to sentence-transformers float32"], rows)


def show_spread(spread: Spread | None, digits: int) -> str:
    """Return the median with the smallest and the largest in brackets, a dash for what was not measured."""
    if spread is None:
        return "–"
    return f"{spread.median:.{digits}f} ({spread.low:.{digits}f}–{spread.high:.{digits}f})"


def write_table(headings: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
