"""Reads files for `kerasgan.io.reading`, in a process of its own.

It is run as a script, since multiprocessing would run a user's program once more, which need not be ready for that. The
first line on standard input has the module path, the modality and the orientation, each further one the paths of a
batch, and each answer is a line with their findings, all of it JSON.
"""

import json
import sys
from typing import BinaryIO


def answer(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers requests until there are no more."""
    sys.path[:], modality, orientation = json.loads(requests.readline())
    from pathlib import Path

    from kerasgan.io.findings import read_finding

    for line in requests:
        findings = [read_finding(Path(path), modality, orientation) for path in json.loads(line)]
        answers.write(json.dumps(findings).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    answer(sys.stdin.buffer, sys.stdout.buffer)
