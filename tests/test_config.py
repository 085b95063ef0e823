"""Recipes are frozen, survive JSON, and take `path=value` with errors that help."""

import json
import re

import pytest
from pydantic import ValidationError

from kerasgan.config import Component, Data, Intensity, Recipe, Schedule, flat, from_json
from kerasgan.errors import KerasganError

RECIPE = Recipe(
    name="mine",
    generator=Component(name="resnet", filters=32, upsampling="resize"),
    unreported=("the seed",),
    deviations=("batch 2",),
)


def test_json_round_trip_keeps_every_field():
    assert from_json(RECIPE.model_dump_json()) == RECIPE
    assert json.loads(RECIPE.model_dump_json())["generator"] == {
        "name": "resnet",
        "filters": 32,
        "upsampling": "resize",
    }


def test_json_from_before_the_cycle_loss_could_be_chosen_still_loads():
    values = json.loads(RECIPE.model_dump_json())
    del values["losses"]["cycle"]
    assert from_json(json.dumps(values)) == RECIPE
    assert RECIPE.losses.cycle == Component(name="absolute_error")


def test_json_from_before_deformation_and_segmentation_still_loads():
    values = json.loads(RECIPE.model_dump_json())
    assert values.pop("deformation") is None and values.pop("segmentation") is None
    assert from_json(json.dumps(values)) == RECIPE


def test_optional_parts_can_be_set_and_switched_off():
    recipe = RECIPE.with_overrides(['segmentation={"structures": ["liver"]}', 'deformation={"cycle_weight": 2}'])
    assert recipe.segmentation.structures == ("liver",) and recipe.segmentation.network.name == "unet"
    assert recipe.deformation.cycle_weight == 2
    assert recipe.with_overrides(["segmentation=null", "deformation=null"]) == RECIPE
    assert from_json(recipe.model_dump_json()) == recipe
    with pytest.raises(KerasganError, match=r"segmentation.structures: .*at least 1 item.*got \[\]"):
        recipe.with_overrides(["segmentation.structures=[]"])


def test_pairs_bring_their_method_and_are_refused_by_the_others():
    without_cycle = RECIPE.with_overrides(["losses.cycle_weight=0"])
    recipe = RECIPE.with_overrides(["data.pairs=true"])
    assert (recipe.data.pairs, recipe.method) == ("true", "one_sided")
    assert recipe.with_overrides(["data.pairs=null", "losses.cycle_weight=0"]) == without_cycle
    with pytest.raises(KerasganError, match=r"a CycleGAN, and its cycle has the weight 0\. .* losses.cycle_weight=10"):
        recipe.with_overrides(["data.pairs=null"])
    assert recipe.with_overrides(["data.pairs=null", "losses.cycle_weight=3"]).losses.cycle_weight == 3
    kept = recipe.with_overrides(["data.pairs=null", "method=one_sided", "supervision.weight=0"])
    assert (kept.method, kept.losses.cycle_weight) == ("one_sided", 0)
    with pytest.raises(KerasganError, match=r"no way back .* losses.cycle_weight_b=null"):
        recipe.with_overrides(["losses.cycle_weight_b=5"])
    assert without_cycle.with_overrides(["data.pairs=registered"]).data.atlases == 5
    with pytest.raises(KerasganError, match=r"data.pairs=true, which method 'cyclegan' does not use. Use --set method"):
        RECIPE.with_overrides(["data.pairs=true", "method=cyclegan"])
    with pytest.raises(KerasganError, match=r"data.pairs: .*'registered' or 'true'"):
        RECIPE.with_overrides(["data.pairs=yes"])


def test_planes_are_checked():
    recipe = RECIPE.with_overrides(['data.planes=["axial","coronal","sagittal"]'])
    assert recipe.data.planes == ("axial", "coronal", "sagittal")
    for wrong, message in (("[]", "got none"), ('["axial","axial"]', "each once; got axial, axial")):
        with pytest.raises(KerasganError, match=rf"data.planes: .*needs one plane or more, .*{message}"):
            RECIPE.with_overrides([f"data.planes={wrong}"])
    with pytest.raises(KerasganError, match=r"segments axial slices, and data.planes is axial, coronal\. Use --set"):
        RECIPE.with_overrides(['segmentation={"structures": ["liver"]}', 'data.planes=["axial","coronal"]'])


