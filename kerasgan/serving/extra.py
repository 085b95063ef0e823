"""The packages that only serving needs."""

from __future__ import annotations

from importlib.util import find_spec

from kerasgan.errors import ServingError

SERVER = {
    "grpc": "grpcio",
    "tensorflow_serving": "tensorflow-serving-api",
    "starlette": "starlette",
    "uvicorn": "uvicorn",
}
GRPC_CLIENT = {"grpc": "grpcio", "tensorflow_serving": "tensorflow-serving-api"}
REST_CLIENT = {"requests": "requests"}


def require(modules: dict[str, str]) -> None:
    """Makes sure that modules can be imported, without importing them.

    Args:
        modules: Names of modules, and of the packages that hold them.

    Raises:
        ServingError: Where one is missing.
    """
    missing = [package for module, package in modules.items() if find_spec(module) is None]
    if missing:
        raise ServingError(f"This needs {', '.join(missing)}; install it with: pip install 'kerasgan[serving]'")
