"""All that a call can fail with, and the status a client sees: one table, looked up by class.

Anything that is not in the table is a bug: INTERNAL, with the whole error in the log and none of it on the wire.
"""

import logging
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from interests.errors import BrokerUnavailable, BundleRejected, Fenced, InvalidRequest, PluralError, StoreUnavailable

log = logging.getLogger(__name__)


class LimitReached(PluralError):
    """Something bounded is full: streams, streams of one user, calls waiting for the log. Says which and the limit."""


class CallTooLong(PluralError):
    """A call that took longer than the server lets any call take."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The status code, and after how many seconds it is worth trying again; None: trying again will not help."""

    code: grpc.StatusCode
    retry_s: float | None = None


STATUS: dict[type[Exception], Answer] = {
    InvalidRequest: Answer(grpc.StatusCode.INVALID_ARGUMENT),
    StoreUnavailable: Answer(grpc.StatusCode.UNAVAILABLE, retry_s=1.0),
    BrokerUnavailable: Answer(grpc.StatusCode.UNAVAILABLE, retry_s=1.0),
    BundleRejected: Answer(grpc.StatusCode.FAILED_PRECONDITION),
    Fenced: Answer(grpc.StatusCode.UNAVAILABLE, retry_s=0.2),
    LimitReached: Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_s=1.0),
    CallTooLong: Answer(grpc.StatusCode.DEADLINE_EXCEEDED),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What is sent for one error."""

    code: grpc.StatusCode
    message: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


def to_failure(error: Exception, method: str) -> Failure:
    """The status for `error` with its details (RetryInfo, BadRequest); an error outside the table is logged whole."""
    answer = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    if answer is None:
        log.error("a call failed for a reason that nobody foresaw", extra={"method": method}, exc_info=error)
        return Failure(grpc.StatusCode.INTERNAL, "internal error; the server's log has it", ())
    # Callers' mistakes and outages come by the thousand: metrics count them, whoever noticed the outage logs it once.
    log.debug("call refused", extra={"method": method, "code": answer.code.name, "reason": str(error)})
    details: list[Message] = []
    if answer.retry_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(round(answer.retry_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if isinstance(error, InvalidRequest):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.problem)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    return Failure(answer.code, str(error), _trailing_metadata(answer.code, str(error), details))


def _trailing_metadata(
    code: grpc.StatusCode, message: str, details: list[Message]
) -> tuple[tuple[str, str | bytes], ...]:
    if not details:
        return ()
    packed = []
    for detail in details:
        any_detail = any_pb2.Any()
        any_detail.Pack(detail)
        packed.append(any_detail)
    status = status_pb2.Status(code=code_pb2.Code.Value(code.name), message=message, details=packed)
    return tuple((str(key), value) for key, value in rpc_status.to_status(status).trailing_metadata)