def test_recipe_and_its_parts_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        RECIPE.name = "other"
    with pytest.raises(ValidationError, match="frozen"):
        RECIPE.data.augmentation.shift = 0.2
    with pytest.raises(ValidationError, match="frozen"):
        RECIPE.generator.filters = 8


def test_unknown_fields_are_forbidden():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Recipe(name="mine", epochs=3)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Data(pixels=256)
    text = RECIPE.model_dump_json().replace('"batch_size"', '"batch_sise"')
    with pytest.raises(KerasganError, match=r"no field is called 'data\.batch_sise'\. Did you mean batch_size"):
        from_json(text)


def test_overrides_take_json_and_text():
    recipe = RECIPE.with_overrides(
        [
            "schedule.steps=5000",
            "losses.cycle_weight=2.5",
            "data.augmentation.flip=false",
            "intensity.ct_window_hu=[-150, 350]",
            "precision=float32",
            "generator.upsampling=transposed",
            "generator.blocks=6",  # an option that the recipe did not spell out
        ]
    )
    assert recipe.schedule.steps == 5000
    assert recipe.losses.cycle_weight == 2.5
    assert recipe.data.augmentation.flip is False
    assert recipe.intensity.ct_window_hu == (-150.0, 350.0)
    assert recipe.precision == "float32"
    assert recipe.generator.options == {"filters": 32, "upsampling": "transposed", "blocks": 6}
    assert RECIPE.schedule.steps == 200_000


def test_json_from_before_rates_weights_and_lengths_could_differ_still_loads():
    values = json.loads(RECIPE.model_dump_json())
    del values["losses"]["cycle_weight_b"], values["schedule"]["epochs"], values["paper_names"]
    for name in ("discriminator_learning_rate", "generator_iterations", "discriminator_iterations"):
        del values["optimizer"][name]
    assert from_json(json.dumps(values)) == RECIPE


EPOCHS = RECIPE.with_overrides(["schedule.epochs=3", "data.batch_size=4"])


@pytest.mark.parametrize(("slices", "steps"), [(4, 3), (8, 6), (9, 9), (1, 3)])
def test_epochs_become_steps_that_show_every_slice(slices, steps):
    assert EPOCHS.with_epochs_in_steps(slices).schedule.steps == steps
    assert EPOCHS.with_epochs_in_steps(slices).schedule.epochs == 3
    assert RECIPE.with_epochs_in_steps(slices) == RECIPE


def test_steps_take_the_place_of_epochs_and_epochs_that_of_steps():
    assert EPOCHS.with_overrides(["schedule.steps=70"]).with_epochs_in_steps(9).schedule.steps == 70
    again = EPOCHS.with_overrides(["schedule.steps=70", "schedule.epochs=2"])
    assert again.with_epochs_in_steps(9).schedule.steps == 6
    assert EPOCHS.as_quick().with_epochs_in_steps(9).schedule.steps == 8000


