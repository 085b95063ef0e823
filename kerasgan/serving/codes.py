"""The same refusal in gRPC and in HTTP, as TensorFlow Serving pairs them."""

from __future__ import annotations

HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
TOO_LARGE = 413
_CODES = {status: code for code, status in reversed(HTTP_STATUS.items())} | {TOO_LARGE: "RESOURCE_EXHAUSTED"}


def code_of(status: int) -> str:
    """The name of gRPC's code for an HTTP status; of 400, that of a bad argument."""
    return _CODES.get(status, "UNKNOWN")
