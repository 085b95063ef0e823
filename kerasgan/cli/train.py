"""`kerasgan train`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasgan.cli._app import app, index_folder, trusted
from kerasgan.cli._console import load_tensorflow, prepare_training, resumable, say, writing
from kerasgan.cli._workers import workers_of_environment
from kerasgan.errors import KerasganError

if TYPE_CHECKING:
    from kerasgan.scans.volume import Modality

_MODALITIES: dict[str, tuple[str, Modality]] = {
    f"{domain}={modality}": (domain, modality) for domain in ("a", "b") for modality in ("MR", "CT")
}


# What other programs call a setting of the recipe, or an option of this command.
_ELSEWHERE = {
    **dict.fromkeys(("lr", "initial_lr"), "optimizer.learning_rate"),
    **{"beta1": "optimizer.beta_1", "beta2": "optimizer.beta_2", "fp16": "precision", "amp": "precision"},
    **dict.fromkeys(("n_epochs", "max_epochs", "num_epochs"), "schedule.epochs"),
    **dict.fromkeys(("iterations", "max_steps", "num_steps"), "schedule.steps"),
    **dict.fromkeys(("img_size", "image_size", "crop_size", "load_size"), "data.size"),
    **{"bs": "data.batch_size", "filters": "generator.filters", "ngf": "generator.filters"},
    **{"blocks": "generator.blocks", "ndf": "discriminator.filters"},
    **dict.fromkeys(("lambda_a", "lambda_cycle"), "losses.cycle_weight"),
    **{"lambda_b": "losses.cycle_weight_b", "lambda_identity": "losses.identity_weight"},
    **dict.fromkeys(("dataroot", "data", "data_root"), "--data-dir"),
    **dict.fromkeys(("output", "output_dir", "name"), "--out"),
    **{"continue_train": "--resume", "config": "--recipe", "pretrained_weights": "--init", "pretrained": "--init"},
    **dict.fromkeys(("gpus", "gpu_ids", "gpu", "num_gpus"), "--devices"),
}
# Where the number is another one here.
_COUNTED_OTHERWISE = {"lambda_identity": "lambda_identity times lambda_A", "n_epochs": "n_epochs plus n_epochs_decay"}


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="A dataset's name, or a .py file that defines one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Its data.  [default: datasets/NAME]")] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe's name, or a .py file.  [default: kerasgan2026]")] = None,
    out: Annotated[Path | None, typer.Option(help="Run directory.  [default: a new one under runs/]")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Scale the recipe down to minutes.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue --out, or the newest run that fits.")] = False,
    extend: Annotated[
        int | None, typer.Option(metavar="STEPS", min=1, help="Continue a finished run for so many steps more.")
    ] = None,
    init: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Start from the weights of a run, or of a generator's file.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random.  [default: 0]", min=0, max=2**32 - 1)
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Change the recipe; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all settings and show the plan; write nothing.")
    ] = False,
    fold: Annotated[
        str | None, typer.Option(metavar="I/K", help="Cross-validation: test on the I-th of K parts of the patients.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse scans that need repair.")] = False,
    modality: Annotated[
        list[str] | None,
        typer.Option(metavar="DOMAIN=MR|CT", help="What image files of a domain are whose values leave it open."),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(metavar="N|I,J", help="How many GPUs share each batch, or which.  [default: all that can]"),
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Train on a Ray cluster: HOST:PORT, auto or local.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=2, help="With --ray: how many processes share each batch.")
    ] = None,
) -> None:
    """Train on a dataset's scans, or continue or extend a run.

    \b
    Example:
      kerasgan train --dataset adni --data-dir /data/ADNI --set schedule.steps=5000
    """
    if context.args:
        known = [option for parameter in context.command.params for option in parameter.opts]
        raise KerasganError(_advice(context.args, known))
    from kerasgan import api
    from kerasgan.config import fold_numbers
    from kerasgan.training import start
    from kerasgan.training.request import Request

    if wrong := sorted(set(modality or ()) - _MODALITIES.keys()):
        raise typer.BadParameter(f"--modality takes {', '.join(_MODALITIES)}; got {' '.join(wrong)}.")
    try:
        fold_numbers(fold or "1/2")
    except ValueError as error:
        raise typer.BadParameter(f"--fold: {error}.") from error
    if bool(ray) != bool(workers):
        raise typer.BadParameter("--ray ADDRESS and --workers N are given together.")
    modalities = dict(_MODALITIES[one] for one in modality or ())
    this_worker = None if ray else workers_of_environment()
    asked: dict[str, Any] = {
        "dataset": dataset,
        "data_dir": data_dir,
        "recipe": recipe,
        "quick": quick,
        "overrides": tuple(overrides or ()),
        "seed": seed,
        "strict": strict,
        "trust": trusted(context),
        "modalities": modalities,
        "fold": fold,
        "extend": extend,
        "init": init,
        "index": index_folder(context),
        "devices": _devices(devices),
    }
    request = Request(**asked, workers=this_worker)
    resume = resume or extend is not None
    place = start.choose_out(request, out, resume)
    start.check(request, place, resume)
    say(f"Run {place}; loading TensorFlow.", err=True)
    if dry_run or not ray:
        load_tensorflow()
    if dry_run:
        from kerasgan.cli._plan import plan

        prepare_training()
        say(plan(request, place, resume))
        return
    with writing(place), resumable(lambda: how_to_resume(place)):
        if ray and workers:
            from kerasgan.cli._ray import train_on_ray

            run = train_on_ray(asked, place, resume, ray, workers)
        else:
            prepare_training()
            run = api.train(**asked, workers=this_worker, out=place, resume=resume)
    if this_worker and this_worker.index:
        return  # the first one tells
    from kerasgan.training.results import results

    path = quote(str(run.path))
    note = " (quick run: it shows that everything works, not what the recipe reaches)" if run.quick else ""
    say("\n".join([f"Trained {run.recipe.schedule.steps} steps of {run.recipe.name}{note}.", *results(run), ""]))
    say(f"  Run          {run.path}")
    say(f"  Page         {run.path / 'report.html'}")
    say(f"  Losses       {run.path / 'losses.png'}, {run.path / 'history.csv'}")
    say(f"  Previews     {run.path / 'previews'}")
    say(f"  TensorBoard  tensorboard --logdir {path}/tensorboard\n\nNext:")
    if run.facts.paired:
        say(f"  kerasgan evaluate {path}")
    inputs = " ".join(f"{channel.name}=INPUT" for channel in run.facts.channels) or "INPUT"
    say(f"  kerasgan translate {path} {inputs} OUTPUT")
    say(f"  kerasgan export {path} OUTPUT --format serving")


def _devices(text: str | None) -> int | tuple[int, ...] | None:
    """Returns a number of devices, or the numbers of GPUs where there is a comma."""
    try:
        numbers = tuple(int(word) for word in (text or "").split(",") if word)
    except ValueError:
        numbers = ()
    if text is not None and (not numbers or 0 in numbers[: "," not in text]):
        raise typer.BadParameter(f"--devices takes how many, such as 2, or GPUs such as 0,2 (one: 2,); got {text!r}.")
    return numbers if text and "," in text else next(iter(numbers), None)


def _advice(words: list[str], known: list[str]) -> str:
    """Returns what to write in place of words that the command does not take, the first of which is looked at.

    Args:
        words: As the user wrote them.
        known: The options of the command.
    """
    from kerasgan import registry
    from kerasgan.config import Recipe, flat
    from kerasgan.text import nearest

    word, equals, value = words[0].partition("=")
    if not word.startswith("-"):
        is_folder = word not in registry.names("datasets") and Path(word).is_dir()
        given = f"--dataset folder --data-dir {quote(word)}" if is_folder else f"--dataset {quote(word)}"
        return f"Got an unexpected argument {word!r}. A dataset is named by an option: {given}"
    name = word.lstrip("-").replace("-", "_").lower()
    fields = {path.rpartition(".")[2]: path for path in flat(Recipe(name="").model_dump())}
    place = _ELSEWHERE.get(name) or fields.get(name, "")
    if place.startswith("--"):
        return f"No such option: {word}. It is called {place} here."
    if not place:
        return f"No such option: {word}. {nearest(word, known)} Settings of the recipe are given with --set."
    if other := _COUNTED_OTHERWISE.get(name):
        return f"No such option: {word}. It is a setting of the recipe: --set {place}=VALUE, which is {other}."
    value = value if equals else next((found for found in words[1:2] if not found.startswith("-")), "VALUE")
    return f"No such option: {word}. It is a setting of the recipe: --set {place}={value}"


def how_to_resume(place: Path) -> str:
    """Returns what continues an interrupted training: its checkpoint, or the same command before the first step."""
    from kerasgan.training.start import own_guide

    if (place / "run.json").exists():
        return f"Continue from its checkpoint with: kerasgan train --resume --out {quote(str(place))}"
    if own_guide(place).exists():
        return f"Its guide had begun; the same command with --out {quote(str(place))} goes on from there."
    return "The first step had not begun. Prepared slices are kept; the same command goes on from there."
