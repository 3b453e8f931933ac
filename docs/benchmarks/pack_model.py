"""Puts a trained model into the package: the weights of a run, with a card that says what people should know.

    python docs/benchmarks/pack_model.py RUN docs/models/retr_s.json embedding/weights/retr_s.safetensors

RUN is the folder of `retr train`; its best model is taken, its bound proved again, and its training record kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from retr.embedding.model_file import load_model, read_header, save_model
from retr.training.loop import BEST

LOGS = ("metrics.csv", "evaluations.csv")


def main() -> None:
    """Read the run and the card, write the model file, and copy the logs beside the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("card", type=Path)
    parser.add_argument("output", type=Path)
    chosen = parser.parse_args()
    source = chosen.run / BEST
    header = save_model(
        load_model(source),
        chosen.output,
        json.loads(chosen.card.read_text(encoding="utf-8")),
        training=read_header(source)["training"],
    )
    for name in filter(lambda log: (chosen.run / log).is_file(), LOGS):  # a run of few steps logs none
        shutil.copyfile(chosen.run / name, chosen.card.with_name(f"{chosen.card.stem}-{name}"))
    print(f"{chosen.output}: {chosen.output.stat().st_size:,} bytes, L ≤ {header['lipschitz']['value']}")


if __name__ == "__main__":
    main()
