"""The model that comes with kerasgan: the word `demo` in place of a run or a file.

`benchmarks/demo_model.py` makes it, of a phantom alone. It is a TFLite file, which starts at once, on a device too.
"""

from __future__ import annotations

from pathlib import Path

from kerasgan.errors import KerasganError

DEMO = "demo"
FILE = Path(__file__).parent / "demo.tflite"


def place_of_model(text: str) -> Path:
    """The file or folder of a model, as a user names it.

    Args:
        text: A path, or `"demo"` for the model that comes with kerasgan.

    Raises:
        KerasganError: For `"demo"` where a file or folder of that name could be meant as well.

    Example:
        >>> place_of_model("runs/first").as_posix(), place_of_model("demo").name
        ('runs/first', 'demo.tflite')
    """
    if text != DEMO:
        return Path(text)
    if Path(text).exists():
        raise KerasganError(
            f"{DEMO} is the model that comes with kerasgan, and {Path(text).resolve()} exists, too. Write ./{DEMO} for "
            "what is there, or give the command in another folder for the model."
        )
    return FILE
