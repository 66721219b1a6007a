"""One call as it came in, who made it, and the refusal that may answer it."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl

PIECE = 256 * 1024


@dataclass
class Principal:
    """Somebody that IAM knows."""

    arn: str
    """As GetCallerIdentity shows it."""
    source: str
    """The ARN of the user or role whose policies count."""
    id: str
    """The unique id."""


class Refusal(Exception):
    """What AWS says instead of doing it. `code` is STS's name; other services have other names for some."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass
class Answer:
    """An answer: `body` is bytes, or pieces of them."""

    status: int
    headers: list = field(default_factory=list)
    body: object = b""


class Call:
    """A request, and what is learned of it on the way, for the log."""

    def __init__(self, environ):
        self.environ = environ
        self.method = environ["REQUEST_METHOD"]
        self.host = environ.get("HTTP_HOST", "").split(":")[0]
        self.path, _, self.query = environ["REQUEST_URI"].partition("?")
        self.headers = headers(environ)
        self.action = self.who = self.code = ""
        self._body = None
        self._pieces = self._arriving()

    def pieces(self):
        """The body as it arrives, once: for what is not to be held in memory."""
        return self._pieces

    def _arriving(self):
        stream = self.environ["wsgi.input"]
        if self.environ.get("wsgi.input_terminated"):
            while piece := stream.read(PIECE):
                yield piece
            return
        left = int(self.headers.get("content-length") or 0)
        while left > 0 and (piece := stream.read(min(PIECE, left))):
            left -= len(piece)
            yield piece

    def body(self):
        """The whole body."""
        if self._body is None:
            self._body = b"".join(self.pieces())
        return self._body

    def fields(self):
        """The parameters of the query."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def header(self, name):
        return self.headers.get(name, "")


def headers(environ):
    """The headers by lower-case name."""
    found = {name[5:]: value for name, value in environ.items() if name.startswith("HTTP_")}
    found |= {name: environ[name] for name in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(name)}
    return {name.replace("_", "-").lower(): value for name, value in found.items()}
