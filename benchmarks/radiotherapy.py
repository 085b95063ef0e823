"""Loads synthetic CT series with programs by which radiotherapists load CT, and compares geometry and values.

    python benchmarks/radiotherapy.py --pythons ENVIRONMENT/bin/python ...

A phantom's head is written as an oblique sagittal MR series and translated by the model of the package, once on its own
slices and once with `--axial`. Each program then loads both series, in the first of the interpreters that has it: they
want other versions of pydicom than kerasgan does, and than each other. What they give is compared with the values and
the geometry that kerasgan wrote, and the table on the page about clinics is written anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bench
import numpy as np

DOCS = Path(__file__).resolve().parents[1] / "docs"
SERIES: dict[str, list[str]] = {"its own slices": [], "axial": ["--axial", "2"]}  # with the options that write it
TURN = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]])  # makes a sagittal series an oblique one
BONE_HU = 300
SAME_PLACE_MM = 1e-4  # some programs compute places in 32 bits

Loaded = tuple[np.ndarray, np.ndarray]  # HU [slices, rows, columns]; [4, 4], from their indices (x, y, z) to mm


def write_scan(folder: Path) -> None:
    """Writes an MR of a phantom's head as an oblique sagittal series; square, since rt-utils reads no other back."""
    import pydicom

    from kerasgan.phantom import Grid, make_head, render_mr
    from kerasgan.phantom.dicom import SeriesIdentity, write_series
    from kerasgan.scans.geometry import oriented

    mr = render_mr(make_head(1, Grid((88, 88, 88), (2.5, 2.5, 2.5))), seed=1)
    write_series(oriented(mr, "PIR"), SeriesIdentity("900_S_0001", "T1", 1, "benchmark"), folder)
    for path in folder.glob("*.dcm"):
        image = pydicom.dcmread(path)
        image.ImageOrientationPatient = (np.reshape(image.ImageOrientationPatient, (2, 3)) @ TURN.T).ravel().tolist()
        image.ImagePositionPatient = [f"{value:.9f}"[:16] for value in TURN @ image.ImagePositionPatient]
        image.save_as(path)


def by_simpleitk(folder: Path) -> Loaded:
    """An image series, as most programs read one: by GDCM."""
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return _of_image(reader.Execute())


def by_platipy(folder: Path) -> Loaded:
    """The crawler of platipy, which makes images of a folder of DICOM files."""
    import SimpleITK as sitk
    from platipy.dicom.io.crawl import process_dicom_directory

    with tempfile.TemporaryDirectory() as output:
        process_dicom_directory(folder, output_directory=output)
        (path,) = Path(output).rglob("*.nii.gz")
        return _of_image(sitk.ReadImage(str(path)))


def by_pyradplan(folder: Path) -> Loaded:
    """The CT of a plan in pyRadPlan, the Python version of matRad."""
    from pyRadPlan import load_data

    return _of_image(load_data(folder)["ct"].cube_hu)


def by_dicompyler(folder: Path) -> Loaded:
    """The parser of dicompyler, slice by slice."""
    from dicompylercore.dicomparser import DicomParser

    slices = sorted((DicomParser(str(path)) for path in folder.glob("*.dcm")), key=lambda one: one.GetImageLocation())
    images = []
    for one in slices:
        intercept, slope = map(float, one.GetRescaleInterceptSlope())
        images.append(one.GetPixelArray() * slope + intercept)
    found = [one.GetImageData() for one in slices[:2]]
    first, second = (np.array(one["position"], float) for one in found)
    along_columns, along_rows = np.reshape(found[0]["orientation"], (2, 3)).astype(float)
    rows_mm, columns_mm = map(float, found[0]["pixelspacing"])
    affine = np.eye(4)
    affine[:3] = np.stack([along_columns * columns_mm, along_rows * rows_mm, second - first, first], axis=1)
    return np.stack(images), affine


def by_rt_utils(folder: Path) -> Loaded:
    """Bone as a structure that rt-utils writes on the series and reads back; 1 in place of HU."""
    from rt_utils import RTStructBuilder
    from rt_utils.image_helper import get_pixel_to_patient_transformation_matrix

    structures = RTStructBuilder.create_new(str(folder))
    series = structures.series_data
    hu = np.stack([one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in series])
    structures.add_roi(mask=(hu > BONE_HU).transpose(1, 2, 0), name="bone", approximate_contours=False)
    with tempfile.TemporaryDirectory() as output:
        structures.save(f"{output}/bone.dcm")
        bone = RTStructBuilder.create_from(str(folder), f"{output}/bone.dcm").get_roi_mask_by_name("bone")
    return bone.transpose(2, 0, 1), get_pixel_to_patient_transformation_matrix(series)


