"""Keys, scopes, projects and paths of the emulator, over HTTP. Expected answers: reference 1 and 2.7."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.helpers.emulated import ALL, Served, serve_toy

ECHO = "/api/projects/1/echo/"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the toy routes once for the module."""
    with serve_toy(tmp_path_factory.mktemp("world")) as running:
        yield running


@pytest.fixture(autouse=True)
def _renewed(served: Served) -> None:
    served.renew()


def envelope(answer: requests.Response) -> tuple[Any, ...]:
    """Return status, type, code and detail of a refusal, whose attr is always there."""
    body = answer.json()
    assert body["attr"] is None
    return answer.status_code, body["type"], body["code"], body["detail"]


def test_request_without_key_is_not_authenticated(served: Served) -> None:
    """No credentials: 401, with the challenge that OAuth clients read."""
    answer = served.call("GET", ECHO, key=None)

    expected = (401, "authentication_error", "not_authenticated", "Authentication credentials were not provided.")
    assert expected == envelope(answer)
    assert answer.headers["WWW-Authenticate"].startswith('Bearer resource_metadata="http://127.0.0.1:')


@pytest.mark.parametrize("key", ["phx_unknown", "phc_1", "ALL"], ids=["unknown", "capture token", "wrong case"])
def test_key_that_is_not_known_fails_authentication(served: Served, key: str) -> None:
    """A mistyped key, one of another region and a capture token are the same 401."""
    sentence = "Personal API key found in request Authorization header is invalid."

    answer = served.call("GET", ECHO, key=key)

    assert (401, "authentication_error", "authentication_failed", sentence) == envelope(answer)
    assert "WWW-Authenticate" in answer.headers


def test_key_in_the_body_authenticates(served: Served) -> None:
    """The field `personal_api_key` is a key too."""
    answer = served.call("POST", ECHO, key=None, json={"personal_api_key": ALL})

    assert 200 == answer.status_code


def test_key_in_the_header_wins_over_the_body(served: Served) -> None:
    """A bad header is not rescued by a good body."""
    answer = served.call("POST", ECHO, key="phx_unknown", json={"personal_api_key": ALL})

    assert "authentication_failed" == envelope(answer)[2]


def test_key_in_the_address_does_not_authenticate(served: Served) -> None:
    """The old query-string form leaks into logs, and is not taken."""
    answer = served.call("GET", f"{ECHO}?personal_api_key={ALL}", key=None)

    assert "not_authenticated" == envelope(answer)[2]


def test_missing_scope_is_named(served: Served) -> None:
    """403 with the sentence that clients look for the scope in."""
    answer = served.call("GET", ECHO, key="phx_persons")

    sentence = "API key missing required scope 'query:read'"
    assert (403, "authentication_error", "permission_denied", sentence) == envelope(answer)


@pytest.mark.parametrize("key", ["phx_reader", "phx_writer"])
def test_scope_to_write_includes_reading(served: Served, key: str) -> None:
    """Either scope opens a route that reads."""
    assert 200 == served.call("GET", ECHO, key=key).status_code


def test_project_that_does_not_exist(served: Served) -> None:
    """404, and not 403."""
    answer = served.call("GET", "/api/projects/99/echo/")

    assert (404, "invalid_request", "not_found", "Project not found.") == envelope(answer)


def test_key_for_other_projects_is_refused(served: Served) -> None:
    """403 with the project's id."""
    status, _, code, detail = envelope(served.call("GET", ECHO, key="phx_second"))

    assert (403, "permission_denied") == (status, code)
    assert "ID 1" in detail


def test_current_project_follows_the_selection(served: Served) -> None:
    """`@current` is another project as soon as the key's owner selects another."""
    first = served.call("GET", "/api/projects/@current/echo/").json()["project"]
    projects = served.world.projects
    projects[1] = projects.pop(1)  # now the second is the first
    try:
        second = served.call("GET", "/api/projects/@current/echo/").json()["project"]
    finally:
        projects[2] = projects.pop(2)

    assert (1, 2) == (first, second)


def test_old_path_redirects_with_method_and_body(served: Served) -> None:
    """`/api/environments/` answers 307 to `/api/projects/`, query string included."""
    answer = served.call("POST", "/api/environments/1/echo/?a=b", json={"n": 1})
    followed = served.call("POST", "/api/environments/1/echo/?a=b", json={"n": 1}, allow_redirects=True)

    assert (307, "/api/projects/1/echo/?a=b") == (answer.status_code, answer.headers["Location"])
    assert ({"a": "b"}, {"n": 1}) == (followed.json()["query"], followed.json()["body"])


def test_new_products_were_never_below_the_old_path(served: Served) -> None:
    """File downloads are served below projects only."""
    answer = served.call("POST", "/api/environments/1/file_download_batch_exports/")

    assert (404, "invalid_request", "not_found", "Endpoint not found.") == envelope(answer)


def test_trailing_slash_is_optional(served: Served) -> None:
    """PostHog's router takes both, without a redirect."""
    assert 200 == served.call("POST", ECHO.rstrip("/"), json={}).status_code


def test_fixed_path_wins_over_a_parameter(served: Served) -> None:
    """The order in which modules declare routes does not matter."""
    assert {"word": "other"} == served.call("GET", "/api/projects/1/echo/other/").json()["params"]
    assert "results" in served.call("GET", "/api/projects/1/echo/fixed/").json()


def test_unknown_path_below_api_has_the_envelope(served: Served) -> None:
    """Even without a key."""
    answer = served.call("GET", "/api/nowhere/", key=None)

    assert (404, "invalid_request", "not_found", "Endpoint not found.") == envelope(answer)


def test_other_paths_lead_to_the_web_application(served: Served) -> None:
    """A client with a wrong base path is redirected to a page of HTML."""
    answer = served.call("GET", "/projects/1/query", allow_redirects=True)

    assert (200, "text/html; charset=utf-8") == (answer.status_code, answer.headers["Content-Type"])


def test_method_that_is_not_allowed(served: Served) -> None:
    """405 says which ones are."""
    answer = served.call("DELETE", ECHO)

    assert (405, "invalid_request", "method_not_allowed", 'Method "DELETE" not allowed.') == envelope(answer)
    assert "GET, HEAD, OPTIONS, POST" == answer.headers["Allow"]


def test_body_that_is_not_json(served: Served) -> None:
    """400 parse_error, with the parser's words."""
    answer = served.call("POST", ECHO, data=b'{"a":', headers={"Content-Type": "application/json"})

    status, type_, code, detail = envelope(answer)
    assert (400, "invalid_request", "parse_error") == (status, type_, code)
    assert detail.startswith("JSON parse error - ")


def test_body_that_does_not_say_it_is_json(served: Served) -> None:
    """415, as JSON without its media type is not looked at."""
    answer = served.call("POST", ECHO, data=b"{}", headers={"Content-Type": "text/plain"})

    assert (415, "unsupported_media_type") == (answer.status_code, answer.json()["code"])


def test_bug_in_a_handler_is_a_500_and_is_logged(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """The client sees PostHog's plain 500, and whoever runs the emulator sees the traceback."""
    with caplog.at_level(logging.ERROR):
        answer = served.call("GET", "/api/projects/1/broken/")

    assert (500, "server_error", "error", "A server error occurred.") == envelope(answer)
    assert "ZeroDivisionError" in caplog.text
