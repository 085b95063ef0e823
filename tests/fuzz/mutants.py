"""Damages scans in random ways and reads them: nothing but a scan within bounds, or one clear error, may come of it.

    python tests/fuzz/mutants.py                                    10,000 DICOM files, 1,000 images, 300 series
    python tests/fuzz/mutants.py --kind dicom --count 500 --keep failing

A mutant is made from its kind and number alone, so that a failing one can be made again. Each is read in another
process, which is replaced when it ends or takes too long. A fault is an exception other than `KerasganError`, the end
of the process, more than 20 s, more than 2 GB of memory, or a volume whose values or geometry no scan has.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import queue
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_up_series import head, write_series

from kerasgan.errors import KerasganError
from kerasgan.io.dicom import read_series
from kerasgan.io.discovery import discover
from kerasgan.scans import bounds

COUNTS = {"dicom": 10_000, "image": 1_000, "series": 300}
SECONDS, MEMORY = 20, 2 * 10**9
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
_COMPRESSED = tuple(map(UID, ("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90")))
_RLE = UID("1.2.840.10008.1.2.5")
_NUMBERS = (
    *("", "0", "-1", "1e400", "nan", "-inf", "1,5", "1.5", "one", "99999999999999999999", "0.0000001", "65535", "\\"),
    *("1\\2", "1\\2\\3", "1000000\\1", "1\\0\\0\\0\\1\\0", "1\\0\\0\\1\\0\\0", "nan\\nan\\nan", " ", "\0", "7" * 70),
)
_WORDS = (
    *_NUMBERS,
    "A" * 70_000,
    "../../etc",
    "\x1b[2J",
    "\udcff\ufffd",
    "1.2.840.10008.5.1.4.1.1.4",
    "CT",
    "MR",
    "PT",
)
_INTEGERS = (0, 1, 2, 7, 8, 12, 15, 16, 31, 32, 64, 4096, 32768, 65535)


def originals(folder: Path) -> dict[str, list[Path]]:
    """Whole files: DICOM in eight transfer syntaxes and without a preamble, NIfTI, MetaImage and NRRD; and a series."""
    files: dict[str, list[Path]] = {"dicom": [], "image": [], "series": []}
    for modality in ("CT", "MR"):
        array = head((8, 24, 20), modality=modality)
        series = write_series(folder / modality, array, modality=modality)
        files["series"] += sorted(series.iterdir())
        plain = pydicom.dcmread(files["series"][-1])
        files["dicom"].append(files["series"][-1])
        for syntax in (*_NATIVE, _RLE, *_COMPRESSED):
            files["dicom"].append(folder / f"{modality}-{syntax.name.split(',')[0].replace(' ', '')}-{syntax[-2:]}.dcm")
            _write_as(plain, syntax, files["dicom"][-1])
        files["dicom"].append(folder / f"{modality}-no-preamble.dcm")
        files["dicom"][-1].write_bytes(files["series"][-1].read_bytes()[132:])
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((1.5, 2.0, 3.0))
        for suffix in (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr"):
            files["image"].append(folder / f"{modality}{suffix}")
            sitk.WriteImage(image, str(files["image"][-1]), useCompression=suffix in (".nii.gz", ".mha", ".nrrd"))
    return files


def _write_as(plain: Dataset, syntax: UID, path: Path) -> None:
    """A slice in another transfer syntax."""
    dataset = pydicom.dcmread(io.BytesIO(_bytes(plain)))
    if syntax in _NATIVE:
        if syntax == ExplicitVRBigEndian:
            dataset["PixelData"].value = dataset.pixel_array.astype(">i2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        little, implicit = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
        pydicom.dcmwrite(path, dataset, little_endian=little, implicit_vr=implicit, enforce_file_format=True)
        return
    source = path.with_suffix(".plain")
    source.write_bytes(_bytes(plain))
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    if not reader.Read():
        raise RuntimeError(f"GDCM cannot read {source}")
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise RuntimeError(f"GDCM cannot write {syntax.name}")
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    if not writer.Write():
        raise RuntimeError(f"GDCM cannot write {path}")
    source.unlink()


def _bytes(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _flipped(content: bytes, draw: random.Random) -> bytes:
    """Some bytes changed, mostly in the header."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        end = len(changed) if draw.random() < 0.3 else min(len(changed), 1600)
        changed[draw.randrange(end)] = draw.choice((0, 255, draw.randrange(256)))
    return bytes(changed)


