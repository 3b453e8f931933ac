"""``POST /v1/query``, ``/v1/prove``, ``/v1/noise`` and ``/v1/verify-proof``."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from ..api.answer import Answer
from ..api.index import Index
from ..api.noise import noise_at
from ..api.serving import Levels, png
from ..core.errors import UsageError
from .core import Service
from .examples import ANSWER, FAULTS
from .faults import Fault
from .forms import ASKED, FILES, QUESTION, Form, Upload, form_schema, read_form
from .passes import Asked

router = APIRouter(tags=["query"])
MOST_NOISY = 4_000_000
"""Pixels of an image whose noise is shown: the gradient takes eighty bytes of each."""
ONE = {**QUESTION, "image": {"type": "string", "format": "binary"}}


@router.post("/v1/query", summary="Find copies of images", responses=ANSWER, openapi_extra=form_schema(QUESTION))
async def query(request: Request) -> JSONResponse:
    """One record for each image, in order, those without an answer too; the status is 200 if any has one."""
    service, form = await _form(request, "image", *ASKED)
    asked, uploads = form.asked(), form.uploads("image", most=service.settings.max_images)
    _, index = await service.gallery(form)
    status, records = await service.records(index, asked, uploads)
    verdicts = [record["verdict"] for record in records]
    request.scope["told"] = {"images": len(records), "verdicts": verdicts, "snapshot": index.snapshot}
    return JSONResponse(records, status)


@router.post("/v1/prove", summary="Proofs of an answer", responses=FAULTS, openapi_extra=form_schema(ONE))
async def prove(request: Request) -> JSONResponse:
    """A statement for each certified radius, for ``retr verify-proof``. It names stored files."""
    service, form = await _form(request, "image", *ASKED)
    if not service.settings.serve_proofs:
        why = "a proof names the stored file by its path; this service was started without --serve-proofs"
        raise Fault(403, "no-proofs", why)
    asked = _certified(form.asked())
    index, upload, answer, _ = await _answered(service, form, asked)
    proofs = await service.within(service.slowly(lambda: index.prove(answer, upload.data)))
    return JSONResponse([dict(proof.statement) for proof in proofs])


@router.post(
    "/v1/noise", summary="What noise at the radius looks like", responses=FAULTS, openapi_extra=form_schema(ONE)
)
async def noise(request: Request) -> JSONResponse:
    """The image with as much noise as its verdict withstands, in a random and in the steepest direction, as PNG."""
    service, form = await _form(request, "image", *ASKED)
    asked = _certified(form.asked())
    index, _, answer, image = await _answered(service, form, asked)
    if image.shape[0] * image.shape[1] > MOST_NOISY:
        raise Fault(422, "usage", f"noise is shown on images of at most {MOST_NOISY} pixels; make this one smaller")
    noisy = await service.within(service.slowly(lambda: noise_at(index, image, answer)))
    shown = []
    for one in noisy:
        after = await service.within(service.answer(index, Asked(k=1), one.levels))
        shown.append(
            {
                "direction": one.direction,
                "moved": one.moved.as_json(),
                "verdict": after.point_verdict,
                "png": base64.b64encode(await asyncio.to_thread(png, one.levels)).decode(),
            }
        )
    radius = answer.copy or answer.not_a_copy
    assert radius is not None, "noise_at needs one"
    return JSONResponse({"schema": "retr.noise/1", "radius": radius.as_json(), "noisy": shown})


PROOF = {"proof": {"type": "string", "format": "binary"}, "image": FILES["items"], "index": QUESTION["index"]}


@router.post(
    "/v1/verify-proof",
    summary="Check a proof",
    responses=FAULTS,
    openapi_extra=form_schema(PROOF, required=("proof", "image")),
)
async def verify_proof(request: Request) -> JSONResponse:
    """The independent checker's verdict: confirmed, refuted or unsupported, and why. The query's file goes with it."""
    service, form = await _form(request, "proof", "image", "index")
    [proof] = form.uploads("proof", most=1)
    [image] = form.uploads("image", most=1)
    served = service.shelf.find(form.text("index"))
    index = served.open()
    async with service.intake.pixels(image.data, index):
        pass  # no image that the decoder refuses gets to the checker
    with TemporaryDirectory(prefix="retr-") as folder:
        found = await service.within(_checked(Path(folder), proof, image, index))
    hide = {folder: "", **service.shelf.hidden}
    why = found["why"]
    for path, name in hide.items():
        why = why and why.replace(path, name)
    return JSONResponse({"verdict": found["verdict"], "why": why})


async def _checked(folder: Path, proof: Upload, image: Upload, index: Index) -> dict[str, Any]:
    """What ``retr verify-proof`` says; the process is killed when nobody waits for it any more."""
    files = folder / "proof.json", folder / "image"
    for file, upload in zip(files, (proof, image), strict=True):
        await asyncio.to_thread(file.write_bytes, upload.data)
    words = ["verify-proof", str(files[0]), "--index", str(index.path), "--image", str(files[1]), "--format", "json"]
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "retr", *words],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, wrong = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return json.loads(said)[0]
    except (ValueError, IndexError):
        raise Fault(422, "proof", wrong.decode(errors="replace").strip()[:500].replace(str(folder), "")) from None


async def _form(request: Request, *known: str) -> tuple[Service, Form]:
    service: Service = request.app.state.service
    form = await read_form(request, service.settings)
    form.only(*known)
    return service, form


def _certified(asked: Asked) -> Asked:
    return Asked(asked.k, True, 1.0 if asked.eps is None else asked.eps, asked.unit)


async def _answered(service: Service, form: Form, asked: Asked) -> tuple[Index, Upload, Answer, Levels]:
    """The one image of a form, and its certified answer."""
    [upload] = form.uploads("image", most=1)
    _, index = await service.gallery(form)
    async with service.intake.pixels(upload.data, index) as image:
        answer = await service.within(service.answer(index, asked, image))
    if answer.certificate is None:
        raise UsageError(f"no certificate: {answer.withheld}")
    return index, upload, answer, image
