"""The commands: parse, call a room, print. Rooms are imported inside commands, so that --help is quick."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from .core.errors import RetrError, UsageError

app = typer.Typer(
    name="retr",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Find copies of images, and prove how far an adversary would have to change a query to change the answer.",
)
models = typer.Typer(no_args_is_help=True, help="List, show, prove and convert embedding models.")
app.add_typer(models, name="models")
train = typer.Typer(no_args_is_help=True, help="Train certified embedders: copies, distill, 2afc.")
app.add_typer(train, name="train")
data = typer.Typer(no_args_is_help=True, help="Data sets: which can be read, and how to get them.")
app.add_typer(data, name="data")
metrics = typer.Typer(no_args_is_help=True, help="Perceptual metrics: which there are, and what they need.")
app.add_typer(metrics, name="metrics")

REJECTED = 3  # finished, some inputs rejected

IndexOption = Annotated[
    Path | None, typer.Option("-i", "--index", help="The index folder [default: $RETR_INDEX, else ./retr-index].")
]
FormatOption = Annotated[str, typer.Option("--format", help="table, json, jsonl, csv or parquet.")]
ThresholdsOption = Annotated[
    str, typer.Option(help="local: one for each row, by how near the other items are; global: one for each channel.")
]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]

SourcesArgument = Annotated[
    list[Path], typer.Argument(metavar="SOURCE...", help="Folders of images, tar shards, or folders of shards.")
]
RunOption = Annotated[Path, typer.Option("-o", "--output", help="Folder of the run: checkpoint, logs, model files.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run of the folder, if there is one.")]
StepsOption = Annotated[int | None, typer.Option("--steps", help="Updates in all [default: the recipe's].")]
BatchOption = Annotated[int | None, typer.Option("--batch", help="Items in a batch [default: the recipe's].")]
RateOption = Annotated[float | None, typer.Option("--lr", help="Highest learning rate [default: the recipe's].")]
PrecisionOption = Annotated[str | None, typer.Option("--precision", help="32, bf16 or tf32 [default: 32].")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
MinutesOption = Annotated[float | None, typer.Option("--minutes", help="Stop cleanly after so long; see --resume.")]
HoldoutOption = Annotated[
    int | None, typer.Option("--holdout", help="Images kept for evaluation [default: a tenth, at most 1000].")
]
CacheOption = Annotated[Path | None, typer.Option("--cache", help="Folder for decoded images [default: RUN/cache].")]
WorkersOption = Annotated[int, typer.Option("--workers", help="Decoding threads.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Any other number of the plan or the recipe; repeat for several."),
]
CORES = os.cpu_count() or 2
SHOWN = 12
"""Images in the gallery of an audit's page."""


def _index_path(given: Path | None) -> Path:
    return given if given is not None else Path(os.environ.get("RETR_INDEX") or "retr-index")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        from . import __version__

        print(f"retr {__version__}")
        raise typer.Exit


@app.command(epilog="Example: retr index ./corpus -o my-index")
def index(
    corpus: Annotated[
        str, typer.Argument(help="A folder (recursive), a file that lists paths, or - for standard input.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The index folder [default: $RETR_INDEX, else ./retr-index].")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Embedder; repeat for several channels [default: block-means]. See: retr models list."),
    ] = None,
    views: Annotated[str | None, typer.Option(help="Stored views per image: none, flip, light or standard.")] = None,
    rows: Annotated[
        str | None, typer.Option(help="How rows are stored: float32, float16 or int8 [default: as the views ask].")
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained/--no-pretrained", help="Published weights for timm: models.")
    ] = True,
    workers: Annotated[int, typer.Option(help="Decoding threads.")] = os.cpu_count() or 2,
    batch_size: Annotated[int, typer.Option(help="Images embedded at once.")] = 64,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Drop what an interrupted run had done.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Forget images of this folder that are gone.")] = False,
    max_pixels: Annotated[int | None, typer.Option(help="Refuse larger images [default: the decode policy's].")] = None,
    device: DeviceOption = "auto",
    form: FormatOption = "table",
) -> None:
    """Index a corpus of images. Unchanged files of an earlier run are not embedded again."""
    from dataclasses import asdict, replace

    from .images.policy import DecodePolicy
    from .indexer.build import IndexOptions, build_index
    from .reports.emit import check_format, emit
    from .reports.index_table import print_run
    from .reports.progress import ProgressBar

    chosen = check_format(form)
    policy = DecodePolicy() if max_pixels is None else replace(DecodePolicy(), max_pixels=max_pixels)
    options = IndexOptions(
        models=tuple(model) if model else None,
        views=views,
        rows=rows,
        policy=policy if max_pixels is not None else None,
        pretrained=pretrained,
        workers=workers,
        batch_size=batch_size,
        resume=resume,
        restart=restart,
        prune=prune,
        device=device,
    )
    try:
        with ProgressBar("indexing", "images") as bar:
            report = asdict(build_index(corpus, _index_path(output), options, bar))
    except KeyboardInterrupt:
        print("retr: interrupted; what was done is kept: go on with --resume", file=sys.stderr)
        raise
    print_run(report) if chosen == "table" else emit([{"schema": "retr.index-run/1", **report}], chosen, one=True)
    if report["rejected"]:
        print("some inputs were rejected; see them with: retr info --rejects", file=sys.stderr)
        raise typer.Exit(REJECTED)


