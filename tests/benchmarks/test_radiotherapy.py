"""The table of programs of radiotherapy is that of the kept result, and another place or value would show in it."""

import json

import numpy as np
import radiotherapy

from kerasgan.scans.volume import Volume


def test_the_page_shows_the_kept_result():
    kept = json.loads((radiotherapy.DOCS / "results" / "radiotherapy.json").read_text())
    page = (radiotherapy.DOCS / "clinic.md").read_text()
    table = page.split("<!-- radiotherapy:begin -->\n")[1].split("\n<!-- radiotherapy:end -->")[0]
    assert table == radiotherapy.shown(kept["rows"])
    bone = [row["marked_voxels"] for row in kept["rows"] if row["program"] == "rt-utils"]
    assert len(bone) == len(radiotherapy.SERIES) and min(bone) > 1000  # an empty structure would be the same, too


def test_another_value_or_place_is_seen():
    volume = Volume(np.arange(24.0).reshape(2, 3, 4), (2, 2, 5), (10, 20, 30), modality="CT")
    affine = np.array([[2, 0, 0, 10], [0, 2, 0, 20], [0, 0, 5, 30], [0, 0, 0, 1.0]])
    same = radiotherapy.compare("SimpleITK", (volume.array, affine), volume)
    assert (same["different_voxels"], same["farthest_mm"]) == (0, 0) and radiotherapy._cell(same).startswith(
        "same values"
    )
    affine[2, 2] = 6  # the last slice is 1 mm higher
    moved = radiotherapy.compare("SimpleITK", (volume.array + np.eye(4)[3], affine), volume)
    assert (moved["different_voxels"], moved["farthest_mm"]) == (6, 1)
    assert radiotherapy._cell(moved) == "6 of 24 voxels differ, 1.0 mm apart"
