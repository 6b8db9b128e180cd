"""/label: the page and its files, open to anyone, with a policy that lets no script of others run."""

import re
from pathlib import Path
from urllib.parse import urljoin

import pytest

FOLDER = Path("control_plane/labelling_page")
NAMES = sorted(file.name for file in (Path(__file__).parents[3] / FOLDER).iterdir())
# What is written on what, by the names of the stylesheet's colours.
TEXTS = [("text", "page"), ("text", "card"), ("text", "chosen"), ("soft", "page"), ("soft", "card"),
         ("on-accent", "accent"), ("good", "card"), ("bad", "card"), ("doubt", "card"), ("bad", "bad-back"),
         ("doubt", "doubt-back")]
OUTLINES = [("line", "page"), ("line", "card"), ("accent", "page"), ("accent", "card")]
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@pytest.fixture
def page(anonymous):
    with anonymous.get("/label") as response:
        assert (response.status_code, response.mimetype) == (200, "text/html")
        yield response


def test_every_file_is_sent_with_its_type_without_a_key(anonymous):
    assert len(NAMES) > 5
    for name in set(NAMES) - {"index.html"}:
        with anonymous.get(f"/label/{name}") as response:
            assert (response.status_code, response.mimetype) == (200, TYPES[Path(name).suffix]), name
            assert response.headers["Cache-Control"] == "no-cache"  # Kept, and asked about each time.


def test_a_file_that_did_not_change_is_not_sent_again(anonymous):
    with anonymous.get("/label/main.js") as first:
        tag = first.headers["ETag"]
    with anonymous.get("/label/main.js", headers={"If-None-Match": tag}) as again:
        assert again.status_code == 304


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "..%2Fapp.py", "..%2Flabelling_page%2Fmain.js", "main"])
def test_nothing_else_is_sent(anonymous, name):
    assert anonymous.get(f"/label/{name}").status_code in (401, 404)


def test_the_policy_runs_scripts_of_this_host_only_and_lets_forms_go_nowhere(page):
    policy, = page.headers.getlist("Content-Security-Policy")
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert (parts["default-src"], parts["script-src"], parts["connect-src"]) == ("'none'", "'self'", "'self'")
    assert (parts["form-action"], parts["frame-ancestors"], parts["base-uri"]) == ("'none'", "'none'", "'none'")
    assert page.headers.getlist("X-Content-Type-Options") == ["nosniff"]


def test_page_and_scripts_need_only_files_that_there_are(anonymous, page):
    wanted = {urljoin("/label", found) for found in re.findall(r'(?:src|href)="([^"#]+)"', page.text)}
    assert wanted >= {"/label/main.js", "/label/style.css"}
    for name in NAMES:
        if name.endswith(".js"):
            with anonymous.get(f"/label/{name}") as response:
                wanted |= {urljoin(f"/label/{name}", found) for found in re.findall(r'from "([^"]+)"', response.text)}
    assert {path.removeprefix("/label/") for path in wanted} == set(NAMES) - {"index.html"}


def test_nothing_names_another_host_and_no_text_is_made_into_html():
    for name in NAMES:
        text = (Path(__file__).parents[3] / FOLDER / name).read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\b", text), name


def test_the_page_is_not_among_the_documented_routes(app):
    assert not [path for path in app.api_doc["paths"] if path.startswith("/label")]


def test_colours_have_the_contrast_that_readers_need():
    """WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for text, 3 for outlines, in both schemes."""
    style = (Path(__file__).parents[3] / FOLDER / "style.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    for block in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): (#\w+)", block))
        low = {pair for pairs, least in ((TEXTS, 4.5), (OUTLINES, 3)) for pair in pairs
               if _contrast(*(colours[name] for name in pair)) < least}
        assert low == set()


def _contrast(one: str, other: str) -> float:
    """The ratio of two colours like #fff or #0b6e75, by WCAG 2.2's definition of relative luminance."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place:place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