@app.command(epilog="Example: retr info my-index --verify")
def info(
    path: Annotated[Path | None, typer.Argument(metavar="[INDEX]", help="The index folder.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Check every file against its SHA-256.")] = False,
    rejects: Annotated[bool, typer.Option("--rejects", help="List the refused inputs instead.")] = False,
    form: FormatOption = "table",
) -> None:
    """Say what an index holds."""
    from .indexer.info import describe_index, list_rejects
    from .reports.emit import check_format, emit
    from .reports.index_table import print_info, print_rejects

    chosen = check_format(form)
    if rejects:
        rows = list_rejects(_index_path(path))
        print_rejects(rows) if chosen == "table" else emit(rows, chosen)
        return
    facts = describe_index(_index_path(path), verify=verify)
    print_info(facts) if chosen == "table" else emit([facts], chosen, one=True)


@app.command(epilog="Example: retr query img.png --certify --eps 2 --unit rmse")
def query(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Image files; - reads paths from standard input.")
    ],
    index: IndexOption = None,
    k: Annotated[int, typer.Option("-k", help="How many matches.", min=1)] = 10,
    certify: Annotated[bool, typer.Option("--certify", help="Prove radii for the answer.")] = False,
    eps: Annotated[
        float | None,
        typer.Option(help="Budget of the proved verdict [default with --certify: 1 rmse]; implies --certify."),
    ] = None,
    unit: Annotated[str, typer.Option(help="Unit of --eps: rmse (8-bit levels), l2 (pixels) or psnr (dB).")] = "rmse",
    threshold: Annotated[float | None, typer.Option(help="Replace the stored threshold.")] = None,
    require_certificate: Annotated[
        bool, typer.Option("--require-certificate", help="Exit with 4 if any certificate is withheld.")
    ] = False,
    device: DeviceOption = "auto",
    form: FormatOption = "table",
) -> None:
    """Find copies of images and, with --certify, prove how far they may change before the answer does."""
    from .core.units import check_unit
    from .indexer.sources import path_to_text
    from .reports.emit import check_format, emit
    from .reports.query_table import print_answer
    from .retrieval.engine import Engine
    from .retrieval.query import query_files

    chosen, unit_name = check_format(form), check_unit(unit)
    proving = certify or eps is not None or require_certificate
    budget = (eps if eps is not None else 1.0 if unit == "rmse" else None) if proving else None
    if proving and budget is None:
        raise UsageError(f"--unit {unit} needs --eps")
    engine = Engine.open(_index_path(index), device=device, threshold=threshold)
    paths = _paths(images)
    outcomes = query_files(engine, paths, k=k, certify=proving, eps=budget, unit=unit_name)
    refused, withheld, records = 0, [], []
    for outcome in outcomes:
        name = path_to_text(outcome.path)
        if outcome.answer is None:
            refused += 1
            print(f"retr: {name}: {outcome.refused}", file=sys.stderr)
            continue
        if outcome.answer.withheld and proving:
            withheld.append(f"{name}: {outcome.answer.withheld}")
        if chosen == "table":
            print_answer(outcome.answer, name)
        elif chosen == "jsonl":
            emit([outcome.answer.as_json(name)], chosen)
        else:
            records.append(outcome.answer.as_json(name))
    if chosen in ("json", "csv", "parquet") and (records or len(paths) != 1):
        emit(records, chosen, one=len(paths) == 1)
    _finish(refused, withheld if require_certificate else [])


def _finish(refused: int, withheld: list[str]) -> None:
    from .core.errors import CertificateWithheld

    if withheld:
        raise CertificateWithheld("certificate withheld: " + "; ".join(withheld))
    if refused:
        raise typer.Exit(REJECTED)


def _paths(given: list[str]) -> list[str]:
    """What was named, and for - the lines of standard input; file names are bytes, so they are read as bytes."""
    lines = sys.stdin.buffer.read().split(b"\n") if "-" in given else []
    listed = [os.fsdecode(line.rstrip(b"\r")) for line in lines if line.strip()]
    return [path for one in given for path in (listed if one == "-" else [one])]


