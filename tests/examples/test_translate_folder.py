"""The example that translates a folder, with the TFLite file of a tiny model."""

import runpy
import sys
import zipfile

from made_up_series import CHECKOUT, datasets, head, write_series


def test_every_scan_of_a_folder_is_translated_or_listed(tmp_path, monkeypatch, capsys):
    with zipfile.ZipFile(CHECKOUT / "tests" / "fixtures" / "run-0.1.0.zip") as archive:
        archive.extract("model.tflite", tmp_path)
        archive.extract("mr.nii.gz", tmp_path / "scans")
    write_series(tmp_path / "scans" / "t1", head((4, 40, 32)), PixelSpacing=[6.0, 6.0])
    write_series(tmp_path / "scans" / "ct", head((3, 40, 32), modality="CT"), modality="CT", PixelSpacing=[6.0, 6.0])
    words = ["translate_folder", tmp_path / "model.tflite", tmp_path / "scans", tmp_path / "synthetic"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    runpy.run_path(str(CHECKOUT / "examples" / "translate_folder.py"), run_name="__main__")
    shown = capsys.readouterr().out
    assert shown.count("MR to CT, -1000 to ") == 2 and "left out, CT where the model takes MR" in shown
    (series,) = (path for path in (tmp_path / "synthetic").iterdir() if path.is_dir())
    assert {one.Modality for one in datasets(series)} == {"CT"} and len(datasets(series)) == 4
    assert [path.suffix for path in (tmp_path / "synthetic").iterdir() if path.is_file()] == [".gz"]
