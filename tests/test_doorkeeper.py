"""Who may come in over the network: by the server's names, from its own pages and those that were named."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from streamlit import config
from streamlit.web.server.starlette import starlette_websocket as streamlits

from pages import doorkeeper
from pages.doorkeeper import Doorkeeper, host_allowed, origin_allowed


@pytest.fixture(autouse=True)
def options() -> Iterator[Any]:
    """options(**{"server.allowedHosts": […]}) for one test; Streamlit's own checks read the same."""
    before: dict[str, Any] = {}

    def put(**values: Any) -> None:
        for name, value in values.items():
            full = f"server.{name}"
            before.setdefault(full, config.get_option(full))
            config.set_option(full, value)

    put(allowedHosts=["localhost", "127.0.0.1"], corsAllowedOrigins=[], baseUrlPath="", enableCORS=True)
    yield put
    for name, value in before.items():
        config.set_option(name, value)


HOSTS = [
    None,
    "",
    "localhost",
    "localhost:8501",
    "LOCALHOST.",
    "127.0.0.1:80",
    "evil.example",
    "evil.example:8501",
    "localhost.evil.example",
    "a@localhost",
    "a:b@localhost",
    "localhost/x",
    "localhost?x",
    "localhost#x",
    "localhost:x",
    "localhost:99999",
    "[::1]:8501",
    "[::1",
    "lab.example.org",
    "deep.lab.example.org",
    "example.org",
    ".example.org",
    "local host",
    "localhost,evil.example",
    "127.0.0.1:8501.evil.example",
]


@pytest.mark.parametrize(
    "allowed",
    [["localhost", "127.0.0.1"], [], ["*"], ["*.example.org"], [" Lab.Example.org. "], ["::1"]],
    ids=["default", "any", "star", "below a domain", "as one types", "IPv6"],
)
def test_a_host_is_judged_as_streamlit_judges_it(options: Any, allowed: list[str]) -> None:
    options(allowedHosts=allowed)
    ours = {host: host_allowed(host) for host in HOSTS}
    assert ours == {host: streamlits.is_host_allowed(host) for host in HOSTS}
    assert not ours["evil.example"] or allowed in ([], ["*"])


@pytest.mark.parametrize(
    ("origin", "host", "named", "welcome"),
    [
        ("http://localhost:8501", "localhost:8501", [], True),
        ("https://lab.example.org", "lab.example.org", [], True),
        ("http://localhost:9000", "localhost:8501", [], False),  # another program of this machine
        ("http://evil.example", "localhost:8501", [], False),
        (None, "localhost:8501", [], False),
        ("null", "localhost:8501", [], False),
        ("", "", [], False),
        ("file://localhost:8501", "localhost:8501", [], False),
        ("http://[", "localhost:8501", [], False),
        ("https://lab.example.org", "127.0.0.1:8501", ["https://lab.example.org"], True),
        ("https://LAB.example.org:443", "127.0.0.1:8501", [" https://lab.example.org "], True),
        ("http://lab.example.org", "127.0.0.1:8501", ["https://lab.example.org"], False),
        ("https://lab.example.org:9000", "127.0.0.1:8501", ["https://lab.example.org"], False),
        ("https://lab.example.org:9000", "127.0.0.1:8501", ["https://lab.example.org:9000"], True),
        ("https://lab.example.org:9000", "127.0.0.1:8501", ["lab.example.org"], True),
        ("https://lab.example.org:9000", "127.0.0.1:8501", ["lab.example.org:9000"], True),
        ("https://lab.example.org.evil.example", "127.0.0.1:8501", ["https://lab.example.org"], False),
        ("https://lab.example.org", "127.0.0.1:8501", ["https://[", "https://lab.example.org"], False),
        ("https://evil.example", "127.0.0.1:8501", ["", "*", "https://"], False),
    ],
)
def test_a_page_may_listen_if_it_is_ours_or_was_named(
    options: Any, origin: str | None, host: str, named: list[str], welcome: bool
) -> None:
    options(corsAllowedOrigins=named)
    assert origin_allowed(origin, host) is welcome
    options(enableCORS=False)
    assert origin_allowed(origin, host)


def test_forwarded_headers_are_not_believed(options: Any) -> None:
    told = {
        "host": "127.0.0.1:8501",
        "origin": "http://evil.example",
        "x-forwarded-host": "evil.example",
        "forwarded": "host=evil.example",
        "x-forwarded-server": "evil.example",
    }
    assert doorkeeper.refused(Headers(told)) == doorkeeper.FOREIGN
    assert doorkeeper.refused(Headers(told | {"host": "evil.example"})) == doorkeeper.HOST


async def _say(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.url.path, headers={"content-security-policy": "sandbox"})


APP = Doorkeeper(Starlette(routes=[Route("/layerlab/{name}", _say), Route("/live", _say), Route("/{rest:path}", _say)]))


def fetch(path: str, host: str = "localhost:8501") -> tuple[int, Headers, str]:
    """What the app answers to GET: status, headers, text."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", host.encode())],
        "scheme": "http",
    }
    asyncio.run(APP(scope, receive, send))
    return sent[0]["status"], Headers(raw=list(sent[0]["headers"])), b"".join(m["body"] for m in sent[1:]).decode()


def test_our_files_stand_under_the_base_path_too(options: Any) -> None:
    assert fetch("/lab/layerlab/live.js")[2] == "/lab/layerlab/live.js"
    options(baseUrlPath="/lab/")
    assert fetch("/lab/layerlab/live.js")[2] == "/layerlab/live.js"
    assert fetch("/layerlab/live.js")[2] == "/layerlab/live.js"
    assert fetch("/lab/train-live")[2] == "/lab/train-live"  # Streamlit sees to its own
    assert fetch("/laboratory/layerlab/x")[2] == "/laboratory/layerlab/x"
    assert fetch("/lab/lab/live")[2] == "/lab/lab/live"


def test_our_routes_answer_only_to_the_servers_names() -> None:
    for path in ("/layerlab/live.js", "/live"):
        status, _headers, text = fetch(path, "evil.example")
        assert status == 421 and "allowedHosts" in text
    assert fetch("/_stcore/health", "evil.example")[0] == 200


def test_only_own_pages_and_named_origins_may_frame(options: Any) -> None:
    _status, headers, _text = fetch("/")
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers.getlist("content-security-policy") == ["sandbox", "frame-ancestors 'self'"]
    options(corsAllowedOrigins=["https://course.example.org/", "bare.example.org"])
    _status, headers, _text = fetch("/layerlab/x")
    assert headers.getlist("content-security-policy")[1] == "frame-ancestors 'self' https://course.example.org"
    assert "x-frame-options" not in headers
