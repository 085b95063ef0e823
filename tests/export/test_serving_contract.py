import json

import numpy as np
import pytest

from kerasgan.errors import ExportError
from kerasgan.export.card import contract_page
from kerasgan.export.serving_contract import ServingContract, read_serving_contract, serving_contract
from kerasgan.runs.run import load_run
from kerasgan.scans.contract import Contract, Encoding, WayBack
from kerasgan.scans.gate import fit_gate
from kerasgan.scans.measurements import DIRECT


def test_both_directions(served_contract, finished_run):
    assert (served_contract.name, served_contract.version) == ("mr2ct", 1)
    there, back = (served_contract.directions[direction] for direction in ("ab", "ba"))
    assert (there.direction, there.quick, there.pixel_mm, there.trained_height_width) == ("ab", False, 2.0, (32, 32))
    assert there.source == back.target and there.target == back.source
    assert (there.source.modality, there.source.unit, there.source.window) == ("MR", "arbitrary", (20.0, 320.0))
    assert (there.target.modality, there.target.unit, there.target.window) == ("CT", "HU", (-1000.0, 1600.0))
    assert there.encoding == Encoding(slope=1.0, intercept=0.0)
    assert there.mr_scaling.percentiles == (0.5, 99.5) and there.mr_scaling.rescaling is None
    assert back.mr_scaling is None
    assert there.generator_sha256 != back.generator_sha256
    assert there.data_fingerprint == finished_run.facts.fingerprint
    assert "Not a medical device" in there.statement


def test_each_direction_has_the_input_gate_of_its_source(run):
    former = serving_contract(run, "mr2ct", 1).directions
    assert all("gate" not in json.loads(one.model_dump_json()) for one in former.values())
    scans = np.random.default_rng(0).uniform(1, 20, (10, DIRECT + 64))
    gate = fit_gate([(scan, str(number)) for number, scan in enumerate(scans)])
    facts = run.facts.model_copy(update={"gates": {"b": gate}})  # too few patients of domain a
    (run.path / "run.json").write_text(facts.model_dump_json())
    described = serving_contract(load_run(run.path), "mr2ct", 1)
    read = ServingContract.model_validate_json(described.model_dump_json())
    assert (read.directions["ab"].gate, read.directions["ba"].gate) == (None, gate)


def test_which_signatures_take_the_slices_of_one_scan(served_contract):
    batches = {
        name: signature.batch
        for one in served_contract.directions.values()
        for name, signature in one.signatures.items()
    }
    assert batches == {
        "serving_default": "volume",
        "serving_bytes": "volume",
        "serving_windowed": "images",
        "serving_bytes_windowed": "images",
        "serving_default_ba": "images",
        "serving_bytes_ba": "images",
    }


def test_scans_that_are_windowed_alike_need_no_range(run):
    settings = run.facts.preparation.model_copy(update={"mr_window": (0.0, 100.0)})
    run.facts = run.facts.model_copy(update={"preparation": settings})
    one = serving_contract(run, "model", 1).directions["ab"]
    assert one.signatures["serving_default"].batch == one.signatures["serving_bytes"].batch == "images"
    assert "serving_windowed" in one.signatures
    assert "find the range" not in contract_page(serving_contract(run, "model", 1))


def test_the_way_back_is_that_of_the_run_and_of_the_first_version_where_none_is_named(served_contract, run):
    assert {one.way_back for one in served_contract.directions.values()} == {WayBack(enlarging="lanczos", shell_mm=4)}
    page = " ".join(contract_page(served_contract).split())
    assert page.count("lanczos where pixels become smaller; more than 4 mm outside the source's body is air") == 2
    former = served_contract.directions["ab"].model_dump(exclude={"way_back"})
    assert Contract.model_validate(former).way_back == WayBack(enlarging="linear", shell_mm=0)
    # A window that ends above air has no values for it, so that air begins at the body.
    run.facts = run.facts.model_copy(update={"maps": run.facts.maps | {"b": (-150.0, 350.0)}})
    to_ct, to_mr = serving_contract(run, "model", 1).directions.values()
    assert (to_ct.way_back.shell_mm, to_mr.way_back.shell_mm) == (0, 4)


def test_the_page_has_every_tensor(served_contract):
    page = contract_page(served_contract)
    assert page.startswith("# mr2ct, version 1")
    for one in served_contract.directions.values():
        for name, signature in one.signatures.items():
            for tensor in (*signature.inputs, *signature.outputs):
                assert any(line.startswith(f"| {name} ") and f"| {tensor} " in line for line in page.splitlines())
    flowing = " ".join(page.split())
    assert "value = stored * 0.009155552842799158 + 20.0" in flowing  # 300 / 32767
    assert "serving_bytes_windowed and serving_windowed are exact" in flowing
    assert "[batch, height, width, 1]" in page and "[batch, 2]" in page


def test_a_folder_without_a_contract(tmp_path):
    with pytest.raises(ExportError, match=r"is no model that kerasgan exported .*--format serving"):
        read_serving_contract(tmp_path)


def test_an_invalid_contract(tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "contract.json").write_text('{"name": "model"}')
    with pytest.raises(
        ExportError, match=r"contract\.json is damaged: version: Field required; .*\. Export the run again\."
    ):
        read_serving_contract(tmp_path)
