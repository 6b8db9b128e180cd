"""The pages have every setting, route, error, command and option that exists, and no other; links lead somewhere."""

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from conch.cli import COMMANDS, group
from control_plane.access.scopes import stated_scope
from control_plane.app import create_app
from control_plane.problems import PROBLEMS
from control_plane.settings import Settings
from tests.control_plane.fakes import FakeGateway
from tests.meta.source_tree import ROOT

NOT_OURS = {"var", "build", "dist", "node_modules"}
PAGES = sorted(page.relative_to(ROOT).as_posix() for page in ROOT.rglob("*.md")
               if not any(part.startswith(".") or part in NOT_OURS for part in page.relative_to(ROOT).parts))
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
# flask-openapi3 documents this for every route; docs/http_api.md says so once.
EVERYWHERE = "500"


def _page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def _sections(name: str, level: int) -> dict[str, str]:
    """Return the text under each heading of a level whose title is code, by that code."""
    parts = re.split(rf"^{'#' * level} `([^`]+)`$", _page(name), flags=re.MULTILINE)
    return {title: re.split(rf"^#{{1,{level}}} ", body, flags=re.MULTILINE)[0]
            for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def _rows(text: str) -> dict[str, list[str]]:
    """Return the cells of each table row that begins with code, by that code."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()
            if line.startswith("| `")]
    return {row[0].strip(" |`"): row[1:] for row in rows}


def _default(value: object) -> str:
    if value in (None, ()):
        return "–"
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """An application."""
    home = tmp_path_factory.mktemp("home")
    return create_app(Settings(home=home, model_repository=home), gateways=[FakeGateway(home)])


@pytest.fixture(scope="module")
def document(app):
    """The OpenAPI document."""
    return app.api_doc


def test_every_setting_is_documented_with_its_default_and_meaning():
    rows = _rows(_page("settings.md"))
    documented = {name: tuple(cell.strip(" |") for cell in cells) for name, cells in rows.items()}
    assert documented == {item.metadata["variable"]: (_default(item.default), item.metadata["meaning"])
                          for item in fields(Settings)}


def test_pages_name_no_setting_that_does_not_exist():
    known = {item.metadata["variable"] for item in fields(Settings)}
    for page in PAGES:
        named = set(re.findall(r"\bCONCH_[A-Z_]+[A-Z]\b", (ROOT / page).read_text(encoding="utf-8")))
        assert named <= known, page


def test_every_route_is_documented(document):
    routes = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert set(_sections("http_api.md", 3)) == routes


def test_every_route_states_its_statuses_and_has_an_example(document):
    for route, text in _sections("http_api.md", 3).items():
        method, path = route.split()
        statuses = re.search(r"^Statuses: ([\d, ]+)\.$", text, flags=re.MULTILINE)
        assert statuses, route
        assert sorted(statuses.group(1).split(", ")) == sorted(
            set(document["paths"][path][method.lower()]["responses"]) - {EVERYWHERE}), route
        example = re.search(r"```sh\n(curl .*?)```", text, flags=re.DOTALL)
        assert example, route
        url = re.sub(r"\\{\w+\\}", "[^/ ]+", re.escape(f"$URL{path}"))  # A template's parts are examples there.
        assert re.search(url, example.group(1)), route
        body = document["paths"][path][method.lower()].get("requestBody", {"content": {}})
        assert ("-d '{" in example.group(1)) == ("application/json" in body["content"]), route


def test_every_route_states_the_scope_that_it_needs(app):
    sections = _sections("http_api.md", 3)
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:[^<>]+:)?(\w+)>", r"{\1}", rule.rule)
        scope = stated_scope(app.view_functions[rule.endpoint])
        for method in rule.methods:
            text = sections.get(f"{method} {path}", "")
            if text:
                assert re.findall(r"^Scope: `(\w+)`\.$", text, flags=re.MULTILINE) == ([scope] if scope else []), path


def test_every_field_of_a_request_is_documented(document):
    sections = _sections("http_api.md", 3)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            wanted = {parameter["name"] for parameter in operation.get("parameters", [])}
            if "requestBody" in operation:
                schemas = [content["schema"] for content in operation["requestBody"]["content"].values()]
                # A file has no fields that the document could name.
                for reference in (schema["$ref"] for schema in schemas if "$ref" in schema):
                    wanted |= set(document["components"]["schemas"][reference.rpartition("/")[2]]["properties"])
            text = sections[f"{method.upper()} {path}"]
            table = re.search(r"\| (?:field|parameter) \|.*?(?=\n\n|\Z)", text, flags=re.DOTALL)
            documented = {name for row in _rows(table.group(0)) for name in re.findall(r"\w+", row)} if table else set()
            assert documented - {"or"} == wanted, path


def test_every_error_of_ours_is_documented_with_its_status():
    documented = {name: cells[0] for name, cells in _rows(_page("http_api.md")).items()}
    for status, name in PROBLEMS.values():
        assert documented.get(name) == str(status), name


def test_every_command_is_documented_with_every_option():
    sections = _sections("cli.md", 2)
    assert set(sections) == {f"conch {name}" for name in COMMANDS}
    for name in COMMANDS:
        command = group.get_command(click.Context(group), name)
        assert set(_rows(sections[f"conch {name}"])) == _options(command), name


def _options(command: click.Command) -> set[str]:
    """Return the options of a command, and of the commands under it."""
    own = {option for item in command.params if isinstance(item, click.Option) for option in item.opts}
    return own.union(*(_options(inner) for inner in getattr(command, "commands", {}).values()))


def test_readme_leads_to_the_reference_pages():
    linked = set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert linked >= {"docs/http_api.md", "docs/cli.md", "docs/catalog.md", "docs/architecture.md"}


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in LINK.findall(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in _anchors(file), target


def _anchors(file: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
