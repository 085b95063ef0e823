"""Tests that every dataset must pass, whoever adds it."""

from dataclasses import asdict
from pathlib import Path

import pytest

from kerasgan import registry
from kerasgan.datasets import DOMAINS, DatasetCard, load
from kerasgan.datasets._card import LABELS
from kerasgan.errors import DatasetError

CARDS = Path(__file__).parents[2] / "datasets"
NAMES = registry.names("datasets")


@pytest.fixture(params=NAMES)
def module(request):
    return registry.find("datasets", request.param)


def test_card_is_complete(module):
    card = module.CARD
    assert isinstance(card, DatasetCard)
    assert card.name == module.__name__.rpartition(".")[2]
    assert set(card.modalities) == {"MR", "CT"}
    assert 50 <= card.field_of_view_mm <= 600
    assert card.ct_window_hu is None or card.ct_window_hu[0] < card.ct_window_hu[1]
    assert card.default_dir == f"datasets/{card.name}"
    assert card.title and card.licence and card.how_to_get
    assert asdict(card)


def test_structures_are_told_apart_in_each_domain(module):
    for domain in DOMAINS:
        labels = [label for where in module.CARD.structures.values() for label in where.get(domain, ())]
        assert len(set(labels)) == len(labels)
        assert all(1 <= label < LABELS for label in labels)


@pytest.mark.skipif(not CARDS.is_dir(), reason="the cards are in the source tree only")
def test_card_page_and_index(module):
    name = module.CARD.name
    page = (CARDS / f"{name}.md").read_text(encoding="utf-8")
    for heading in ("Get it", "Licence", "Layout", "Which series", "Acknowledgement"):
        assert f"## {heading}" in page
    assert f"({name}.md)" in (CARDS / "README.md").read_text(encoding="utf-8")


def test_scan_of_an_empty_folder_names_the_remedy(module, tmp_path):
    with pytest.raises(DatasetError) as caught:
        module.scan(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "--data" in str(caught.value)  # --data-dir, or the command that writes the data


def test_missing_folder_names_the_remedy(module, tmp_path):
    if hasattr(module, "prepare"):
        pytest.skip("writes its own data")
    with pytest.raises(DatasetError, match=r"--data-dir[\s\S]*--dataset phantom --quick"):
        load(module.CARD.name, tmp_path / "absent")


def test_a_dataset_outside_the_package(tmp_path, write_image):
    """The whole of what a new dataset takes: a card and `scan`."""
    (tmp_path / "clinic.py").write_text(
        "from dataclasses import replace\n"
        "from kerasgan.datasets import Scan, patient_key\n"
        "from kerasgan.datasets.folder import CARD as FOLDER\n"
        "CARD = replace(FOLDER, name='clinic', default_dir='datasets/clinic')\n"
        "def scan(root):\n"
        "    return [\n"
        "        Scan(patient_key(path.stem), 'a' if m == 'MR' else 'b', m, (path,))\n"
        "        for m in ('MR', 'CT') for path in sorted((root / m).glob('*.mha'))\n"
        "    ]\n"
    )
    for number in range(4):
        write_image(tmp_path / "data" / "MR" / f"{number}.mha", (0, 400))
        write_image(tmp_path / "data" / "CT" / f"{number}.mha", (-1000, 0))
    card, split = load(str(tmp_path / "clinic.py"), tmp_path / "data", seed=3)
    assert card.name == "clinic"
    assert {part: len(keys["a"]) for part, keys in split.keys().items()} == {"train": 2, "validation": 1, "test": 1}
    assert split.test.b[0].load().unit == "HU"
