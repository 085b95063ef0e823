"""Keeps in docs/results/versions.json what `.ci/versions` found: `python .ci/keep_versions.py highest tests.tsv`."""

import json
import platform
import re
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

KEPT = Path(__file__).parents[1] / "docs/results/versions.json"

resolution, tests = sys.argv[1:]
entry = "lowest" if resolution == "lowest-direct" else ".".join(platform.python_version_tuple()[:2])
versions = {}
for name in sorted({re.split(r"[^\w.-]", wanted)[0].lower() for wanted in requires("kerasgan")} - {"kerasgan"}):
    with suppress(PackageNotFoundError):  # of an extra that was not asked for
        versions[name] = version(name)
results = dict(line.split("\t") for line in Path(tests).read_text().splitlines())
kept = json.loads(KEPT.read_text())
kept[entry] = {
    "python": platform.python_version(),
    "system": " ".join([platform.system(), platform.machine(), *platform.libc_ver()]),
    "tests": {test: re.sub(r"(, \d+ warnings?)? in [\d.]+s.*", "", last) for test, last in results.items()},
    "versions": versions,
}
KEPT.write_text(json.dumps(kept, indent=1) + "\n")
