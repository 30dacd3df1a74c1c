"""Bearer tokens: `authorization: Bearer TOKEN` on every call but those to the health service.

A file holds one token a line; empty lines and lines that begin with # do not count. Tokens are kept and compared as
hashes, all of them each time, so that neither length nor order shows in how long it takes.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health

from interests.errors import SettingsRejected
from server.metrics import Metrics

TOKEN_CHARS_MIN = 16
_OPEN_TO_ALL = f"/{health.SERVICE_NAME}/"


def read_tokens(path: Path) -> list[bytes]:
    """The hashes of the tokens in a file. Raises SettingsRejected."""
    try:
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsRejected(f"--tokens-file {path}: cannot be read: {error}") from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not numbered:
        raise SettingsRejected(f"--tokens-file {path}: holds no token; write one a line")
    for number, token in numbered:
        if len(token) < TOKEN_CHARS_MIN or not token.isascii() or " " in token:
            problem = f"give at least {TOKEN_CHARS_MIN} ASCII characters without a space"
            raise SettingsRejected(f"--tokens-file {path}: line {number}: is no token; {problem}")
    return [_hash(token) for _, token in numbered]


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls without a good token: UNAUTHENTICATED, before the request is read."""

    def __init__(self, token_hashes: list[bytes], metrics: Metrics) -> None:
        self._token_hashes = token_hashes
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's own handler, or one of the same arity that refuses."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_OPEN_TO_ALL):
            return handler
        metadata = handler_call_details.invocation_metadata or ()
        given = next((value for key, value in metadata if key == "authorization"), "")
        if self._is_good(given):
            return handler
        self._metrics.unauthenticated.inc()
        return _refusal(handler)

    def _is_good(self, authorization: str | bytes) -> bool:
        text = authorization.decode(errors="replace") if isinstance(authorization, bytes) else authorization
        scheme, _, token = text.partition(" ")
        given = _hash(token.strip())
        found = [hmac.compare_digest(given, known) for known in self._token_hashes]
        return scheme.lower() == "bearer" and any(found)


def _refusal(handler: Any) -> Any:
    """grpc.aio takes a handler for what its two arity flags say, so a refusal must have those of the method."""

    async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "give a valid token: authorization: Bearer TOKEN")

    makers = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    return makers[handler.request_streaming, handler.response_streaming](refuse)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
