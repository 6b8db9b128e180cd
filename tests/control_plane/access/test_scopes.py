"""What a scope includes is what the documentation says, and nothing more."""

import pytest

from control_plane.access.scopes import ANY, SCOPES, expand_scopes, needs_scope, stated_scope


@pytest.mark.parametrize(("given", "opened"), [
    ([], set()), (["infer"], {"infer"}), (["label"], {"label"}), (["train"], {"train", "label"}),
    (["promote"], {"promote", "infer"}), (["admin"], set(SCOPES)), (["train", "promote"], set(SCOPES) - {"admin"}),
])
def test_scopes_include_what_is_documented(given, opened):
    assert expand_scopes(given) == opened | {ANY}


def test_a_route_keeps_the_scope_that_it_states():
    @needs_scope("promote")
    def view():
        return "as before"

    assert stated_scope(view) == "promote"
    assert view() == "as before"
    assert stated_scope(lambda: None) is None
