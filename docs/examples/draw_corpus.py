"""Draw a small corpus of photograph-like images, and queries for it.

    python docs/examples/draw_corpus.py FOLDER [COUNT]

``corpus/``                  COUNT images (60), in turn as JPEG, PNG and WebP
``img.png``                  a retouched copy of one of them
``queries/``, ``pairs.csv``  three more, and what each is a copy of
``absent/``                  40 images that are not in the corpus

Every pixel follows from the image's number, so two runs draw the same images. Needs numpy and Pillow only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Array = npt.NDArray[np.float64]
Rgb = tuple[int, int, int]
SUFFIXES = ("jpg", "png", "webp")
ABSENT = 40


def clouds(rng: np.random.Generator, height: int, width: int, *, roughness: float) -> Array:
    """Fractal noise in [0, 1], (height, width): octaves of random grids, enlarged smoothly and added."""
    total = np.zeros((height, width))
    for octave in range(6):
        cells = 2 ** (octave + 1)
        grid = Image.fromarray(rng.random((cells + 1, cells + 1)).astype(np.float32))
        total += roughness**octave * np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))
    return (total - total.min()) / (total.max() - total.min())


def colour(rng: np.random.Generator) -> Rgb:
    """One colour, neither black nor white."""
    red, green, blue = (int(v) for v in rng.integers(25, 231, 3))
    return red, green, blue


def background(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    """Two colours mixed by a slanted gradient and clouds."""
    rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
    angle = rng.uniform(0, 2 * np.pi)
    slope = rows * np.sin(angle) + columns * np.cos(angle)
    mix = 0.6 * (slope - slope.min()) / np.ptp(slope) + 0.4 * clouds(rng, height, width, roughness=0.6)
    first, second = np.array(colour(rng)), np.array(colour(rng))
    return Image.fromarray((first + mix[..., None] * (second - first)).astype(np.uint8))


def ridge(rng: np.random.Generator, image: Image.Image) -> None:
    """A range of hills across the picture."""
    width, height = image.size
    bumps = sum(rng.uniform(0, 1 / k) * np.sin(k * np.linspace(0, 3, 60) + rng.uniform(0, 6)) for k in range(1, 7))
    level = height * rng.uniform(0.4, 0.8) + height * 0.12 * np.asarray(bumps)
    outline = list(zip(np.linspace(0, width, 60).tolist(), level.tolist(), strict=True))
    ImageDraw.Draw(image).polygon([(0, height), *outline, (width, height)], fill=colour(rng))


def objects(rng: np.random.Generator, image: Image.Image) -> None:
    """A few ellipses, boxes and lines of random size and colour."""
    draw, (width, height) = ImageDraw.Draw(image), image.size
    for _ in range(int(rng.integers(4, 10))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        dx, dy = rng.uniform(0.05, 0.3, 2) * min(width, height)
        box = (x - dx, y - dy, x + dx, y + dy)
        shape = rng.integers(3)
        if shape == 0:
            draw.ellipse(box, fill=colour(rng))
        elif shape == 1:
            draw.rectangle(box, fill=colour(rng), outline=colour(rng), width=3)
        else:
            draw.line(box, fill=colour(rng), width=int(rng.integers(3, 14)))


def picture(number: int) -> Image.Image:
    """Image ``number``: background, hills, objects, a soft lens, uneven light and sensor noise."""
    rng = np.random.default_rng(number)
    height, width = (int(v) for v in rng.integers(300, 501, 2))
    image = background(rng, height, width)
    if rng.random() < 0.6:
        ridge(rng, image)
    objects(rng, image)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(1.2)), dtype=np.float64)
    light = 0.75 + 0.5 * clouds(rng, height, width, roughness=0.75)
    noise = rng.normal(0, 3, pixels.shape)
    return Image.fromarray(np.clip(pixels * light[..., None] + noise, 0, 255).astype(np.uint8))


def retouched(image: Image.Image) -> Image.Image:
    """What someone who passes an image on may do to it: brighter, more contrast, a little soft."""
    brighter = ImageEnhance.Brightness(image).enhance(1.06)
    return ImageEnhance.Contrast(brighter).enhance(1.05).filter(ImageFilter.GaussianBlur(0.6))


def draw(folder: Path, numbers: Iterable[int]) -> None:
    """Save pictures under their numbers, in turn as JPEG, PNG and WebP."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        picture(number).save(folder / name_of(number), quality=90)


def name_of(number: int) -> str:
    """File name of a picture."""
    return f"{number:03d}.{SUFFIXES[number % len(SUFFIXES)]}"


def draw_queries(folder: Path, numbers: Iterable[int]) -> None:
    """Retouched copies, and the table of what each is a copy of."""
    (folder / "queries").mkdir(exist_ok=True)
    lines = ["query,truth"]
    for number in numbers:
        retouched(picture(number)).save(folder / "queries" / f"edited-{number}.jpg", quality=85)
        lines.append(f"edited-{number}.jpg,{name_of(number)}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Draw into the folder that the command line names."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60
    draw(folder / "corpus", range(count))
    draw(folder / "absent", range(10_000, 10_000 + ABSENT))
    draw_queries(folder, (3, 7, 11))
    retouched(picture(7)).save(folder / "img.png")
    print(f"{count} images in {folder / 'corpus'}; {folder / 'img.png'} is a retouched copy of corpus/{name_of(7)}")


if __name__ == "__main__":
    main()
