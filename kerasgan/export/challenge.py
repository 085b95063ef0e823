"""A folder from which the container of an entry to a challenge is built: the package, a model and a Dockerfile."""

from __future__ import annotations

import zipfile
from importlib import metadata
from pathlib import Path

from kerasgan.errors import ExportError
from kerasgan.export.packing import pack
from kerasgan.files import staging_folder
from kerasgan.runs.run import load_run
from kerasgan.translation import synthrad

MODEL = "model.kgan"
_BASE = "python:3.12-slim"

_DOCKERFILE = """# Build: docker build -t {name} .
# Try:   docker run --rm --network none -v "$PWD/test/input:/input:ro" -v "$PWD/test/output:/output" {name}
FROM {base}
COPY {wheel} /tmp/
RUN pip install --no-cache-dir '/tmp/{wheel}{extra}' && rm /tmp/{wheel}
RUN useradd --create-home algorithm && mkdir -p /input /output && chown algorithm /output
USER algorithm
COPY --chown=algorithm {model} /opt/algorithm/{model}
ENV KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=2
ENTRYPOINT ["python", "-m", "{module}", "/opt/algorithm/{model}"]
"""

_README = """# An entry for SynthRAD

`Dockerfile` builds a container that reads `/input/images/mri/*.mha` and writes `/output/images/synthetic-ct/*.mha` and
`/output/results.json`, by the model `{model}` ({size:.1f} MB), which `kerasgan info {model}` describes. It needs
neither a network nor a GPU when it runs.

```
docker build -t {name} .
docker save {name} | gzip -c > {name}.tar.gz     # what is uploaded
```

Without Docker, the same is done by `python -m {module} {model} ROOT`, where the folder ROOT holds `input` and `output`.

{statement}
"""


def synthrad_folder(run_path: str | Path, folder: str | Path) -> Path:
    """Writes a folder with what a container for a SynthRAD challenge needs.

    Args:
        run_path: A run with a generator from MR to CT.
        folder: A new folder.

    Returns:
        The folder: `Dockerfile`, `README.md`, the wheel of the installed package and the pack of the run.

    Raises:
        ExportError: For a folder that exists, a run that does not make CT, or a package that is not installed whole.
        RunError: For a run without weights.

    Example (needs a trained run):

        synthrad_folder("runs/first", "entry")
    """
    run, folder = load_run(run_path), Path(folder)
    if folder.exists():
        raise ExportError(f"{folder} exists and is not overwritten; remove it or choose another name.")
    if (run.facts.modalities["a"], run.facts.modalities["b"]) != ("MR", "CT") or "ab" not in run.facts.directions:
        raise ExportError("The challenge asks for CT from MR, which this run has not learnt. Name another run.")
    with staging_folder(folder) as staging:
        staged = staging / folder.name
        staged.mkdir()
        wheel = write_wheel(staged)
        size = pack(run_path, staged / MODEL).stat().st_size
        extras = metadata.metadata("kerasgan").get_all("Provides-Extra") or []
        words = {
            "name": "synthetic-ct",
            "base": _BASE,
            "wheel": wheel.name,
            "extra": "[cpu]" if "cpu" in extras else "",
            "model": MODEL,
            "module": synthrad.__name__,
            "size": size / 1e6,
            "statement": "Not a medical device: the images are synthetic, for research, and not for diagnosis.",
        }
        (staged / "Dockerfile").write_text(_DOCKERFILE.format(**words))
        (staged / "README.md").write_text(_README.format(**words))
        staged.rename(folder)
    return folder


def write_wheel(folder: Path) -> Path:
    """Writes the installed package as the wheel that it came from, without what was compiled or added since.

    Raises:
        ExportError: For a package that is installed from a checkout with `-e`, whose files are elsewhere.
    """
    package = metadata.distribution("kerasgan")
    files = [
        file
        for file in package.files or []
        if file.parts[0] != ".." and "__pycache__" not in file.parts and file.name not in ("INSTALLER", "REQUESTED")
    ]
    if not any(file.parts[0] == "kerasgan" for file in files):
        raise ExportError(
            "The package is installed from a checkout (-e), so that its files make no wheel. Install it by pip install "
            "and the path of the checkout, without -e."
        )
    wheel = folder / f"kerasgan-{package.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            if file.name not in ("direct_url.json", "RECORD"):
                archive.write(str(file.locate()), file.as_posix())
        record = next(file for file in files if file.name == "RECORD")
        names = set(archive.namelist())
        lines = [line for line in record.read_text().splitlines() if line.split(",")[0] in names | {record.as_posix()}]
        archive.writestr(record.as_posix(), "\n".join(lines) + "\n")
    return wheel