@app.command(epilog="Example: retr calibrate my-index ./known-absent --fpr 1e-3")
def calibrate(
    index: Annotated[Path, typer.Argument(help="The index folder.")],
    negatives: Annotated[str, typer.Argument(help="Images with no copy in the index: a folder, a list file, or -.")],
    fpr: Annotated[float, typer.Option(help="False-match rate per query to aim at, in any channel.")] = 1e-3,
    shares: Annotated[
        str | None, typer.Option(help="Each channel's part of the false matches, e.g. 1,3 [default: equal parts].")
    ] = None,
    thresholds: ThresholdsOption = "local",
    form: FormatOption = "table",
) -> None:
    """Set the copy threshold from images known to be absent, with a bound that holds for finitely many."""
    from dataclasses import asdict

    from .reports.emit import check_format, emit
    from .reports.index_table import print_calibration
    from .reports.progress import ProgressBar
    from .retrieval.calibrate import calibrate as run
    from .retrieval.calibrate import check_thresholds

    chosen, local = check_format(form), check_thresholds(thresholds)
    paths = _corpus_paths(negatives, index)
    with ProgressBar("calibrating", "images") as bar:
        bar.start(len(paths))
        parts = _numbers("--shares", shares) if shares is not None else None
        result = run(index, paths, fpr=fpr, shares=parts, local=local, advance=bar.advance)
    found = [{"channel": name, **asdict(threshold)} for name, threshold in result.thresholds]
    record = {"schema": "retr.calibration/1", **asdict(result), "thresholds": found}
    print_calibration(record) if chosen == "table" else emit([record], chosen, one=True)
    if result.refused:
        raise typer.Exit(REJECTED)


@models.command("list", epilog="Example: retr models list --format json")
def models_list(form: FormatOption = "table") -> None:
    """List the embedders that can be named with --model."""
    from dataclasses import asdict

    from .embedding.registry import list_models
    from .reports.emit import check_format, emit
    from .reports.model_table import print_models

    chosen, rows = check_format(form), [asdict(model) for model in list_models()]
    print_models(rows) if chosen == "table" else emit(rows, chosen)


@models.command("show", epilog="Example: retr models show block-means")
def models_show(
    spec: Annotated[str, typer.Argument(help="A model, as for --model: a name or a file.")],
    pretrained: Annotated[
        bool, typer.Option("--pretrained/--no-pretrained", help="Published weights for timm: models.")
    ] = True,
    form: FormatOption = "table",
) -> None:
    """Show what a model is and what is proved of it."""
    from .embedding.describe import describe_model
    from .reports.emit import check_format, emit
    from .reports.model_table import print_model

    chosen, facts = check_format(form), describe_model(spec, pretrained=pretrained)
    print_model(facts) if chosen == "table" else emit([facts], chosen, one=True)


@models.command("prove", epilog="Example: retr models prove lipsim.safetensors")
def models_prove(
    file: Annotated[Path, typer.Argument(help="A model file.")],
    form: FormatOption = "table",
) -> None:
    """Prove a model file's constant again, layer by layer; exits with 5 where header or weights were changed."""
    from .embedding.describe import prove_file
    from .reports.emit import check_format, emit
    from .reports.model_table import print_proof

    chosen, facts = check_format(form), prove_file(file)
    print_proof(facts) if chosen == "table" else emit([facts], chosen, one=True)


@models.command("convert", epilog="Example: retr models convert model.ckpt-1.pth lipsim.safetensors")
def models_convert(
    checkpoint: Annotated[Path, typer.Argument(help="A published LipSim checkpoint (model.ckpt-N.pth).")],
    output: Annotated[Path, typer.Argument(help="The model file to write (*.safetensors).")],
    q: Annotated[
        str, typer.Option(help="published: the function the authors' code computes; right: q scales as in the theorem.")
    ] = "published",
    form: FormatOption = "table",
) -> None:
    """Convert a published checkpoint to a model file with a proved bound."""
    from .embedding.convert import convert_checkpoint
    from .embedding.describe import describe_model
    from .reports.emit import check_format, emit
    from .reports.model_table import print_model

    chosen = check_format(form)
    if output.suffix != ".safetensors":
        raise UsageError(f"a model file ends in .safetensors, got {output}")
    if q not in ("published", "right"):
        raise UsageError(f"--q takes published or right, got {q!r}")
    convert_checkpoint(checkpoint, output, q=q)  # type: ignore[arg-type]
    facts = describe_model(str(output))
    print_model(facts) if chosen == "table" else emit([facts], chosen, one=True)


@train.command("copies", epilog="Example: retr train copies ./photos -o run --steps 4000 --precision bf16")
def train_copies(
    sources: SourcesArgument,
    output: RunOption,
    steps: StepsOption = None,
    batch: BatchOption = None,
    lr: RateOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = 0,
    minutes: MinutesOption = None,
    resume: ResumeOption = False,
    holdout: HoldoutOption = None,
    cache: CacheOption = None,
    workers: WorkersOption = CORES,
    device: DeviceOption = "auto",
    settings: SetOption = None,
    form: FormatOption = "table",
) -> None:
    """Train on the certificate itself: copies of an image must be found again, as far away as possible."""
    numbers = _numbers_of_plan(steps, batch, lr, precision, seed, minutes, device)
    _train("copies", _Run(sources, output, resume, holdout, cache, workers), {**numbers}, settings, form)


