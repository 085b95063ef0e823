"""What every experiment file keeps to: a source, a place for each figure, cells in order, two hours on a laptop."""

import re

import pytest

from kerasgan import registry

HOURS = 2


@pytest.fixture(params=registry.names("experiments"))
def module(request):
    return registry.find("experiments", request.param)


def laptop_cells(experiment):
    scale = experiment.scales["laptop"]
    return experiment.cells(scale, scale.seeds)


def test_name_source_and_command(module):
    experiment = module.EXPERIMENT
    assert experiment.name == module.__name__.rsplit(".", 1)[-1]
    link = re.search(r"https?://\S+[^\s.,)]", experiment.citation).group()
    assert link in module.__doc__ and f"kerasgan reproduce {experiment.name}" in module.__doc__
    assert registry.find("recipes", experiment.recipe) and registry.find("datasets", experiment.dataset)


def test_each_published_figure_has_its_place(module):
    experiment = module.EXPERIMENT
    assert experiment.published or any("no published figures" in note for note in experiment.unreported)
    for figure in experiment.published.values():
        assert re.match(r"(Table|Fig\.|Sec\.|Eq\.|Abstract)", figure.place)


def test_open_points_and_deviations_are_sentences(module):
    for note in (*module.EXPERIMENT.unreported, *module.EXPERIMENT.deviations):
        assert len(note) > 10


def test_both_scales_say_what_they_are(module):
    assert set(module.EXPERIMENT.scales) == {"paper", "laptop"}
    assert all(len(scale.note) > 20 for scale in module.EXPERIMENT.scales.values())


def test_cells_have_keys_of_their_own_and_come_after_those_they_need(module):
    for scale in module.EXPERIMENT.scales.values():
        cells, seen = module.EXPERIMENT.cells(scale, scale.seeds), set()
        for cell in cells:
            assert re.fullmatch(r"[A-Za-z0-9-]+", cell.key) and cell.title
            assert cell.key not in seen and {need.key for need in cell.needs} <= seen
            seen.add(cell.key)
        assert len({cell.folder_name for cell in cells}) == len(cells)


def test_more_seeds_keep_the_cells_that_are_there(module):
    scale = module.EXPERIMENT.scales["laptop"]
    few, many = ({cell.folder_name for cell in module.EXPERIMENT.cells(scale, seeds)} for seeds in (1, 3))
    assert few < many


def test_a_laptop_has_three_seeds_and_ends_in_two_hours(module):
    cells = laptop_cells(module.EXPERIMENT)
    assert module.EXPERIMENT.scales["laptop"].seeds >= 3
    assert 0 < sum(cell.seconds for cell in cells) <= HOURS * 3600
