"""Detached Ed25519 signatures of proof files, by the package ``cryptography`` (extra ``sign``).

A signature says who vouches for a proof; whether the proof is right is found out by checking it. The file ``NAME.sig``
holds the 64 bytes over the bytes of ``NAME``, in base64.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

from ..core.errors import IntegrityError, UsageError
from ..core.files import write_atomically

SUFFIX = ".sig"


def sign(file: Path, key: Path) -> Path:
    """Sign a file with a private key (PEM, PKCS #8, without a password); returns the signature's file.

    Raises:
        UsageError: no such key, another kind of key, or ``cryptography`` is missing.
    """
    own = _key(key, private=True)
    target = file.with_name(file.name + SUFFIX)
    write_atomically(target, base64.b64encode(own.sign(file.read_bytes())) + b"\n")
    return target


def check_private_key(key: Path) -> None:
    """Make sure that files can be signed with it.

    Raises:
        UsageError: as :func:`sign`.
    """
    _key(key, private=True)


def check_signature(file: Path, public_key: Path) -> None:
    """Make sure that a file was signed by the owner of a public key (PEM).

    Raises:
        IntegrityError: there is no signature, or another one.
        UsageError: no such key, another kind of key, or ``cryptography`` is missing.
    """
    key, signature = _key(public_key, private=False), file.with_name(file.name + SUFFIX)
    try:
        key.verify(base64.b64decode(signature.read_bytes().strip(), validate=True), file.read_bytes())
    except FileNotFoundError:
        raise IntegrityError(f"{signature} is not there: the proof is not signed") from None
    except (binascii.Error, _invalid()) as error:
        raise IntegrityError(f"{file} was not signed by the owner of {public_key}, or was changed since") from error


def _key(path: Path, *, private: bool) -> Any:
    serialization, ed25519 = _cryptography()
    try:
        data = path.read_bytes()
        found = serialization.load_pem_private_key(data, None) if private else serialization.load_pem_public_key(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} is no {'private' if private else 'public'} key in PEM: {error}") from None
    if not isinstance(found, ed25519.Ed25519PrivateKey if private else ed25519.Ed25519PublicKey):
        raise UsageError(f"{path} is no Ed25519 key; make one with: openssl genpkey -algorithm ed25519")
    return found


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise UsageError("signatures need the extra: pip install 'retr[sign]'") from None
    return serialization, ed25519


def _invalid() -> type[Exception]:
    from cryptography.exceptions import InvalidSignature

    return InvalidSignature
