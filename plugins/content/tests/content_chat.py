"""A chat endpoint that answers as a test says, for what the sandbox does not do: certain bytes, and at certain calls."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import msgspec


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent back; a body that is longer than it says, or shorter, is made by `headers`."""

    status: int = 200
    headers: dict[str, str] = {}
    body: bytes = b""


def completion(**fields: object) -> Reply:
    """An answer with a text of a post, as a model gives it."""
    text = {"hook": "One chair", "body": "Forty hours of work.", "hashtags": ["#oak", "craft"], **fields}
    return raw(json.dumps(text))


def raw(content: object, *, finish: str = "stop") -> Reply:
    message = {"role": "assistant", "content": content, "refusal": None}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    return Reply(body=json.dumps(body).encode())


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One call: its headers, in lower case, and its body."""

    path: str
    headers: dict[str, str]
    body: dict[str, object]

    @property
    def brief(self) -> dict[str, object]:
        """What the user's message describes."""
        return json.loads(self.body["messages"][-1]["content"])


class Chat:
    """The endpoint, for as long as the `with` block lasts.

    Args:
        reply: Called with the call's number, from 1, on a thread of its own; what it waits for, the client waits for.
    """

    def __init__(self, reply: Callable[[int], Reply] = lambda _: completion()) -> None:
        self.reply = reply
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._server = _Server(self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="chat", args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, asked: Asked) -> int:
        with self._lock:
            self.asked.append(asked)
            return len(self.asked)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        chat = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(path=self.path, headers=headers, body=json.loads(body))
                reply = chat.reply(chat._take(asked))
                self.send_response_only(reply.status)  # no date of its own
                for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    """Says nothing of clients that were killed in the middle of a call."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    def handle_error(self, request: object, client_address: object) -> None:
        pass