def test_a_papers_own_name_is_answered_with_ours():
    recipe = Recipe(name="x", paper_names=(("lambda_ABA", "losses.cycle_weight"),))
    with pytest.raises(KerasganError, match=r"called 'lambda_ABA'. The paper's lambda_ABA is losses.cycle_weight here"):
        recipe.with_overrides(["lambda_ABA=3"])
    assert from_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("assignment", "text"),
    [
        ("schedule.epochs=0", r"schedule.epochs: .*greater than or equal to 1.*got 0"),
        ("optimizer.generator_iterations=0", r"optimizer.generator_iterations: .*greater than or equal to 1.*got 0"),
        ("optimizer.discriminator_learning_rate=0", r"discriminator_learning_rate: .*greater than 0.*got 0"),
        ("losses.cycle_weight_b=-1", r"losses.cycle_weight_b: .*greater than or equal to 0.*got -1"),
        ("schedule.steps", r"needs path=value, as in schedule.steps=5000; got 'schedule.steps'"),
        ("schedule.step=5", r"No recipe field is called 'schedule.step'. Did you mean .*schedule.steps"),
        ("lerning_rate=1", r"No recipe field is called 'lerning_rate'. Did you mean optimizer.learning_rate"),
        ("data.size.x=5", r"No recipe field is called 'data.size.x'. Did you mean data.size"),
        ("qqqq=1", r"No recipe field is called 'qqqq'. Choose from: .*schedule.steps"),
        ("schedule.steps=many", r"schedule.steps: .*valid integer.*got 'many'"),
        ("data.size=130", r"data.size: .*multiple of 4.*got 130"),
        ("data.size=16", r"data.size: .*greater than or equal to 32.*got 16"),
        ("precision=float16", r"precision: .*'mixed_bfloat16'.*got 'float16'"),
        ("optimizer.learning_rate=NaN", r"optimizer.learning_rate: .*got nan"),
        (
            "intensity.ct_window_hu=[350, -150]",
            r"ct_window_hu: .*needs \(low, high\) with low below high; got \(350.0, -150.0\)",
        ),
        ("intensity.mr_window=[5, 5]", r"mr_window: .*needs \(low, high\) with low below high"),
        ("schedule.checkpoint_every=150", r"checkpoint_every=150 must be a multiple of report_every=100"),
        ("schedule.steps_per_execution=7", r"report_every=100 must be a multiple of steps_per_execution"),
        ("schedule=5", r"schedule has fields of its own \(got 5\); set one, as schedule.FIELD"),
    ],
)
def test_wrong_override_says_what_is_needed(assignment, text):
    with pytest.raises(KerasganError, match=text):
        RECIPE.with_overrides([assignment])


def test_former_fields_are_dropped_where_they_changed_nothing_and_refused_otherwise():
    values = json.loads(RECIPE.model_dump_json())
    values["schedule"]["patience"], values["data"]["selection"] = None, "random"
    assert from_json(json.dumps(values)) == RECIPE
    values["schedule"]["patience"] = 3
    with pytest.raises(
        KerasganError,
        match=r"sets schedule\.patience=3, which .* no longer has\. Resume the run with the version that",
    ):
        from_json(json.dumps(values))
    values["schedule"]["patience"], values["data"]["selection"] = None, "position"
    with pytest.raises(
        KerasganError, match=r'sets data\.selection="position", .*start a new run without data\.selection'
    ):
        from_json(json.dumps(values))
    with pytest.raises(KerasganError, match=r"No recipe field is called 'schedule\.patience'"):
        RECIPE.with_overrides(["schedule.patience=null"])


def test_flat_keeps_the_order_and_opens_dictionaries_only():
    settings = {"size": 1, "optimizer": {"rate": 2, "betas": {"first": [3, 4]}}, "empty": {}}
    found = {"size": 1, "optimizer.rate": 2, "optimizer.betas.first": [3, 4]}
    assert list(flat(settings).items()) == list(found.items())


@pytest.mark.parametrize(
    ("text", "found"), [("{", "no valid JSON"), ("[]", "its content: Input should be an object"), ("{}", "name: Field")]
)
def test_damaged_json_is_named(text, found):
    with pytest.raises(KerasganError, match=found):
        from_json(text)


def test_quick_makes_everything_smaller_and_is_marked():
    quick = Recipe(name="paper", schedule=Schedule(steps_per_execution=10), data=Data(batch_size=128)).as_quick()
    assert quick.quick
    assert quick.generator.options == {"filters": 16, "blocks": 4, "downsamplings": 1, "upsampling": "resize"}
    assert quick.discriminator.options == {"filters": 32}
    assert (quick.data.size, quick.data.batch_size) == (112, 16)
    assert quick.schedule.steps == 8000
    assert not quick.intensity.bias_correction
    assert quick.losses == Recipe(name="paper").losses  # the method stays


def test_quick_makes_the_segmentation_network_smaller_as_well():
    recipe = RECIPE.with_overrides(['segmentation={"structures": ["liver"], "weight": 3}'])
    quick = recipe.as_quick().segmentation
    assert quick.network.options == {"filters": 16, "depth": 3}
    assert quick == recipe.segmentation.model_copy(update={"network": quick.network})
    assert RECIPE.as_quick().segmentation is None


