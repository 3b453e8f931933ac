"""Metrics written elsewhere: a Python callable, or a program of any language, audited without changing them.

``python:MODULE.ATTRIBUTE`` calls a function (ref, img), both float32 (b, 3, h, w) in [0, 1], that returns b distances.
If its answer carries a gradient, white-box attacks apply to it; the function says so itself by returning a tensor that
requires one. ``command:PROGRAM ARGS…`` starts a program once per batch, in a folder of its own: it reads ``pairs.json``
(``[{"ref": PATH, "img": PATH}, …]``, lossless PNG) on standard input and answers with b numbers, one a line. Pixels are
rounded to 8 bits for it, and nothing can be differentiated: black-box attacks only.
"""

from __future__ import annotations

import json
import math
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import ModelError, UsageError
from .contract import Facts, Measure, Metric

SECONDS_PER_BATCH = 600
"""A program that takes longer for one batch is ended."""

PYTHON_FACTS = Facts(
    name="python",
    title="python:MODULE.ATTRIBUTE",
    source="a function of yours: (ref, img) float32 (b, 3, h, w) in [0, 1] → b distances, lower = closer",
    lowest=float("-inf"),
    zero_at_identity=False,
    licence="its own",
    weights="its own",
)

COMMAND_FACTS = replace(
    PYTHON_FACTS,
    name="command",
    title="command:PROGRAM",
    source="a program of yours: pairs of PNG files as JSON on standard input → one distance a line, lower = closer",
    differentiable=False,
)


def load_python(rest: str) -> Metric:
    """The metric ``python:MODULE.ATTRIBUTE``; the working folder is searched for modules too.

    Whether it is differentiable is measured once, on a pair of images of 64 px.

    Raises:
        UsageError: where the name has no dot.
        ModelError: where the module or the attribute is missing, is not callable, or does not answer as it should.
    """
    name, _, attribute = rest.rpartition(".")
    if not name or not attribute:
        raise UsageError(f"python:{rest} is not python:MODULE.ATTRIBUTE, for example python:mymetrics.pim_distance")
    function = _import(name, attribute)
    spec = f"python:{rest}"

    def measure(ref: Tensor, img: Tensor) -> Tensor:
        return _as_distances(function(ref.float(), img.float()), len(ref), spec).to(ref.device)

    facts = replace(PYTHON_FACTS, name=spec, title=rest, differentiable=_carries_gradient(measure, spec))
    return Metric(facts, measure)


def load_command(rest: str) -> Metric:
    """The metric ``command:PROGRAM ARGS…``, words split as a shell would, no shell run.

    Raises:
        UsageError: where no program is named, or quotes do not close.
        ModelError: where the program is not found; on use, where it fails or answers wrongly.
    """
    measure = program_measure(rest, form="command")
    title = Path(shlex.split(rest)[0]).name
    return Metric(replace(COMMAND_FACTS, name=f"command:{rest}", title=title), measure)


def program_measure(rest: str, *, form: str) -> Measure:
    """What a program answers for a batch; the module's first lines say what it is asked.

    Args:
        rest: the program and its arguments, words split as a shell would.
        form: what the user wrote before them, for errors.

    Raises:
        UsageError: where no program is named, or quotes do not close.
        ModelError: where the program is not found; on use, where it fails or answers wrongly.
    """
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise UsageError(f"{form}:{rest} cannot be split into words: {error}") from None
    if not words:
        raise UsageError(f"{form}: needs a program, for example {form}:'python pim.py'")
    program = shutil.which(words[0])
    if program is None:
        raise ModelError(f"{form}: there is no program {words[0]!r}, neither as a path nor on PATH")

    # Not resolved further: a link into a virtual environment is what tells an interpreter which one it is.
    def measure(ref: Tensor, img: Tensor) -> Tensor:
        answers = _ask([str(Path(program).absolute()), *words[1:]], ref, img, form=form)
        return torch.tensor(answers, dtype=torch.float64, device=ref.device)

    return measure


def _import(name: str, attribute: str) -> Callable[[Tensor, Tensor], Any]:
    try:
        with _working_folder():
            module = import_module(name)
    except ImportError as error:
        raise ModelError(f"python:{name}.{attribute}: cannot import {name}: {error}") from None
    function = getattr(module, attribute, None)
    if not callable(function):
        what = "is not callable" if hasattr(module, attribute) else "is not there"
        raise ModelError(f"python:{name}.{attribute}: {attribute} of {module.__name__} {what}")
    return function


@contextmanager
def _working_folder() -> Iterator[None]:
    """Modules beside the user count, as they do for ``python -m``."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _as_distances(answer: Any, count: int, spec: str) -> Tensor:
    try:
        distances = torch.as_tensor(answer)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{spec} returned {type(answer).__name__}, not numbers: {error}") from None
    if distances.numel() != count:
        raise ModelError(f"{spec} returned shape {tuple(distances.shape)} for {count} pairs; one distance each is due")
    return distances.reshape(count)


def _carries_gradient(measure: Callable[[Tensor, Tensor], Tensor], spec: str) -> bool:
    ref = torch.full((1, 3, 64, 64), 0.25)
    img = torch.full((1, 3, 64, 64), 0.5).requires_grad_(True)
    try:
        with torch.enable_grad():
            return measure(ref, img).requires_grad
    except ModelError:
        raise
    except Exception as error:  # foreign code may raise anything
        raise ModelError(f"{spec} failed on a pair of 64 px images: {type(error).__name__}: {error}") from error


def _ask(command: list[str], ref: Tensor, img: Tensor, *, form: str) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="retr-metric-") as folder:
        pairs = [
            {"ref": _write(folder, f"{i}-ref", a), "img": _write(folder, f"{i}-img", b)} for i, a, b in _rows(ref, img)
        ]
        try:
            answer = subprocess.run(  # noqa: S603 - the user's own program, without a shell
                command, input=json.dumps(pairs), capture_output=True, text=True, timeout=SECONDS_PER_BATCH, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ModelError(f"{form}: {command[0]} did not run: {error}") from None
    if answer.returncode:
        said = (answer.stderr.strip().splitlines() or ["nothing on standard error"])[-1]
        raise ModelError(f"{form}: {command[0]} ended with exit code {answer.returncode}: {said}")
    return _numbers(answer.stdout, len(pairs), f"{form}: {command[0]}")


def _rows(ref: Tensor, img: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
    for i, (a, b) in enumerate(zip(ref.detach().cpu(), img.detach().cpu(), strict=True)):
        yield i, a, b


def _write(folder: str, name: str, image: Tensor) -> str:
    """Save (3, h, w) in [0, 1] as an 8-bit PNG."""
    path = Path(folder) / f"{name}.png"
    levels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    Image.fromarray(np.asarray(levels)).save(path)
    return str(path)


def _numbers(text: str, count: int, program: str) -> list[float]:
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        numbers = [float(line) for line in lines]
    except ValueError as error:
        raise ModelError(f"{program} answered with something that is no number: {error}") from None
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise ModelError(f"{program} answered {len(numbers)} lines for {count} pairs; one finite number each is due")
    return numbers