PROGRAMS: dict[str, tuple[str, str, Callable[[Path], Loaded]]] = {  # module, what it loads, how
    "SimpleITK": ("SimpleITK", "the image", by_simpleitk),
    "platipy": ("platipy", "the image", by_platipy),
    "pyRadPlan": ("pyRadPlan", "the CT of a plan", by_pyradplan),
    "dicompyler-core": ("dicompylercore", "each slice", by_dicompyler),
    "rt-utils": ("rt_utils", f"bone above {BONE_HU} HU as RTSTRUCT, written and read back", by_rt_utils),
}


def _of_image(image: Any) -> Loaded:
    import SimpleITK as sitk

    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), affine


def load(program: str, pythons: list[Path], folder: Path, output: Path) -> str:
    """Lets a program load a series in a process of its own, and returns the program's version.

    Raises:
        SystemExit: Where no interpreter has the program.
    """
    module, _, _ = PROGRAMS[program]
    for python in pythons:
        if subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0:
            command = [python, __file__, "--task", program, str(folder), str(output)]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    sys.exit(f"None of {', '.join(map(str, pythons))} has {program}. Install it there: pip install {program}")


def compare(program: str, loaded: Loaded, volume: Any) -> dict[str, Any]:
    """How far what a program loaded is from what was written: voxels, and mm at the corner where it is farthest."""
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = volume.direction * volume.spacing_mm, volume.origin_mm
    wanted = (volume.array > BONE_HU) if program == "rt-utils" else np.rint(volume.array)
    found, found_affine = loaded
    if found.shape != wanted.shape:
        return {"shape": found.shape, "wanted_shape": wanted.shape}
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(wanted.shape[::-1]) - 1)
    corners = np.column_stack([corners, np.ones(8)])
    apart = np.linalg.norm((corners @ (found_affine - affine).T)[:, :3], axis=1)
    return {
        "voxels": wanted.size,
        "different_voxels": int(np.count_nonzero(found != wanted)),
        "marked_voxels": int(np.count_nonzero(wanted)) if program == "rt-utils" else None,
        "farthest_mm": float(f"{apart.max():.2g}"),
    }


def main() -> None:
    """Writes the series, lets all programs load them, and writes the result and the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pythons", type=Path, nargs="+", default=[Path(sys.executable)], help="that have programs")
    options.add_argument("--print-only", action="store_true", help="leave the result and the page as they are")
    options.add_argument("--task", nargs=3, metavar=("PROGRAM", "FOLDER", "OUTPUT"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.task:
        program, folder, output = chosen.task
        array, affine = PROGRAMS[program][2](Path(folder))
        np.savez(output, array=array, affine=affine)
        print(version(program))
        return
    from kerasgan.io import read_volume

    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        scan, folder = Path(temporary, "scan"), Path(temporary, "ct")
        write_scan(scan)
        for number, (series, words) in enumerate(SERIES.items()):
            output = folder / str(number)
            translate = [sys.executable, "-m", "kerasgan", "translate", "demo", str(scan), str(output), *words]
            subprocess.run(translate, check=True, capture_output=True)
            volume = read_volume(output)
            for program in PROGRAMS:
                found = load(program, chosen.pythons, output, Path(temporary, "loaded.npz"))
                with np.load(Path(temporary, "loaded.npz")) as loaded:
                    compared = compare(program, (loaded["array"], loaded["affine"]), volume)
                rows.append({"program": program, "version": found, "series": series} | compared)
    print(table := shown(rows))
    if not chosen.print_only:
        content = {"machine": bench.machine(("kerasgan", "pydicom")), "rows": rows}
        (DOCS / "results" / "radiotherapy.json").write_text(json.dumps(content, indent=1) + "\n")
        bench.write("radiotherapy", table, DOCS / "clinic.md")


def shown(rows: list[dict[str, Any]]) -> str:
    """The table of the page: a line for each program."""
    lines = []
    for program, (_, what, _) in PROGRAMS.items():
        found = {row["series"]: row for row in rows if row["program"] == program}
        lines.append(
            [f"{program} {next(iter(found.values()))['version']}", what, *(_cell(found[series]) for series in SERIES)]
        )
    return bench.markdown(("program", "loads", *SERIES), lines)


def _cell(row: dict[str, Any]) -> str:
    if "voxels" not in row:
        return "another shape"
    values = (
        f"{row['different_voxels']:,} of {row['voxels']:,} voxels differ" if row["different_voxels"] else "same values"
    )
    return f"{values}, {'same place' if row['farthest_mm'] < SAME_PLACE_MM else str(row['farthest_mm']) + ' mm apart'}"


if __name__ == "__main__":
    main()
