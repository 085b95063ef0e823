"""`kerasgan translate` of a folder with several series, by a TFLite file of a tiny model."""

import json

import pytest


@pytest.fixture
def archive(tmp_path, write_dicom, write_nifti):
    folder = tmp_path / "archive"
    write_dicom(folder / "p1", "MR", SeriesNumber=4)
    write_nifti(folder / "p2" / "mr.nii.gz", "MR", 1)
    write_dicom(folder / "p3", "CT")
    return folder


def test_a_folder_of_several_series(kerasgan, refused, former, archive, tmp_path):
    words = ["translate", former / "model.tflite", "archive", "out"]
    listed = kerasgan(*words, "--dry-run")
    assert listed.exit_code == 0, listed.output
    rows = [line.split() for line in listed.stdout.splitlines()[1:4]]
    assert [row[0] for row in rows] == ["p1", "p2/mr.nii.gz", "p3"] and rows[0][-1] == "p1/series-4-synthetic-ct"
    assert "left out" in listed.stdout and "model.tflite takes MR" in listed.stdout
    assert "3 series: 2 to translate, 1 left out. Nothing was written." in listed.stdout
    assert "in one process: a scan of 5 slices took" in listed.stdout and not (tmp_path / "out").exists()

    assert "out lies inside" in refused(*words[:3], "archive/out")
    result = kerasgan(*words)
    assert result.exit_code == 0, result.output
    assert "3 series: 1 left out, 2 done: out/manifest.csv. Synthetic, not for diagnosis" in result.stdout
    assert len(list((tmp_path / "out/p1/series-4-synthetic-ct").iterdir())) == 5
    assert "Doe" not in result.output + (tmp_path / "out/manifest.csv").read_text()

    (archive / "p4.mha").write_bytes(b"ObjectType = Image\n")
    result = kerasgan(*words, "--json")
    assert result.exit_code == 1 and "Warning: p4.mha: " in result.stderr
    content = json.loads(result.stdout)
    assert content["summary"] == {"done": 2, "left out": 1, "failed": 1}
    assert {row["input"]: row["gate"] for row in content["rows"] if row["output"]} == {"p1": "", "p2/mr.nii.gz": ""}


def test_a_folder_of_one_series_is_a_scan(kerasgan, refused, former, archive, tmp_path):
    chosen = ["translate", former / "model.tflite", "archive", "out", "--series", "4"]
    result = kerasgan(*chosen, "--json")
    assert result.exit_code == 0 and json.loads(result.stdout) == {"output": "out"}, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir())[0] == "slice_0001.dcm"
    assert "out exists; name another output" in refused("translate", former / "model.tflite", "archive", "out")
    assert "3 usable series, one is needed" in refused("translate", former / "model.tflite", "archive", "ct.nii.gz")
    result = kerasgan("translate", former / "model.tflite", "archive/p1", "alone")
    assert result.exit_code == 0 and len(list((tmp_path / "alone").iterdir())) == 5
    several = "--workers, --cluster and --dry-run are for a folder of several series."
    result = kerasgan("translate", former / "model.tflite", "archive/p1", "again", "--dry-run")
    assert result.exit_code == 2 and several in " ".join(result.stderr.replace("│", " ").split())
