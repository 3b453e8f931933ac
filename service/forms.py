"""What a request says: a multipart form read into memory, its fields by the names that the command line has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from ..core.names import shown
from .faults import Fault
from .names import last_part
from .passes import Asked
from .settings import Settings

YES, NO = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off", ""})
MOST_FIELDS, MOST_FIELD = 64, 2**16
MOST_K = 1000


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a form: the name that the sender gave, without folders, and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Form:
    """A form that was read.

    Attributes:
        fields: name → its values in order, texts or files.
    """

    fields: dict[str, list[str | Upload]]

    def uploads(self, name: str, *, most: int) -> list[Upload]:
        """The files of a field, in order, one at least.

        Raises:
            Fault: too few or too many, or text where files are expected.
        """
        found = self.fields.get(name, [])
        files = [one for one in found if isinstance(one, Upload)]
        if len(files) < len(found):
            raise Fault(422, "usage", f"{name} is a file: send it as one, with a file name")
        if not files:
            raise Fault(422, "usage", f"the form has no file {name}")
        if len(files) > most:
            raise Fault(413, "too-many-images", f"a request has at most {most} files {name}, got {len(files)}")
        return files

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a field, empty ones left out."""
        found = self.fields.get(name, [])
        if any(isinstance(one, Upload) for one in found):
            raise Fault(422, "usage", f"{name} is a word, not a file")
        return tuple(str(one) for one in found if one)

    def text(self, name: str) -> str | None:
        """The one value of a field; None without."""
        found = self.texts(name)
        if len(found) > 1:
            raise Fault(422, "usage", f"{name} is given once, got {len(found)} values")
        return found[0] if found else None

    def flag(self, name: str) -> bool:
        """Whether a field says yes."""
        word = (self.text(name) or "").lower()
        if word not in YES | NO:
            raise Fault(422, "usage", f"{name} is true or false, got {word!r}")
        return word in YES

    def number(self, name: str, default: Any, kind: type[int] | type[float]) -> Any:
        """A field as a number."""
        text = self.text(name)
        try:
            return default if text is None else kind(text)
        except ValueError:
            raise Fault(422, "usage", f"{name} is a number, got {text!r}") from None

    def only(self, *known: str) -> None:
        """Raise a fault for a field that would be ignored."""
        for name in self.fields:
            if name not in known:
                raise Fault(422, "usage", f"there is no field {name!r}; there are {', '.join(known)}")

    def asked(self) -> Asked:
        """What is asked of each image."""
        k, eps = self.number("k", 10, int), self.number("eps", None, float)
        if not 1 <= k <= MOST_K:
            raise Fault(422, "usage", f"k is 1 to {MOST_K}, got {k}")
        against, unit = self.texts("against"), self.text("unit") or "rmse"
        certify = self.flag("certify") or eps is not None or bool(against)
        if eps is None and unit != "rmse":  # as the command line
            raise Fault(422, "usage", f"unit {unit} needs eps")
        eps = 1.0 if eps is None and certify else eps
        return Asked(k, certify, eps, unit, self.flag("explain"), against)


ASKED = ("k", "certify", "eps", "unit", "against", "explain", "where", "certified_only", "index")
"""Fields of a question, beside its images."""


async def read_form(request: Request, settings: Settings) -> Form:
    """The multipart form of a request; its files stay in memory.

    Raises:
        Fault: another type of body, or one that is no such form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Fault(415, "content-type", f"send multipart/form-data, got {shown(kind) or 'no Content-Type'}")
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=4 * settings.max_images,
        max_fields=MOST_FIELDS,
        max_part_size=MOST_FIELD,
    )
    parser.spool_max_size = settings.max_body + 1
    try:
        fields = await parser.parse()
        return Form(await _read(fields))
    except MultiPartException as error:
        raise Fault(400, "form", f"this is no multipart form: {error.message}") from error
    except (KeyError, ValueError) as error:
        raise Fault(400, "form", f"this is no multipart form: {error}") from error
    finally:
        parser.close()


class _InMemory(MultiPartParser):
    """Uploaded images are never written to a disk."""

    def close(self) -> None:
        """Free what the parts were kept in."""
        for file in self._files_to_close_on_error:
            file.close()


async def _read(fields: FormData) -> dict[str, list[str | Upload]]:
    found: dict[str, list[str | Upload]] = {}
    for number, (name, value) in enumerate(fields.multi_items(), 1):
        if isinstance(value, UploadFile):
            upload = Upload(last_part(value.filename or "") or f"file {number}", await value.read())
            found.setdefault(name, []).append(upload)
        else:
            found.setdefault(name, []).append(value)
    return found


def form_schema(properties: dict[str, Any], *, required: Sequence[str] = ("image",), example: Any = None) -> dict:
    """A form for OpenAPI."""
    schema = {"type": "object", "properties": properties, "required": list(required)}
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"requestBody": {"required": True, "content": {"multipart/form-data": content}}}


FILES = {"type": "array", "items": {"type": "string", "format": "binary"}, "description": "Image files, in order."}
QUESTION: dict[str, Any] = {
    "image": FILES,
    "k": {"type": "integer", "minimum": 1, "maximum": MOST_K, "default": 10, "description": "How many matches."},
    "certify": {"type": "boolean", "default": False, "description": "Prove radii for the answer."},
    "eps": {"type": "number", "description": "Budget of the proved verdict; implies certify. Default then: 1 rmse."},
    "unit": {"type": "string", "enum": ["rmse", "l2", "psnr"], "default": "rmse", "description": "Unit of eps."},
    "against": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Families of edits to prove, such as jpeg:30..95 or crop:95; implies certify.",
    },
    "explain": {"type": "boolean", "default": False, "description": "Say what each match is measured by."},
    "certified_only": {
        "type": "boolean",
        "default": False,
        "description": "Leave the companion of the index out: only what can be proved is found.",
    },
    "where": {"type": "array", "items": {"type": "string"}, "description": "Only items with this label: bank=a,b."},
    "index": {"type": "string", "description": "Which index, where several are served."},
}