def _cut(content: bytes, draw: random.Random) -> bytes:
    """The end is missing."""
    return content[: draw.randrange(len(content))]


def _moved(content: bytes, draw: random.Random) -> bytes:
    """A piece is removed, repeated or overwritten with zeros."""
    start = draw.randrange(len(content))
    end = min(len(content), start + draw.choice((1, 2, 8, 64, 512)))
    return content[:start] + draw.choice((b"", content[start:end] * 2, bytes(end - start))) + content[end:]


def _other_elements(content: bytes, draw: random.Random) -> bytes:
    """Some DICOM elements have a value that nobody expects, another representation, or are missing."""
    dataset = pydicom.dcmread(io.BytesIO(content), force=True)
    for _ in range(draw.choice((1, 1, 2, 3))):
        tag = draw.choice(list(dataset.keys()))
        vr = dataset[tag].VR
        if draw.random() < 0.25:
            del dataset[tag]
        elif vr in ("US", "SS"):
            dataset[tag] = DataElement(tag, vr, draw.choice(_INTEGERS))
        elif draw.random() < 0.05:
            dataset[tag] = DataElement(tag, "SQ", [Dataset()])
        elif vr not in ("OW", "OB", "SQ"):
            dataset[tag] = DataElement(tag, "UN", draw.choice(_WORDS).encode("utf-8", "surrogateescape"))
            dataset[tag].VR = vr if draw.random() < 0.5 else draw.choice(("LO", "DS", "IS", "FD"))
        else:
            dataset[tag].value = dataset[tag].value[: draw.randrange(64)]
    buffer = io.BytesIO()
    try:
        dataset.save_as(buffer, enforce_file_format=False)
    except Exception:  # pydicom refuses to write the value: the file is damaged on the level of bytes
        return _flipped(content, draw)
    return buffer.getvalue()


def _other_fields(content: bytes, draw: random.Random) -> bytes:
    """A number or word of a MetaImage's header is replaced; a NIfTI's header is filled with extreme numbers."""
    if b"NDims" in content[:400]:
        lines = content.split(b"\n", 14)
        row = draw.randrange(min(12, len(lines)))
        name, _, _ = lines[row].partition(b" = ")
        lines[row] = name + b" = " + draw.choice(_WORDS[:-4]).replace("\\", " ").encode("utf-8", "surrogateescape")
        return b"\n".join(lines)
    changed = bytearray(content)
    offset = draw.choice((0, 40, 42, 44, 46, 48, 70, 72, 76, 80, 84, 88, 108, 112, 116, 252, 254, 256, 280, 344))
    value = draw.choice((0.0, -1.0, np.nan, np.inf, 1e-30, 1e30, 1e4))
    whole = np.array(draw.choice((0, -1, 1, 3, 7, 512, 32767)), "<i2").tobytes()
    raw = whole if offset < 76 or 250 < offset < 256 else np.array(value, "<f4").tobytes()
    changed[offset : offset + len(raw)] = raw
    return bytes(changed)


def mutant(kind: str, number: int, files: dict[str, list[Path]], folder: Path) -> None:
    """Writes the mutant of a number into a new folder: a damaged file, or a series of which some files are damaged."""
    draw = random.Random(f"{kind} {number}")
    folder.mkdir()
    own = _other_fields if kind == "image" else _other_elements
    ways: list[Callable[[bytes, random.Random], bytes]] = [_flipped, _cut, _moved, own, own, own]

    def damage(path: Path) -> bytes:
        content = path.read_bytes()
        zipped = path.suffix == ".gz" and draw.random() < 0.7  # what is inside is damaged, and the checksum is right
        content = subprocess.run(["gzip", "-dc"], input=content, capture_output=True).stdout if zipped else content
        for _ in range(draw.choice((1, 1, 2))):
            try:
                content = draw.choice(ways)(content, draw)
            except Exception:  # what the way before left is no DICOM any more
                content = _flipped(content or b"\0", draw)
        return subprocess.run(["gzip", "-c"], input=content, capture_output=True).stdout if zipped else content

    if kind != "series":
        path = draw.choice(files[kind])
        (folder / path.name).write_bytes(damage(path))
        if path.suffix == ".mhd" and draw.random() < 0.7:
            shutil.copy(path.with_suffix(".raw"), folder)
        return
    modality = draw.choice(("CT", "MR"))
    for path in files[kind]:
        if path.parent.name == modality:
            hit = draw.random() < draw.choice((0.15, 0.5))
            (folder / path.name).write_bytes(damage(path) if hit else path.read_bytes())