def test_quick_never_makes_a_recipe_larger():
    small = RECIPE.with_overrides(["generator.filters=4", "generator.blocks=1", "data.size=32", "schedule.steps=100"])
    quick = small.as_quick()
    assert quick.generator.options == {"filters": 4, "blocks": 1, "downsamplings": 1, "upsampling": "resize"}
    assert (quick.data.size, quick.data.batch_size) == (32, 1)
    assert quick.schedule.steps == 100


def test_quick_gives_a_users_own_network_only_the_options_that_it_has():
    own = Recipe(name="mine", generator=Component(name="unet.py", filters=64, depth=4))
    assert own.as_quick().generator.options == {"filters": 16, "depth": 4}


def test_windows_must_rise():
    with pytest.raises(ValidationError, match=re.escape("needs (low, high) with low below high; got (99.0, 1.0)")):
        Intensity(mr_percentiles=(99.0, 1.0))


def test_window_that_a_dataset_would_overrule_is_refused():
    recipe = Recipe(name="hip", anatomy="hip")
    with pytest.raises(KerasganError, match=r"overrule intensity\.ct_window_hu; add --set intensity\.windows=recipe"):
        recipe.with_overrides(["intensity.ct_window_hu=[-500, 500]"])
    kept = recipe.with_overrides(["intensity.ct_window_hu=[-500, 500]", "intensity.windows=recipe"])
    assert kept.intensity.ct_window_hu == (-500, 500)
    assert Recipe(name="any").with_overrides(["intensity.ct_window_hu=[0, 80]"]).intensity.ct_window_hu == (0, 80)


def test_another_component_starts_without_the_former_ones_options():
    recipe = Recipe(name="x").with_overrides(["generator.filters=8", "generator.name=mine.py", "generator.depth=4"])
    assert recipe.generator.options == {"depth": 4}


@pytest.mark.parametrize("structures", [["left kidney"], ["liver", "Right kidney"]])
def test_structures_with_a_side_are_never_mirrored(structures):
    changes = [f"segmentation={json.dumps({'structures': structures})}"]
    with pytest.raises(KerasganError, match=rf"segments {structures[-1]} and mirrors .*augmentation\.flip=false\.$"):
        Recipe(name="x").with_overrides(changes)
    recipe = Recipe(name="x").with_overrides([*changes, "data.augmentation.flip=false"])
    assert recipe.segmentation.structures == tuple(structures)
    assert Recipe(name="x").with_overrides(['segmentation={"structures": ["liver"]}']).data.augmentation.flip


@pytest.mark.parametrize(
    ("parts", "method"),
    [
        ({}, "cyclegan"),
        ({"segmentation": {"structures": ["liver"]}}, "essnet"),
        ({"deformation": {}}, "essnet"),
        (
            {"distillation": {"teacher": "t", "direction": "ab", "student": "small", "generator": {"name": "resnet"}}},
            "distiller",
        ),
    ],
)
def test_recipes_of_files_without_a_method_have_that_of_their_parts(parts, method):
    text = json.dumps({"name": "mine"} | parts)
    assert from_json(text).method == method
    assert from_json(from_json(text).model_dump_json()).method == method


def test_the_method_follows_the_parts_and_refuses_those_that_it_does_not_train():
    segmentation = 'segmentation={"structures": ["liver"]}'
    segmenting = Recipe(name="mine").with_overrides([segmentation])
    assert segmenting.method == "essnet" and segmenting.with_overrides(["segmentation=null"]).method == "cyclegan"
    assert Recipe(name="mine", method="my.py").with_overrides([segmentation]).method == "my.py"
    wanted = r"has segmentation, which method 'cyclegan'.*--set method=essnet, or --set segmentation=null"
    with pytest.raises(KerasganError, match=wanted):
        Recipe(name="mine").with_overrides([segmentation, "method=cyclegan"])
    paired = ["data.pairs=true", "method=one_sided", "losses.cycle_weight=0", "losses.identity_weight=0"]
    with pytest.raises(KerasganError, match=wanted.replace("cyclegan", "one_sided")):
        Recipe(name="mine").with_overrides([segmentation, *paired])
