"""Translates every scan below a folder with a run, or with a .tflite file on a device without TensorFlow.

    python examples/translate_folder.py runs/first patients synthetic

Each DICOM series becomes a new series of its study, each NIfTI or MetaImage file a `.nii.gz` file. Scans that the model
does not take are listed with the reason.
"""

import argparse
from pathlib import Path

from kerasgan.io import discover, read_series, write_dicom, write_image
from kerasgan.translation.translate import open_translator


def translate_folder(model: Path, scans: Path, output: Path) -> list[Path]:
    """Translates all scans of the modalities that the model takes; returns what was written."""
    translator = open_translator(model)
    modalities = set(translator.sources().values())
    written = []
    for number, series in enumerate(discover(scans), 1):
        if not series.usable:
            print(f"scan {number}: left out, {series.reason}")
            continue
        source = read_series(series)
        if source.modality not in modalities:
            print(f"scan {number}: left out, {source.modality} where the model takes {' or '.join(modalities)}")
            continue
        synthetic, contract = translator.translate(source)
        place = output / f"scan-{number}"
        if source.source:  # the slices of a DICOM series
            write_dicom(synthetic, source, place, contract.series_description)
        else:
            place = place.with_suffix(".nii.gz")
            write_image(synthetic, place)
        low, high = synthetic.array.min(), synthetic.array.max()
        print(f"scan {number}: {source.modality} to {synthetic.modality}, {low:.0f} to {high:.0f}: {place}")
        written.append(place)
    return written


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", type=Path, help="a run directory or a .tflite file")
    options.add_argument("scans", type=Path, help="a folder of scans, at any depth")
    options.add_argument("output", type=Path, help="a new folder")
    translate_folder(**vars(options.parse_args()))