@train.command("distill", epilog="Example: retr train distill ./photos -o run --teacher timm:resnet18")
def train_distill(
    sources: SourcesArgument,
    output: RunOption,
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="timm:NAME, dreamsim, open_clip:NAME or a model file.")
    ] = None,
    steps: StepsOption = None,
    batch: BatchOption = None,
    lr: RateOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = 0,
    minutes: MinutesOption = None,
    resume: ResumeOption = False,
    holdout: HoldoutOption = None,
    cache: CacheOption = None,
    workers: WorkersOption = CORES,
    device: DeviceOption = "auto",
    settings: SetOption = None,
    form: FormatOption = "table",
) -> None:
    """Train a student to embed as a teacher does (LipSim's first step)."""
    numbers = _numbers_of_plan(steps, batch, lr, precision, seed, minutes, device)
    _train(
        "distill",
        _Run(sources, output, resume, holdout, cache, workers),
        {**numbers, "teacher": teacher},
        settings,
        form,
    )


@train.command("2afc", epilog="Example: retr train 2afc ./nights -o run --steps 2000")
def train_two_afc(
    sources: SourcesArgument,
    output: RunOption,
    published: Annotated[
        bool, typer.Option("--published", help="The paper's normalised form; its certificate is labelled as theirs.")
    ] = False,
    steps: StepsOption = None,
    batch: BatchOption = None,
    lr: RateOption = None,
    precision: PrecisionOption = None,
    seed: SeedOption = 0,
    minutes: MinutesOption = None,
    resume: ResumeOption = False,
    holdout: HoldoutOption = None,
    cache: CacheOption = None,
    workers: WorkersOption = CORES,
    device: DeviceOption = "auto",
    settings: SetOption = None,
    form: FormatOption = "table",
) -> None:
    """Train on which of two images people find nearer to a third (LipSim's second step)."""
    numbers = _numbers_of_plan(steps, batch, lr, precision, seed, minutes, device)
    _train(
        "2afc",
        _Run(sources, output, resume, holdout, cache, workers),
        {**numbers, "published": published or None},
        settings,
        form,
    )


@dataclass(frozen=True)
class _Run:
    """What is asked of a training run beside its numbers."""

    sources: list[Path]
    folder: Path
    resume: bool
    holdout: int | None
    cache: Path | None
    workers: int


def _numbers_of_plan(
    steps: int | None,
    batch: int | None,
    lr: float | None,
    precision: str | None,
    seed: int,
    minutes: float | None,
    device: str,
) -> dict[str, object]:
    numbers = {"steps": steps, "batch": batch, "lr": lr, "precision": precision, "seed": seed}
    return {**numbers, "minutes": minutes, "accelerator": device}


def _train(recipe: str, run: _Run, numbers: dict[str, object], words: list[str] | None, form: str) -> None:
    """Train one recipe and print how it ended."""
    from dataclasses import asdict

    from .reports.emit import check_format, emit
    from .reports.train_table import TrainProgress, print_training
    from .training.loop import run_training
    from .training.options import parse_settings
    from .training.recipes import RunContext, build_recipe, plan_and_options

    chosen = check_format(form)
    plan, options = plan_and_options(recipe, {**numbers, **parse_settings(words or ())})
    shown = TrainProgress()
    with shown.decoding:
        context = RunContext(
            sources=tuple(run.sources),
            cache=run.cache or run.folder / "cache",
            workers=run.workers,
            plan=plan,
            holdout=run.holdout,
            progress=shown.decoding,
        )
        built = build_recipe(recipe, options, context)
    with shown:
        result = run_training(built, plan, folder=run.folder, resume=run.resume, observer=shown)
    if result.process:  # torchrun started several; the first one speaks for all
        raise typer.Exit(130 if result.stopped == "interrupted" else 0)
    report = {"schema": "retr.training-run/1", **asdict(result), "folder": str(result.folder)}
    print_training(report) if chosen == "table" else emit([report], chosen, one=True)
    if result.stopped == "interrupted":
        print("retr: interrupted; a checkpoint is written: go on with --resume", file=sys.stderr)
        raise typer.Exit(130)
    if result.rejected:
        print(
            f"retr: {result.rejected} files are no acceptable image; {run.folder}/training.json counts them by reason",
            file=sys.stderr,
        )
        raise typer.Exit(REJECTED)


