"""The training loop, in sight: batch, step, log, evaluate, checkpoint; stop when asked; go on bit for bit."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ..core.errors import ModelError, UsageError
from ..core.files import canonical_json, write_atomically
from .batches import Batches, count_views
from .checkpoint import NAME, Progress, Trainee, read_checkpoint, restore, save_checkpoint
from .devices import open_accelerator
from .interrupt import Interrupt
from .limit import OutOfTime, TimeLimit
from .logs import Logs
from .plan import TrainPlan
from .recipe import Recipe
from .record import begun_as, count_rejected, hardware_of, plain, training_record
from .report import Observer, Stop, TrainReport, Unwatched
from .schedule import AveragedNetwork
from .step import Forward, Stepper, StepResult, adamw
from .window import Window

BEST, LAST, RECORD = "best.safetensors", "last.safetensors", "training.json"
SKIPS_IN_ROW = 20
"""So many steps in a row without a finite loss end a run."""


def run_training(
    recipe: Recipe, plan: TrainPlan, *, folder: Path, resume: bool, observer: Observer, began: float | None = None
) -> TrainReport:
    """Train a recipe's network, or go on training it.

    On a CPU, with the same number of threads, a run that was killed at any moment and resumed ends with the weights,
    bit for bit, of one that was not: a checkpoint holds every number, and batches depend on the step alone.

    Args:
        recipe: data, network and loss.
        plan: the numbers.
        folder: of the run; made if absent. Holds all files that the run writes.
        resume: go on from the checkpoint of the folder, or begin where there is none.
        observer: told how it goes.
        began: ``time.monotonic()`` from which the plan's minutes count, where data was opened before; None for now.

    Raises:
        UsageError: a folder with a run and no ``resume``; another plan or recipe than it was begun with; devices that
            are not there.
        IntegrityError: a damaged checkpoint.
        ModelError: :data:`SKIPS_IN_ROW` steps in a row without a finite loss or gradient.
    """
    limit = TimeLimit(plan.minutes, began=time.monotonic() if began is None else began)
    run = _Run(recipe, plan, folder, resume=resume, observer=observer, limit=limit)
    try:
        with Interrupt() as interrupt, run.batches() as batches:
            stop: Stop = "finished"
            while run.progress.step < plan.steps:
                run.train(batches.take())
                if run.due(plan.log_every):
                    run.log()
                if run.must_rehearse():
                    run.rehearse()
                elif run.due(plan.evaluate_every):
                    run.evaluate()
                stop = run.asked_to_stop(interrupt)
                if stop != "finished":
                    break
                if run.due(plan.checkpoint_every):
                    run.checkpoint()
        return run.end(stop)
    finally:
        run.close()


class _Run:
    """A run between its files: what the loop's verbs do."""

    def __init__(
        self, recipe: Recipe, plan: TrainPlan, folder: Path, *, resume: bool, observer: Observer, limit: TimeLimit
    ) -> None:
        self.recipe, self.plan, self.folder, self.limit = recipe, plan, folder, limit
        self.checkpoint_path = folder / NAME
        self.written: dict[str, tuple[int, int]] = {}  # model file → the step it is of, and that of its figures
        begun = begun_as(recipe, plan)
        found = self._found(begun, resume=resume)
        self.accelerator = open_accelerator(plan)
        self.main = self.accelerator.is_main_process
        self.observer = observer if self.main else Unwatched()
        self.step = self._stepper()
        self.progress = Progress()
        if found is not None:
            self.progress = restore(self.checkpoint_path, self._trainee(), *found)
        folder.mkdir(parents=True, exist_ok=True)
        self.begun = begun
        self.logs = Logs(folder, self.progress.step) if self.main else None
        self.window = Window(self.progress)
        self._announce()

    # ---- the verbs of the loop ----

    def batches(self) -> Batches:
        """Every process makes its own share: batches step·processes + its index."""
        count, index = self.accelerator.num_processes, self.accelerator.process_index
        return Batches(
            lambda step: self.recipe.batch(step * count + index),
            first=self.progress.step,
            last=self.plan.steps,
            threads=self.plan.prefetch,
            pin=self.accelerator.device.type == "cuda",
        )

    def train(self, batch: dict[str, torch.Tensor]) -> None:
        """One step, counted."""
        result = self.step(self.progress.step, batch)
        self.progress.step += 1
        self.progress.views += count_views(batch) * self.accelerator.num_processes
        self.window.add(result)
        self._count_skips(result)

    def due(self, every: int) -> bool:
        """Whether something that happens every so many steps happens now."""
        return every > 0 and self.progress.step % every == 0

    def log(self) -> None:
        """A row of the means since the last one."""
        row = self.window.close(self.progress)
        if self.logs is not None:
            self.logs.step(self.progress.step, row)
        loss = float("nan") if row["loss"] is None else row["loss"]
        self.observer.stepped(self.progress.step, loss, row["images_per_second"] or 0.0)

    def evaluate(self) -> None:
        """The averaged weights on images held out; the best so far become a model file."""
        if self.main and self.progress.evaluated != self.progress.step:
            with suppress(OutOfTime):
                self._judge()
        self.accelerator.wait_for_everyone()

    def must_rehearse(self) -> bool:
        """Whether a run with a limit does now what its end will do, to know how long that takes."""
        return self.plan.minutes is not None and self._any(self.main and self.limit.asks_for_trial)

    def rehearse(self) -> None:
        """Write the last model as it is now, then evaluate."""
        if self.main:
            with self.limit.timing(LAST):
                self._export(LAST)
        self.evaluate()

    def checkpoint(self) -> None:
        """Everything that a resumed run needs."""
        self.window.tick(self.progress)
        if self.main:
            with self.limit.timing("checkpoint"):
                save_checkpoint(self.checkpoint_path, self._trainee(), self.progress, self.begun)

    def asked_to_stop(self, interrupt: Interrupt) -> Stop:
        """By a signal, or by the clock; on all processes alike."""
        if self._any(interrupt.asked):
            return "interrupted"
        return "minutes" if self._any(self.limit.reached) else "finished"

    def end(self, stop: Stop) -> TrainReport:
        """The last evaluation, the last files, and the report. A signal leaves time for a checkpoint only."""
        if stop != "interrupted":
            self.evaluate()
        if stop == "minutes" and self.progress.evaluated != self.progress.step:
            self.observer.note(f"no time was left to evaluate step {self.progress.step}; {LAST} holds its weights")
        self.checkpoint()
        if self.main and stop != "interrupted":
            self._finish_last()
        return self._report(stop)

    def close(self) -> None:
        """Flush the logs."""
        if self.logs is not None:
            self.logs.close()

    # ---- how it begins ----

    def _found(self, begun: dict[str, Any], *, resume: bool) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
        """The checkpoint to go on from, refused where it is of another run."""
        if not self.checkpoint_path.exists():
            return None
        if not resume:
            raise UsageError(f"{self.folder} holds a run already; resume it, or name another folder")
        header, tensors = read_checkpoint(self.checkpoint_path)
        self.plan.require_same(header.get("plan") or {})
        for what in ("recipe", "options"):
            if header.get(what) != begun[what]:
                raise UsageError(f"{self.folder} was begun with {what} {header.get(what)}, not {begun[what]}")
        return header, tensors

    def _stepper(self) -> Stepper:
        self.recipe.network.to(self.accelerator.device).train()
        forward = self.accelerator.prepare_model(Forward(self.recipe.network, self.plan.precision))
        average = AveragedNetwork(self.recipe.network, self.plan.ema)
        optimizer = adamw(self.recipe.network, self.plan)
        return Stepper(self.accelerator, self.recipe, forward, optimizer, average, self.plan)

    def _trainee(self) -> Trainee:
        return Trainee(self.recipe.network, self.step.average.network, self.step.optimizer, self.recipe)

    def _announce(self) -> None:
        self.observer.start(self.plan.steps, self.progress.step)
        if self.logs is not None and not self.logs.tensorboard:
            self.observer.note(
                "TensorBoard is not installed, so only the CSV logs are written: pip install tensorboard"
            )
        if self.main:
            write_atomically(self.folder / RECORD, canonical_json(self._record()))

    # ---- what comes out ----

    def _judge(self) -> None:
        """Evaluate; nothing is kept of an evaluation that the limit cuts off."""
        network = self.step.average.network
        with self.limit.timing("evaluation"), self.limit.cutting(), torch.no_grad():
            metrics = plain(self.recipe.evaluate(network))
        if metrics.get("score") is None:
            raise ModelError(f"recipe {self.recipe.name} must evaluate to a finite score, got {metrics}")
        self.progress.metrics, self.progress.evaluated = metrics, self.progress.step
        assert self.logs is not None
        self.logs.evaluation(self.progress.step, metrics)
        self.observer.evaluated(self.progress.step, metrics)
        self._export_best(metrics["score"])

    def _count_skips(self, result: StepResult) -> None:
        self.progress.skipped_in_row = 0 if result.finite else self.progress.skipped_in_row + 1
        self.progress.skipped += not result.finite
        if self.progress.skipped_in_row >= SKIPS_IN_ROW:
            raise ModelError(
                f"no finite loss or gradient in {SKIPS_IN_ROW} steps in a row, up to step {self.progress.step}; "
                f"lower lr (now {self.plan.lr}), or go on from the last checkpoint with precision 32"
            )

    def _export_best(self, score: float | None) -> None:
        assert score is not None
        if self.progress.best is None or score > self.progress.best:
            self.progress.best = score
            with self.limit.timing(BEST, LAST):
                self._export(BEST)

    def _finish_last(self) -> None:
        """The last model file; a fold and a proof are not made twice of the same weights and figures."""
        now = (self.progress.step, self.progress.evaluated)
        if self.written.get(BEST) == now:
            write_atomically(self.folder / LAST, (self.folder / BEST).read_bytes())
        elif self.written.get(LAST) != now:
            self._export(LAST)

    def _export(self, name: str) -> None:
        self.written[name] = (self.progress.step, self.progress.evaluated)
        self.window.tick(self.progress)
        record = self._record()
        self.recipe.export(self.step.average.network, self.folder / name, record)
        write_atomically(self.folder / RECORD, canonical_json(record))

    def _record(self) -> dict[str, Any]:
        hardware = hardware_of(self.accelerator.device, processes=self.accelerator.num_processes)
        return training_record(self.recipe, self.plan, self.progress, hardware=hardware)

    def _report(self, stop: Stop) -> TrainReport:
        p = self.progress
        return TrainReport(
            stopped=stop,
            steps=p.step,
            total=self.plan.steps,
            views=p.views,
            seconds=p.seconds,
            images_per_second=self.window.rate(p),
            skipped=p.skipped,
            rejected=count_rejected(self.begun["options"]),
            models=tuple(name for name in (BEST, LAST) if (self.folder / name).exists()),
            best=p.best,
            metrics=p.metrics,
            folder=self.folder,
            process=self.accelerator.process_index,
        )

    def _any(self, flag: bool) -> bool:
        told = torch.tensor(float(flag), device=self.accelerator.device)
        return bool(torch.as_tensor(self.accelerator.reduce(told, reduction="sum")).item() > 0)
