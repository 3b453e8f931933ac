"""Proves the bounds of the packaged models again, and keeps the proofs beside their weights.

    python docs/benchmarks/keep_proofs.py

To be run when the weights or the prover (embedding/bounds.py, spectral.py, residual.py, forward_error.py, layers/) have
changed: the old proof is not read any more then, and every opening of the model would prove the bound anew.
"""

from __future__ import annotations

from retr.core.files import canonical_json, write_atomically
from retr.embedding.kept_proofs import ENDING, shipped_proof
from retr.embedding.model_file import load_model
from retr.embedding.packaged import NAMES, packaged_file


def main() -> None:
    """Write one file for each packaged model."""
    for name in NAMES:
        weights = packaged_file(name)
        if weights is None:
            print(f"{name}: there are no weights")
            continue
        model = load_model(weights, anew=True)
        proof = shipped_proof(model.network, input_shape=(3, *model.input_size), tensors=model.tensors)
        file = weights.with_name(f"{name}{ENDING}")
        write_atomically(file, canonical_json(proof) + b"\n")
        print(f"{file}: L ≤ {model.proof.total.value if model.proof else None}")


if __name__ == "__main__":
    main()