@app.command(
    "attack-eval", epilog="Example: retr attack-eval -i my-index queries/ --truth pairs.csv --budgets 0.5,1,2,3"
)
def attack_eval(
    queries: Annotated[
        str | None,
        typer.Argument(help="Query images: a folder, a list file or - [default: edits of the index's items]."),
    ] = None,
    index: IndexOption = None,
    truth: Annotated[
        Path | None, typer.Option(help="CSV with columns query,truth [default: by file name without ending].")
    ] = None,
    self_edits: Annotated[
        bool, typer.Option("--self-edits", help="Make queries from the index's own images (implied without QUERIES).")
    ] = False,
    sample: Annotated[
        int | None, typer.Option(help="How many of the index's images to draw; 0 for all [default: 30].")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Take on no query that would end after it; 0: no limit [default: 120 for a plain attack-eval]."
        ),
    ] = None,
    negatives: Annotated[
        str | None, typer.Option(help="Images that are copies of nothing in the index: a folder or a list file.")
    ] = None,
    systems: Annotated[
        str | None,
        typer.Option(help="Systems side by side, comma-separated: indexes, phash, dhash, pdq, models; see the guide."),
    ] = None,
    transfer_from: Annotated[
        str | None, typer.Option(help="Also make every attack on this system, and judge it by the others.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Every attack on a few queries: minutes.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Every attack and goal, hard, on 200 images: hours.")] = False,
    edits: Annotated[
        str | None, typer.Option(help="Benign edits, comma-separated; all for every one; see the guide.")
    ] = None,
    attacks: Annotated[
        str | None, typer.Option(help="Attacks, comma-separated; all for every one [default: apgd-l2,apgd-linf].")
    ] = None,
    goals: Annotated[
        str | None,
        typer.Option(
            help="evasion, rank10, verdict, collision, embedding, comma-separated, or all [default: evasion]."
        ),
    ] = None,
    budgets: Annotated[str | None, typer.Option(help="Budgets, comma-separated [default: 0.5,1,2,3].")] = None,
    unit: Annotated[str, typer.Option(help="Unit of the budgets: rmse, l2 or psnr.")] = "rmse",
    at_radius: Annotated[
        str | None, typer.Option(help="Attack at these multiples of each query's own certified radius instead.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps per start [default: 20].")] = None,
    restarts: Annotated[int | None, typer.Option(help="Random starts [default: 1].")] = None,
    loss_queries: Annotated[
        int | None,
        typer.Option(help="Evaluations of the loss per start, for attacks that see no gradient [default: 200]."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of samples, edits and starts.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for records and images [default: retr-audit/RUN].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished audit of the same plan.")] = False,
    keep: Annotated[str, typer.Option(help="Which adversarial images to keep: none, alarms or all.")] = "alarms",
    page: Annotated[Path | None, typer.Option(help="The HTML report [default: audit.html beside the records].")] = None,
    device: DeviceOption = "auto",
    form: FormatOption = "table",
) -> None:
    """Attack queries, and hold every certificate against what was found; exits with 1 on any soundness alarm."""
    from .core.units import check_unit
    from .evaluation.robustness.attack_eval import OUT_OF_TIME, run_attack_eval
    from .evaluation.robustness.checkpoint import open_folder
    from .evaluation.robustness.presets import choose_preset, plan_of
    from .evaluation.robustness.records import read_records
    from .evaluation.robustness.thumbnails import thumbnails
    from .evaluation.systems.lineup import check_words, first_index, open_lineup
    from .reports.attack_table import audit_json, print_audit
    from .reports.audit_page import write_audit_page
    from .reports.emit import check_format, emit
    from .reports.progress import ProgressBar, audit_progress
    from .retrieval.engine import Engine

    if queries is not None and self_edits:
        raise UsageError("--self-edits makes its own queries; leave QUERIES out")
    chosen, names = check_format(form), _words(systems)
    home = first_index(names, _index_path(index))
    given = {
        "queries": tuple(_corpus_paths(queries, home)) if queries is not None else (),
        "truth": truth,
        "negatives": tuple(_corpus_paths(negatives, home)) if negatives is not None else (),
        "sample": sample,
        "seconds": seconds,
        "edits": _words(edits),
        "attacks": _words(attacks),
        "goals": _words(goals),
        "budgets": _numbers("--budgets", budgets) if budgets is not None else None,
        "unit": check_unit(unit),
        "at_radius": _numbers("--at-radius", at_radius) if at_radius else (),
        "steps": steps,
        "restarts": restarts,
        "loss_queries": loss_queries,
        "seed": seed,
        "out": out,
        "resume": resume,
        "keep": keep,
        "gallery": 0 if keep == "none" else SHOWN,
        "command": " ".join(["retr", *sys.argv[1:]]),
    }
    engine = Engine.open(home, device=device)
    plan = plan_of(choose_preset(quick=quick, full=full), given, items=engine.gallery.items)
    check_words([*names, *([transfer_from] if transfer_from else [])], plan)
    place = open_folder(plan)
    try:
        lineup = open_lineup(
            names,
            engine,
            transfer_from=transfer_from,
            folder=place.folder,
            device=device,
            watch=lambda title: ProgressBar(title, "images"),
        )
        for name, count in lineup.holes().items():
            print(f"retr: {name} does not hold {count} of the {engine.gallery.items} items", file=sys.stderr)
        with audit_progress() as progress:
            result = run_attack_eval(engine, plan, lineup=lineup, place=place, progress=progress)
    except KeyboardInterrupt:
        print(f"retr: interrupted; what was done is in {place.folder}: go on with --resume", file=sys.stderr)
        raise
    report = page or result.folder / "audit.html"
    records, pictures = read_records(result.records), thumbnails(lineup, engine)
    write_audit_page(report, result.summary, records, root=result.folder, thumbnail=pictures)
    print_audit(result) if chosen == "table" else emit([audit_json(result)], chosen, one=True)
    print(f"page: {report}", file=sys.stdout if chosen == "table" else sys.stderr)
    if result.summary.alarms:
        print(f"retr: {result.summary.alarms} soundness alarms; see {result.records}", file=sys.stderr)
        raise typer.Exit(1)
    if set(result.skipped) - {OUT_OF_TIME}:
        raise typer.Exit(REJECTED)


@app.command(
    "bench-copies",
    epilog="Example: retr bench-copies ./photos --distractors ./others --negatives ./others --queries 200",
)
def bench_copies(
    gallery: Annotated[str, typer.Argument(help="Images to store and, edited, to query: a folder or a list file.")],
    distractors: Annotated[
        list[Path] | None, typer.Option(help="Images stored beside them: a folder or a .tar shard; repeatable.")
    ] = None,
    negatives: Annotated[
        Path | None,
        typer.Option(help="Images not stored, for thresholds and false matches; halved if a distractor source too."),
    ] = None,
    known_copies: Annotated[
        Path | None,
        typer.Option(help="CSV (image,copy_of): negatives with a copy in the gallery, to leave out; see the guide."),
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="Embedder; repeat for several channels.")] = None,
    views: Annotated[str, typer.Option(help="Views stored per gallery item; as for retr index.")] = "none",
    rows: Annotated[
        str | None, typer.Option(help="How rows are stored: float32, float16 or int8 [default: as the views ask].")
    ] = None,
    distractor_views: Annotated[str, typer.Option(help="Views stored per distractor; same: as --views.")] = "none",
    queries: Annotated[int, typer.Option(help="Items queried per family, stratified over folders; 0: all.")] = 500,
    families: Annotated[str, typer.Option(help="Edit families, comma-separated, or all; see the guide.")] = "all",
    seed: Annotated[int, typer.Option(help="Seed of samples, halves and edits.")] = 0,
    epsilons: Annotated[str, typer.Option(help="RMSE levels for certified rates, comma-separated.")] = "0.5,1,2,3,5",
    fpr: Annotated[float, typer.Option(help="False-match rate per query of the thresholds.")] = 1e-3,
    thresholds: ThresholdsOption = "local",
    baseline: Annotated[
        list[str] | None, typer.Option(help="phash, dhash, pdq or an embedder, in the same table; repeatable.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of indexes and records.")] = Path(
        "retr-copies"
    ),
    workers: Annotated[int, typer.Option(help="Threads that decode, edit and search.")] = os.cpu_count() or 2,
    batch_size: Annotated[int, typer.Option(help="Images embedded at once.")] = 32,
    device: DeviceOption = "auto",
    form: FormatOption = "table",
) -> None:
    """Find edited copies of your own images among distractors: recall, clean and certified, family by family."""
    from .evaluation.copies.bench import run_copy_bench
    from .evaluation.copies.plan import CopyPlan
    from .images.copy_edits import FAMILIES
    from .indexer.options import DEFAULT_MODELS
    from .reports.copy_table import CopyProgress, copy_json, copy_rows, print_copies
    from .reports.emit import check_format, emit

    chosen = check_format(form)
    plan = CopyPlan(
        gallery=gallery,
        distractors=tuple(distractors or ()),
        negatives=negatives,
        known_copies=known_copies,
        models=tuple(model) if model else DEFAULT_MODELS,
        views=views,
        distractor_views=distractor_views,
        rows=rows,
        queries=queries or None,
        families=tuple(FAMILIES) if families == "all" else _words(families),
        seed=seed,
        epsilons=_numbers("--epsilons", epsilons),
        fpr=fpr,
        thresholds=thresholds,
        baselines=tuple(baseline or ()),
        out=output,
        workers=workers,
        batch_size=batch_size,
        device=device,
        command=" ".join(["retr", *sys.argv[1:]]),
    )
    with CopyProgress("copies", "images") as bar:
        result = run_copy_bench(plan, bar)
    if chosen == "table":
        print_copies(result)
    else:
        emit([copy_json(result)] if chosen == "json" else copy_rows(result), chosen, one=chosen == "json")
    if result.summary.refuted:
        print(f"retr: {result.summary.refuted} claims refuted by brute force; see {result.records}", file=sys.stderr)
        raise typer.Exit(1)


