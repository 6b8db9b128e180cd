"""What every error answer must look like."""

from werkzeug.test import TestResponse


def assert_problem(response: TestResponse, status: int, name: str, *in_detail: str, field: str | None = None) -> dict:
    """Check that the answer is an RFC 9457 problem of type `name` that says `in_detail` and names `field`."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    problem = response.json
    assert problem["type"] == f"urn:conch:problem:{name}"
    assert problem["status"] == status
    assert problem["title"]
    for text in in_detail:
        assert text in problem["detail"]
    assert [error["field"] for error in problem["errors"]] == ([] if field is None else [field])
    assert ("error" in problem) == response.request.path.startswith("/v1/")
    if "error" in problem:
        assert problem["error"]["message"] == problem["detail"]
        assert problem["error"]["code"] == name
        assert problem["error"]["param"] == field
    return problem