def read(folder: Path) -> str:
    """Reads all that a folder holds; returns `scan`, `refused` or what is wrong."""
    outcome = "refused"
    try:
        series = discover(folder)
    except KerasganError:
        return outcome
    for one in series:
        try:
            volume = read_series(one)
        except KerasganError:
            continue
        outcome = "scan"
        fault = bounds.values_fault(volume.array, volume.modality) or bounds.spacing_fault(volume.spacing_mm, "spacing")
        fault = fault or bounds.position_fault(volume.origin_mm, "origin")
        if fault:
            return f"nonsense: {fault}"
    return outcome


def work() -> None:
    """Answers the folders that come on standard input with a line of JSON each."""
    logging.disable()
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, resource.RLIM_INFINITY))
    for line in sys.stdin:
        try:
            answer = read(Path(line.rstrip("\n")))
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps(answer), flush=True)  # noqa: T201  the parent reads it


def outcomes(kind: str, numbers: range, folder: Path, keep: Path | None = None) -> Iterator[tuple[int, str]]:
    """What each mutant of a kind came to; those with a fault are kept where a folder for them is named."""
    warnings.filterwarnings("ignore", module="pydicom")  # its remarks on the values that damage a file
    originals_folder = folder / "originals"
    originals_folder.mkdir(parents=True)
    files = originals(originals_folder)
    process, answers = None, queue.Queue()
    for number in numbers:
        if process is None or process.poll() is not None:
            process = subprocess.Popen(
                [sys.executable, __file__, "--work"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            answers = queue.Queue()
            threading.Thread(target=_listen, args=(process, answers), daemon=True).start()
            process.stdin.write(f"{originals_folder / 'MR'}\n")  # so that loading the package counts for no mutant
            process.stdin.flush()
            if json.loads(answers.get(timeout=300)) != "scan":
                raise RuntimeError("The undamaged series cannot be read.")
        scan = folder / f"{kind}-{number}"
        mutant(kind, number, files, scan)
        process.stdin.write(f"{scan}\n")
        process.stdin.flush()
        try:
            answer = answers.get(timeout=SECONDS)
            outcome = json.loads(answer) if answer else f"the process ended with {process.wait()}"
        except queue.Empty:
            outcome = f"more than {SECONDS} s"
            process.kill()
            process.wait()
        yield number, outcome
        if keep is not None and outcome not in ("scan", "refused"):
            shutil.copytree(scan, keep / scan.name)
        shutil.rmtree(scan)
    if process is not None:
        process.communicate()


def _listen(process: subprocess.Popen[str], answers: queue.Queue[str]) -> None:
    for line in process.stdout:
        answers.put(line)
    answers.put("")


def main() -> int:
    """Reads the mutants and lists the faults; exits with 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=COUNTS, help="this kind only")
    parser.add_argument("--start", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--count", type=int, help="number of mutants of each kind")
    parser.add_argument("--keep", type=Path, help="a folder for the mutants with a fault")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return 0
    faults = 0
    for kind in [options.kind] if options.kind else COUNTS:
        numbers = range(options.start, options.start + (options.count or COUNTS[kind]))
        counts: dict[str, int] = {"scan": 0, "refused": 0}
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, tqdm(total=len(numbers), desc=kind) as bar:
            for number, outcome in outcomes(kind, numbers, Path(folder), options.keep):
                bar.update()
                if outcome in counts:
                    counts[outcome] += 1
                else:
                    faults += 1
                    bar.write(f"{kind} {number}: {outcome}")
        sys.stdout.write(
            f"{kind}: {counts['scan']} read, {counts['refused']} refused, "
            f"{len(numbers) - sum(counts.values())} faults, {time.monotonic() - began:.0f} s\n"
        )
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