@app.command(
    "bench-2afc",
    epilog="Example: retr bench-2afc --data synthetic:./photos --metric l2 --metric retr:retr_s --limit 100",
)
def bench_2afc(
    data: Annotated[
        list[str], typer.Option("--data", help="bapps:, nights:, pieapp:, clic2021: or synthetic:FOLDER; repeatable.")
    ],
    metric: Annotated[list[str], typer.Option("--metric", help="As in: retr metrics list; repeatable.")],
    preset: Annotated[str, typer.Option(help="clean (no attack), quick, paper or lipsim; see the guide.")] = "quick",
    attacks: Annotated[
        str | None, typer.Option(help="Attack settings, comma-separated, or all [default: the preset's].")
    ] = None,
    moves: Annotated[
        str | None,
        typer.Option(help="reference, preferred, other, all, comma-separated [default: as in each attack's paper]."),
    ] = None,
    transfer_from: Annotated[
        str | None, typer.Option(help="Metric that transferred attacks are made on; none [default: the preset's].")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the data sets [default: the one that papers use].")] = "",
    kinds: Annotated[str | None, typer.Option(help="Kinds of distortion, of bapps and synthetic.")] = None,
    unanimous: Annotated[bool, typer.Option("--unanimous", help="Only triplets on which all people agree.")] = False,
    side: Annotated[
        int | None, typer.Option(help="Resize images to so many pixels [default: as they lie; synthetic: 64].")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many triplets of each data set, drawn by seed.")] = None,
    l2: Annotated[str | None, typer.Option(help="l2 radii of attacks, e.g. 36/255,1 [default: the preset's].")] = None,
    linf: Annotated[str | None, typer.Option(help="linf radii of attacks, e.g. 0.01,4/255; pixels go to 1.")] = None,
    eps: Annotated[str | None, typer.Option(help="l2 radii of certified scores [default: 36,72,108/255].")] = None,
    steps: Annotated[int | None, typer.Option(help="Gradient steps, where the papers name none.")] = None,
    restarts: Annotated[int | None, typer.Option(help="Random starts, where the papers name none.")] = None,
    loss_queries: Annotated[int | None, typer.Option(help="Evaluations for attacks that see no gradient.")] = None,
    medium: Annotated[str, typer.Option(help="Saved image that is counted: float or png (8 bits).")] = "float",
    keep: Annotated[str, typer.Option(help="Which adversarial images to keep: none, alarms or all.")] = "alarms",
    seed: Annotated[int, typer.Option(help="Seed of samples, synthetic triplets and random starts.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Triplets attacked at a time.")] = 16,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for records and images.")] = Path("retr-2afc"),
    page: Annotated[Path | None, typer.Option(help="The HTML report [default: 2afc.html beside the records].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run of the folder.")] = False,
    device: DeviceOption = "auto",
    form: FormatOption = "table",
) -> None:
    """Let metrics judge triplets, attack them as the papers did, and hold certificates; exits with 1 on any alarm."""
    from .evaluation.two_afc.data import Choice
    from .evaluation.two_afc.plan import parse_radii, plan_of
    from .evaluation.two_afc.run import run_two_afc
    from .evaluation.two_afc.summary import summarise_triplets
    from .reports.emit import check_format, emit
    from .reports.progress import audit_progress
    from .reports.two_afc_page import write_two_afc_page
    from .reports.two_afc_table import print_two_afc, two_afc_json, two_afc_rows

    chosen = check_format(form)
    given = {
        "data": tuple(data),
        "metrics": tuple(metric),
        "choice": Choice(split, _words(kinds), unanimous, side, limit, seed),
        "attacks": _words(attacks),
        "moves": _words(moves),
        "transfer_from": transfer_from,
        "certified": parse_radii("--eps", eps),
        "medium": medium,
        "keep": keep,
        "out": out,
        "resume": resume,
        "batch_size": batch_size,
        "device": device,
        "command": " ".join(["retr", *sys.argv[1:]]),
    }
    levels = {
        "l2": parse_radii("--l2", l2),
        "linf": parse_radii("--linf", linf),
        "steps": steps,
        "restarts": restarts,
        "queries": loss_queries,
    }
    plan = plan_of(preset, given, levels)
    try:
        with audit_progress() as progress:
            result = run_two_afc(plan, progress=progress)
    except KeyboardInterrupt:
        print(f"retr: interrupted; what was done is in {out}: go on with --resume", file=sys.stderr)
        raise
    summary, report = summarise_triplets(result.records), page or result.folder / "2afc.html"
    write_two_afc_page(report, summary, result.records)
    print(f"retr: page: {report}", file=sys.stderr)
    if chosen == "table":
        print_two_afc(result, summary)
    elif chosen == "json":
        emit([two_afc_json(result, summary)], chosen, one=True)
    else:
        emit(two_afc_rows(summary), chosen)
    if result.alarms:
        print(f"retr: {result.alarms} soundness alarms; see {result.path}", file=sys.stderr)
        raise typer.Exit(1)
    if result.rejected:
        raise typer.Exit(REJECTED)


@app.command(
    "bench-knn",
    epilog="Example: retr bench-knn ./labelled --split 2 --model retr_s --k 5 --side 64 --attack",
)
def bench_knn(
    gallery: Annotated[Path, typer.Argument(help="A folder of folders of images; their names are the labels.")],
    queries: Annotated[Path | None, typer.Option(help="Another such folder to ask with [default: --split].")] = None,
    split: Annotated[int, typer.Option(help="Without --queries: images of each label that ask.")] = 1,
    level: Annotated[int, typer.Option(help="How many folders make up a label.")] = 1,
    model: Annotated[str, typer.Option(help="Embedder; see: retr models list.")] = "retr_s",
    k: Annotated[int, typer.Option("--k", help="Voters, and first places of recall@k.")] = 5,
    side: Annotated[int | None, typer.Option(help="Resize images to so many pixels [default: as they lie].")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many queries, drawn by seed.")] = None,
    rmse: Annotated[str, typer.Option(help="Sizes of changes, RMSE in 8-bit levels.")] = "0.5,1,2,3,5",
    l2: Annotated[str, typer.Option(help="Sizes of changes, l2 in pixels.")] = "36/255,72/255,108/255,255/255",
    attack: Annotated[bool, typer.Option("--attack", help="Also attack every right vote (APGD, l2).")] = False,
    steps: Annotated[int, typer.Option(help="Gradient steps of an attack.")] = 50,
    restarts: Annotated[int, typer.Option(help="Random starts of an attack.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of split, sample and random starts.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Queries attacked at once.")] = 16,
    workers: Annotated[int, typer.Option(help="Decoding threads.")] = os.cpu_count() or 2,
    form: FormatOption = "table",
) -> None:
    """Classify labelled images by their nearest neighbours: accuracy and recall, proved and attacked; 1 on any alarm.

    Formats other than table and json give one row per query.
    """
    from .evaluation.knn.bench import run_knn
    from .evaluation.knn.plan import KnnPlan
    from .evaluation.knn.summary import summarise_knn
    from .evaluation.two_afc.plan import parse_radii
    from .reports.copy_table import CopyProgress
    from .reports.emit import check_format, emit
    from .reports.knn_table import knn_json, knn_rows, print_knn

    chosen = check_format(form)
    plan = KnnPlan(
        gallery=gallery,
        queries=queries,
        split=split,
        level=level,
        model=model,
        k=k,
        side=side,
        limit=limit,
        rmse=_numbers("--rmse", rmse),
        l2=parse_radii("--l2", l2),
        attack=attack,
        steps=steps,
        restarts=restarts,
        seed=seed,
        batch=batch_size,
        workers=workers,
    )
    with CopyProgress("k-NN", "images") as bar:
        result = run_knn(plan, bar)
    summary = summarise_knn(result)
    if chosen == "table":
        print_knn(result, summary)
    else:
        emit([knn_json(result, summary)] if chosen == "json" else knn_rows(result), chosen, one=chosen == "json")
    if summary.alarms:
        print(f"retr: attacks broke {summary.alarms} certificates", file=sys.stderr)
        raise typer.Exit(1)
    if result.rejected:
        raise typer.Exit(REJECTED)


def _corpus_paths(source: str, index: Path) -> list[str]:
    from .indexer.sources import read_corpus, text_to_path

    return [str(text_to_path(path)) for path in read_corpus(source, exclude=index).paths]


@data.command("list", epilog="Example: retr data list --format json")
def data_list(form: FormatOption = "table") -> None:
    """List the data sets that can be read."""
    from .datasets.catalogue import list_data
    from .reports.data_table import print_data_list
    from .reports.emit import check_format, emit

    chosen, rows = check_format(form), list_data()
    print_data_list(rows) if chosen == "table" else emit(rows, chosen)


@data.command("info", epilog="Example: retr data info bapps")
def data_info(
    name: Annotated[str, typer.Argument(help="As in: retr data list.", show_default=False)],
    form: FormatOption = "table",
) -> None:
    """Say how to get a data set, and how it must lie on disk. Nothing is fetched."""
    from .datasets.catalogue import info
    from .reports.data_table import print_data_info
    from .reports.emit import check_format, emit

    chosen, facts = check_format(form), info(name)
    print_data_info(facts) if chosen == "table" else emit([facts.as_json()], chosen, one=True)


@metrics.command("list", epilog="Example: retr metrics list --format json")
def metrics_list(form: FormatOption = "table") -> None:
    """List the perceptual metrics: whether each runs now, and what it needs."""
    from .metrics.registry import list_metrics
    from .reports.emit import check_format, emit
    from .reports.metrics_table import print_metrics

    chosen, rows = check_format(form), list_metrics()
    print_metrics(rows) if chosen == "table" else emit(rows, chosen)


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip()) if text else ()


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in _words(text))
    except ValueError:
        raise UsageError(f"{option} takes numbers separated by commas, got {text!r}") from None


def main() -> None:
    """Run the command line; every expected failure ends with one sentence and its exit code, never a traceback."""
    # Before torch and FAISS start their threads: idle ones shall sleep. Spinning ones make a query of 10 ms take 150 ms
    # as soon as another process wants a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except RetrError as error:
        print(f"retr: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of our output has left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"retr: {error}", file=sys.stderr)
        sys.exit(1)
