"""The benchmark of structural losses, by hand and on phantoms, where the default recipe's loss stays among the best."""

import numpy as np
import pytest
import structure_losses
from structure_losses import Case, cases_of, default_loss, judge

from kerasgan import registry
from kerasgan.phantom import Grid, make_head
from kerasgan.phantom.render import render_ct, render_mr
from kerasgan.scans.preparation import preparation, prepare


@pytest.fixture(scope="module")
def cases():
    """Three heads with the CT slices of three others bent onto each, on pixels of 4 mm."""
    recipe = registry.find("recipes", structure_losses.DEFAULT_RECIPE).RECIPE
    settings = preparation(
        recipe.with_overrides(["data.size=64", "intensity.bias_correction=false"]), "head", (-1000, 1600), 256
    )

    grid = Grid((8, 48, 48), (4.5, 4.5, 4.0))
    heads = {seed: make_head(seed, grid) for seed in range(1, 8)}

    def shown(seed, render):
        return prepare(render(heads[seed], seed), settings, crop=True)

    pairs = [(shown(seed, render_mr), shown(seed, render_ct)) for seed in (1, 2, 3)]
    return list(cases_of(pairs, [shown(seed, render_ct) for seed in (4, 5, 6, 7)], count=3))


def test_figures_by_hand():
    """Squares of which the truth is bright: a loss that is the error itself, and one that is its negative."""
    truth = np.full((12, 12), -1.0)
    truth[4:8, 4:8] = 0.5
    larger = np.full((12, 12), -1.0)
    larger[3:9, 3:9] = 0.5
    case = Case(truth, truth, np.ones((12, 12), bool), [larger, np.full((12, 12), -1.0)])

    def error(source, image):
        return np.abs(source - image).mean(axis=(1, 2, 3))

    perfect = {"rank": 1.0, "true_beats_bent": 1.0, "unshifted_is_least": 1.0}
    assert judge(error, case) == pytest.approx(perfect)
    wrong = {"rank": -1.0, "true_beats_bent": 0.0, "unshifted_is_least": 0.0}
    assert judge(lambda source, image: -error(source, image), case) == pytest.approx(wrong)


def test_a_shift_lets_air_in():
    image = np.arange(9.0).reshape(3, 3)
    assert structure_losses._shifted(image, 1, 0).tolist() == [[-1, -1, -1], [0, 1, 2], [3, 4, 5]]
    assert structure_losses._shifted(image, -2, 1).tolist() == [[2, -1, -1], [5, -1, -1], [8, -1, -1]]


def test_the_default_recipes_loss_is_among_the_best(cases):
    """Within a tenth of the best, as on real heads (benchmarks/README.md)."""
    means = {}
    for name, loss in {"default": default_loss(), **structure_losses.LOSSES}.items():
        figures = [judge(loss, case) for case in cases]
        means[name] = {head: np.mean([figure[head] for figure in figures]) for head in structure_losses.HEADS}
    for head in structure_losses.HEADS:
        assert means["default"][head] >= max(mean[head] for mean in means.values()) - 0.1, (head, means)
        assert means["gradient consistency, signed"][head] < means["default"][head], (head, means)
