"""A component's name and options become a function, or an error that names the nearest."""

import numpy as np
import pytest

from kerasgan.config import Component
from kerasgan.errors import KerasganError
from kerasgan.networks.build import bind, build_network, check_components, offers
from kerasgan.recipes import hiasa2018, mujtaba2025


@pytest.fixture
def own(tmp_path):
    """A generator file as a user would write it."""
    path = tmp_path / "own.py"
    path.write_text("def build(shape, *, depth: int = 2, note=None, name='x'):\n    return shape, depth, note, name\n")
    return str(path)


def test_options_are_filled_in(own):
    build = bind("generators", Component(name=own, depth=5), "build")
    assert build((1,), name="n") == ((1,), 5, None, "n")


def test_option_without_type_hint_is_passed_on(own):
    assert bind("generators", Component(name=own, note=[1]), "build")(())[2] == [1]


def test_functions_of_an_adversarial_loss_share_its_options():
    component = Component(name="wasserstein", penalty_weight=5)
    scores = np.ones((1, 1, 1, 1), "float32")
    assert float(bind("losses", component, "generator")(scores)[0]) == -1
    assert bind("losses", component, "penalty").keywords == {"penalty_weight": 5.0}
    for function in ("discriminator", "generator", "penalty"):
        with pytest.raises(KerasganError, match=r"no option 'penalty'. Did you mean penalty_weight"):
            bind("losses", Component(name="wasserstein", penalty=5), function)


def test_a_file_may_leave_a_function_out():
    assert offers("losses", Component(name="wasserstein"), "penalty")
    assert not offers("losses", Component(name="log_likelihood"), "penalty")
    with pytest.raises(KerasganError, match=r"No loss is called 'log_likelihoo'"):
        offers("losses", Component(name="log_likelihoo"), "penalty")


@pytest.mark.parametrize(
    ("kind", "component", "function", "text"),
    [
        ("generators", Component(name="resnett"), "build", r"No generator is called 'resnett'.*resnet"),
        ("generators", Component(name="resnet", filter=8), "build", r"no option 'filter'. Did you mean filters"),
        (
            "generators",
            Component(name="resnet", zzz=8),
            "build",
            r"Choose from: blocks, deformable, downsamplings, filters, separable, upsampling\.",
        ),
        ("generators", Component(name="resnet", shape=8), "build", r"no option 'shape'"),
        ("generators", Component(name="resnet", filters="many"), "build", r"filters='many'.*valid integer"),
        ("generators", Component(name="resnet", filters=4.5), "build", r"filters=4.5.*valid integer"),
        ("generators", Component(name="resnet", upsampling="x"), "build", r"upsampling='x'.*'transposed' or 'resize'"),
        ("losses", Component(name="gradient_consistency", gradients="abs"), "loss", r"gradients='abs'.*'magnitude'"),
        ("losses", Component(name="least_squares"), "loss", r"no function loss\(\).*gradient_consistency"),
        (
            "losses",
            Component(name="gradient_consistency"),
            "generator",
            r"no function generator.*: least_squares, log_likelihood, wasserstein",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_a_remedy(kind, component, function, text):
    with pytest.raises(KerasganError, match=text):
        bind(kind, component, function)


def test_a_network_that_cannot_be_built_is_an_error_of_the_recipe():
    with pytest.raises(KerasganError, match=r"Generator 'fcn' cannot be built: .*downsamplings=7. Change data.size"):
        build_network("generators", Component(name="fcn", downsamplings=7), (None, None, 1), "generator")
    network = build_network("discriminators", Component(name="fcn", filters=2), (64, 64, 1), "judge")
    assert (network.name, network.input_shape) == ("judge", (None, 64, 64, 1))


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("generator.name=resnett", r"No generator is called 'resnett'.*resnet"),
        ("generator.filter=8", r"'resnet' has no option 'filter'. Did you mean filters"),
        ("discriminator.filters=many", r"'patchgan' option filters='many'.*valid integer"),
        ("losses.adversarial.name=least_square", r"No loss is called 'least_square'. Did you mean least_squares"),
        ("losses.adversarial.weight=2", r"'least_squares' has no option 'weight'"),
        ('losses.adversarial={"name": "wasserstein", "penalty_weight": "abc"}', r"penalty_weight='abc'.*valid number"),
        ("losses.cycle.epsilon=2", r"'absolute_error' has no option 'epsilon'"),
        ("losses.structure.bin=8", r"'mutual_information' has no option 'bin'. Did you mean bins"),
        ("segmentation.network.filter=8", r"'unet' has no option 'filter'. Did you mean filters"),
        ("segmentation.loss.name=dices", r"No loss is called 'dices'. Did you mean dice"),
    ],
)
def test_a_recipe_is_checked_without_networks_or_data(setting, text):
    check_components(mujtaba2025.RECIPE)
    check_components(hiasa2018.RECIPE)
    with pytest.raises(KerasganError, match=text):
        check_components(mujtaba2025.RECIPE.with_overrides([setting]))
