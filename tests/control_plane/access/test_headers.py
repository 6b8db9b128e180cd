"""Every answer has the security headers, and the documentation's page needs nothing that they forbid."""

import re

import pytest

HEADERS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}


def _policy(response) -> dict[str, list[str]]:
    """Return the directives of an answer's Content-Security-Policy."""
    parts = [part.split() for part in response.headers["Content-Security-Policy"].split(";")]
    return {part[0]: part[1:] for part in parts}


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/v1/models", 200), ("GET", "/unknown", 404), ("PUT", "/v1/models", 405), ("POST", "/v1/embeddings", 415),
    ("GET", "/docs/swagger", 200), ("GET", "/docs/swagger/css/swagger-ui.css", 200), ("GET", "/health", 200)])
def test_every_answer_has_them_once(admin, method, path, status):
    with admin.open(path, method=method) as response:
        assert response.status_code == status
        for name, value in HEADERS.items():
            assert response.headers.getlist(name) == [value]
        assert _policy(response)["frame-ancestors"] == ["'none'"]
        assert len(response.headers.getlist("Content-Security-Policy")) == 1
        assert len(response.headers.getlist("Cache-Control")) == 1


def test_refusals_have_them_too(anonymous):
    response = anonymous.get("/v1/models")
    assert response.status_code == 401
    assert {name: response.headers[name] for name in HEADERS} == HEADERS


def test_answers_are_kept_nowhere_but_files_of_the_documentation_may_be(admin):
    made = admin.post("/api/v1/keys", json={"name": "ci", "scopes": ["infer"]})
    assert made.headers["Cache-Control"] == "no-store"
    assert admin.get("/v1/models").headers["Cache-Control"] == "no-store"
    with admin.get("/docs/swagger/css/swagger-ui.css") as response:
        assert response.headers["Cache-Control"] != "no-store"


def test_api_answers_may_load_nothing(admin):
    assert _policy(admin.get("/v1/models"))["default-src"] == ["'none'"]
    assert set(_policy(admin.get("/v1/models"))) == {"default-src", "frame-ancestors"}


@pytest.mark.parametrize("page", ["/docs/", "/docs/swagger"])
def test_the_documentation_references_nothing_that_its_policy_forbids(admin, page):
    response = admin.get(page)
    policy, html = _policy(response), response.text
    used = {"script-src": re.findall(r"<script[^>]*\ssrc=['\"]([^'\"]+)", html),
            "style-src": re.findall(r"<link[^>]*rel=['\"]stylesheet['\"][^>]*href=['\"]\s*([^'\"]+)", html),
            "img-src": re.findall(r"<img[^>]*\ssrc=['\"]\s*([^'\"]+)", html)
            + re.findall(r"<link[^>]*rel=['\"]shortcut icon['\"][^>]*href=['\"]\s*([^'\"]+)", html)}
    assert used["img-src"]
    for directive, sources in used.items():
        for source in sources:
            assert _is_allowed(source, policy[directive]), (directive, source)
    if re.search(r"<script>|\son\w+=", html):
        assert "'unsafe-inline'" in policy["script-src"]
    if re.search(r"<style|\sstyle=", html):
        assert "'unsafe-inline'" in policy["style-src"]


def _is_allowed(source: str, allowed: list[str]) -> bool:
    scheme = re.match(r"([a-z]+:)?//|data:", source)
    if scheme is None:
        return "'self'" in allowed
    return scheme.group(0) in allowed


def test_the_stylesheet_draws_only_what_the_policy_allows(admin):
    policy = _policy(admin.get("/docs/swagger"))
    with admin.get("/docs/swagger/css/swagger-ui.css") as response:
        sources = re.findall(r"url\(['\"]?([^)'\"]{1,40})", response.text)
    assert sources
    assert all(source.startswith("#") or _is_allowed(source, policy["img-src"]) for source in sources)


def test_the_page_may_ask_this_host_and_no_other(admin):
    policy = _policy(admin.get("/docs/swagger"))
    assert policy["connect-src"] == ["'self'"]
    assert policy["default-src"] == ["'none'"]
    for sources in policy.values():
        assert set(sources) <= {"'self'", "'none'", "'unsafe-inline'", "data:"}
