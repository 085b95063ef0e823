"""The way from a recipe and a dataset to a trained run directory."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import keras
import tensorflow as tf

from kerasgan import datasets, registry
from kerasgan.config import Recipe
from kerasgan.errors import KerasganError, RunError
from kerasgan.files import alone_in, beside, remove_leftovers
from kerasgan.models import AdversarialModel
from kerasgan.models._optimizers import rate_of_updates
from kerasgan.networks.build import check_components
from kerasgan.networks.keras_settings import dtype_policy, keras_defaults
from kerasgan.runs import checkpoints
from kerasgan.runs.device import choose_strategy, require_shares, resolve_precision, steady_graphs, uses_xla
from kerasgan.runs.run import Run, create_run, extend_run, load_run
from kerasgan.runs.together import agree, first_alone, is_first, told_of_lost_workers
from kerasgan.training.data import prepare_data
from kerasgan.training.facts import facts_of
from kerasgan.training.fit import fit
from kerasgan.training.guide import Guide, recipe_of_guide, with_guide_beside
from kerasgan.training.initial import Initial
from kerasgan.training.page import write_run_page
from kerasgan.training.request import Request, differences
from kerasgan.training.results import draw_losses
from kerasgan.training.slices import SliceStore
from kerasgan.training.start import own_guide
from kerasgan.training.targets import draw_targets, training_targets
from kerasgan.training.teacher import load_teacher

logger = logging.getLogger(__name__)


def train(request: Request, out: Path, resume: bool = False, callbacks: Sequence[keras.callbacks.Callback] = ()) -> Run:
    """Trains a new run, or continues or extends the one in `out`, until the recipe's last step.

    Prepared slices are cached in `.cache` beside `out`. `callbacks` are the user's, see `OwnCallbacks`. Of several
    processes that train together, the first one writes the run, and all return it.

    Raises:
        KerasganError: For bad input, each with its remedy; see `kerasgan.errors`.
    """
    if callbacks and request.workers:
        raise KerasganError("Callbacks are for a training in one process; leave callbacks= or workers= out.")
    former = load_run(out) if resume else None
    recipe = request.recipe_of(former) if former else with_guide_beside(request.build_recipe(), out)
    request = request.resuming(former) if former else request
    strategy = choose_strategy(request.devices, request.workers, recipe.data.batch_size)
    with told_of_lost_workers(strategy):
        for one in (recipe, None if former else recipe_of_guide(recipe)):
            if one:
                check_components(one)
        if not former:
            with first_alone(strategy):
                root = datasets.create(request.dataset or "", request.data_dir)
                if request.secret is None:
                    datasets.create_secret(root)
        return train_recipe(recipe, request, out, former, callbacks, strategy)


@keras_defaults()
def train_recipe(
    recipe: Recipe,
    request: Request,
    out: Path,
    former: Run | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    strategy: tf.distribute.Strategy | None = None,
) -> Run:
    """Trains a recipe that need not be the one that the request names; otherwise as `train`.

    Args:
        recipe: What to train; `check_components` has accepted it.
        request: Dataset and seed.
        out: The run directory.
        former: The run to continue, whose directory is `out`; the recipe may have more steps than its own.
        callbacks: The user's, see `OwnCallbacks`; a guide, which is a run of its own, is trained without them.
        strategy: What `choose_strategy` gave, for several devices.
    """
    seed = request.seed or 0
    replicas = strategy.num_replicas_in_sync if strategy else 1
    require_shares(recipe.data.batch_size, replicas)
    initial = Initial.of(request.init, recipe) if request.init else None
    if not former and (own := recipe_of_guide(recipe)):
        _train_guide(own, replace(request, init=None), own_guide(out), strategy)
    guide = Guide.of(out, recipe)
    if guide and former:
        guide.require_unchanged(former)
    with first_alone(strategy):
        data = prepare_data(request, recipe, out.parent / ".cache")
    if guide:
        guide.require_same_data(data)
    for other in (former, guide and guide.run):
        if other:
            other.require_channels(data.card.channels)
    if initial:
        initial.require_domains(data.card)
    if not former:
        recipe = recipe.with_epochs_in_steps(max(len(SliceStore(scans)) for scans in data.train))
    with first_alone(strategy):
        targets = training_targets(request, recipe, data, out.parent / ".cache", guide)
    data = replace(data, truths=tuple(own.truth for own in targets or () if own.truth))
    keras.utils.set_random_seed(seed)
    precision = former.facts.precision if former else resolve_precision(recipe.precision)
    image_shape, target_shape = (scans[0].codes.shape[1:] for scans in data.train)  # (size, size, channels)
    with strategy.scope() if strategy else nullcontext():
        model = build_model(recipe, image_shape, precision, seed, target_shape)
    if recipe.distillation:
        teacher = beside(out, recipe.distillation.teacher)
        load_teacher(model, teacher, recipe.distillation.direction, data)
    if guide:
        guide.give_weights(model, recipe)
    where = f"{replicas} devices without XLA" if strategy else "XLA" if uses_xla() else "TensorFlow graph without XLA"
    logger.info("Training in %s on %s.", precision, where)
    if strategy:
        batch = recipe.data.batch_size
        logger.info("The devices share each batch of %d images of a domain, %d on each.", batch, batch // replicas)
    facts = facts_of(request, data, precision, tuple(model.generators), guide, replicas)
    if initial:
        facts = facts.model_copy(update={"init": initial.give_weights(model, recipe)})

    def store_initial(folder: Path) -> None:  # so that the run does not need the other one to be resumed
        if initial:
            checkpoints.save(checkpoints.state(model), folder / "checkpoints", step=0)

    with first_alone(strategy):
        writes = is_first(strategy) and not former
        run = create_run(out, recipe, facts, data.split.keys(), store_initial) if writes else former or load_run(out)
    if former and former.facts.fingerprint != data.fingerprint:
        raise RunError(
            f"The data differs from what {out} was trained on, or kerasgan {former.facts.kerasgan}, which began the "
            "run, prepared it in another way; restore it or start a new run."
        )
    if former and former.facts.replicas != replicas:
        logger.warning(
            "The run was begun on %d devices and goes on on %d: batches, random numbers and image pools stay what they "
            "were, and sums are taken in another order, so that the last digits will differ.",
            *(former.facts.replicas, replicas),
        )
    refusal = RunError(f"{out} is being trained by another process; wait for it, or name another run with --out.")
    with steady_graphs(), alone_in(out, refusal) if is_first(strategy) else nullcontext():
        for name in ("", "generators", "segmenters", "previews") if is_first(strategy) else ():
            remove_leftovers(out / name, alone=True)
        with first_alone(strategy):
            if not is_first(strategy):
                run = load_run(out)
            elif recipe != run.recipe:
                _tell_of_extension(run, recipe)
                run = extend_run(run, recipe)
        if targets and is_first(strategy):
            draw_targets(data, targets, run.path / "previews" / "targets.png")
        fit(model, run, data, targets, callbacks)
        if is_first(strategy):
            draw_losses(run)
            write_run_page(run)
        agree(strategy, "the last step", run.recipe.schedule.steps)  # the first process has written everything
    return run


def build_model(
    recipe: Recipe,
    image_shape: tuple[int, ...],
    precision: str,
    seed: int,
    target_shape: tuple[int, ...] | None = None,
) -> AdversarialModel:
    """The compiled model that trains a recipe.

    Args:
        recipe: What to train.
        image_shape: `(height, width, channels)` of the prepared images of domain a.
        precision: The dtype policy.
        seed: Seed of the image pools and penalties.
        target_shape: The same of domain b; None: that of a.

    Raises:
        KerasganError: As the method; for channels of a and a method that has none.
    """
    build, shapes = registry.find("models", recipe.method).build, {}
    if target_shape not in (None, image_shape):
        shapes["target_shape"] = target_shape
        if "target_shape" not in inspect.signature(build).parameters:
            raise KerasganError(
                f"The method {recipe.method!r} has one shape for the images of both domains, and domain a has "
                f"{image_shape[-1]} channels. Give its build an argument target_shape, or choose another method."
            )
    with dtype_policy(precision):
        model = build(recipe, image_shape, seed, **shapes)
    is_alone = model.distribute_strategy.num_replicas_in_sync == 1
    # Keras does not compile with XLA what several devices share, either.
    steps_per_execution = recipe.schedule.steps_per_execution if is_alone else 1
    model.compile(jit_compile=uses_xla() and is_alone, steps_per_execution=steps_per_execution)
    return model


def _tell_of_extension(run: Run, recipe: Recipe) -> None:
    """Says how far a run goes now, and what that does to its learning rate."""
    before, after = run.recipe.schedule, recipe.schedule
    old, new = (rate_of_updates(plan, recipe.optimizer.learning_rate) for plan in (before, after))
    logger.info(
        "Extending %s from %d to %d steps. The learning rate now follows the schedule of %d steps: the next step has "
        "%.3g, the last one had %.3g.",
        *(run.path, before.steps, after.steps, after.steps, new(before.steps), old(before.steps - 1)),
    )


def _train_guide(recipe: Recipe, request: Request, out: Path, strategy: tf.distribute.Strategy | None) -> None:
    """Trains the guide of a run before it, or what is left of it, unless it was begun with other settings."""
    former = load_run(out) if out.exists() else None
    if former:
        seeds = former.facts.seed, request.seed or 0
        changed = differences(former.recipe, recipe) + [f"seed: {seeds[0]} -> {seeds[1]}"] * (seeds[0] != seeds[1])
        if changed:
            raise RunError(
                f"{out} was begun with other settings ({'; '.join(changed)}). Choose another --out, or remove it."
            )
    logger.info("First its guide: %s of %s, in %s.", recipe.schedule.length, recipe.name, out)
    wanted = former.recipe if former else recipe  # that knows how many steps epochs are
    train_recipe(wanted, request, out, former, strategy=strategy)
