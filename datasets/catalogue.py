"""What is known of each data set: how to get it, how it must lie on disk, what reads it. Nothing is ever fetched."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..core.errors import UsageError
from . import bapps, clic, labelled, nights, pieapp, synthetic

Task = Literal["2afc", "labels"]


@dataclass(frozen=True, slots=True)
class DataInfo:
    """One data set.

    Attributes:
        name: as on the command line; the layout's name.
        title: what it is, in a line.
        task: 2afc (which of two is nearer), labels (what an image shows).
        paper: where it was published, or "".
        licence: what its owners say of its use.
        size: how much there is to download, and what is in it.
        splits: names that a loader takes.
        layout: the files that a loader looks for, as a tree.
        get: what to do, step by step, in words and commands.
        notes: oddities, and what the loader makes of them.
    """

    name: str
    title: str
    task: Task
    paper: str
    licence: str
    size: str
    splits: tuple[str, ...]
    layout: str
    get: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


_BAPPS_HOME = "https://github.com/richzhang/PerceptualSimilarity"
_BAPPS_FILES = "https://perceptual-similarity.s3.us-west-2.amazonaws.com/dataset"

BAPPS = DataInfo(
    name=bapps.LAYOUT,
    title="64-pixel patches, six families of distortions",
    task="2afc",
    paper="Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, arXiv 1801.03924",
    licence=f"see {_BAPPS_HOME}",
    size="val 1.3 GB, train 5.3 GB; patches of 64 pixels",
    splits=bapps.SPLITS,
    layout="""\
bapps/2afc/val/cnn/ref/000000.png       also color, deblur, frameinterp, superres, traditional
                  /p0/000000.png
                  /p1/000000.png
                  /judge/000000.npy     one number: share of people who found p1 nearer
bapps/2afc/train/{traditional,cnn,mix}/…""",
    get=(
        "mkdir -p bapps/2afc && cd bapps/2afc",
        f"curl -LO {_BAPPS_FILES}/twoafc_val.tar.gz && tar -xf twoafc_val.tar.gz",
        f"curl -LO {_BAPPS_FILES}/twoafc_train.tar.gz && tar -xf twoafc_train.tar.gz   (for training only)",
    ),
    notes=(
        "The four files of a triplet are met by their stem, not by their order.",
        "How many people judged is not stored; the papers' subset is the triplets whose judgement is 0 or 1.",
    ),
)

NIGHTS = DataInfo(
    name=nights.LAYOUT,
    title="generated triplets: pose, layout, content; unanimous",
    task="2afc",
    paper="Fu et al., DreamSim, arXiv 2306.09344",
    licence="see https://github.com/ssundaram21/dreamsim",
    size="58 GB; 20,019 triplets of 768 pixels",
    splits=nights.SPLITS,
    layout="""\
nights/data.csv                         id, left_vote, right_vote, votes, ref_path, left_path, right_path, split,
                                        is_imagenet (and prompt): by name, in any order
nights/ref/…                            as ref_path says
nights/distort/…                        as left_path and right_path say""",
    get=("curl -LO https://data.csail.mit.edu/nights/nights.zip && unzip nights.zip",),
    notes=(
        "right_vote 1 means that the right image is nearer.",
        f"Rows with fewer than {nights.MIN_VOTES} votes are skipped, as in the paper; min_votes says otherwise.",
        "test is divided by is_imagenet into test_imagenet and test_no_imagenet.",
    ),
)

PIEAPP = DataInfo(
    name=pieapp.LAYOUT,
    title="40 references, 15 distortions each, 40 judges a pair",
    task="2afc",
    paper="Prashnani et al., PieAPP, arXiv 1806.02067",
    licence="non-commercial, educational use only; see https://github.com/prashnani/PerceptualImageError",
    size="2.2 GB, the training part included; 256 pixels",
    splits=pieapp.SPLITS,
    layout="""\
pieapp/labels/test/ref_1_pairwise_labels.csv      "ref. image", " distorted image A", " distorted image B",
                                                  " preference for A": spaces in the header are part of the files
pieapp/reference_images/test/ref_1.png
pieapp/distorted_images/test/ref_1/distort_1_….png""",
    get=(
        "curl -LO https://web.ece.ucsb.edu/~ekta/projects/PieAPPv0.1/all_data_PieAPP_dataset_CVPR_2018.zip",
        "unzip all_data_PieAPP_dataset_CVPR_2018.zip, and name the folder that holds labels/",
    ),
    notes=(
        "The table gives the share of people who preferred A; ours is the share who preferred B, the right one.",
        "The reference is compared with its own distortions too; such pairs are skipped.",
        f"Pairs are kept where more than {pieapp.CLEAR:g} of the people agree; clear says otherwise.",
    ),
)

CLIC = DataInfo(
    name=clic.LAYOUT,
    title="perceptual track, validation: two codecs each",
    task="2afc",
    paper="Challenge on Learned Image Compression 2021, https://clic.compression.cc/2021",
    licence="see https://archive.compression.cc/datasets",
    size="tens of GB (the crops); 768 pixels",
    splits=clic.SPLITS,
    layout="""\
clic/validation.csv                     no header; four columns O, A, B, T: original, two versions, 0 where A is
                                        nearer, 1 where B is. The table of the organisers' archive has this form
                                        and is called clic2021_perceptual_valid_answers.csv; either name will do
clic/…                                  images, where the table says, or anywhere below if the name is unique""",
    get=(
        "Open https://archive.compression.cc/datasets and take clic2021_perceptual_valid_ratings.zip (the table)",
        "and clic2021_perceptual_valid_crops.zip (the images); unpack both into one folder.",
    ),
    notes=(
        "Rows in which the original is one of the two, or both are one file, tested the people; they are skipped.",
        "A triplet that was asked more than once is as many rows.",
    ),
)

SYNTHETIC = DataInfo(
    name=synthetic.LAYOUT,
    title="made here from any photographs; order by construction",
    task="2afc",
    paper="",
    licence="that of your photographs",
    size="nothing to download",
    splits=("all",),
    layout="photos/…                                any images at any depth",
    get=("Name a folder of photographs.",),
    notes=(
        "Both candidates are the reference under one kind of distortion, weak and clearly stronger.",
        "Nobody was asked: metrics that count differences pixel by pixel agree almost always. The mixed pairings,"
        " such as shift-blur, are harder for them.",
        "It can be written to disk in the layout of bapps.",
    ),
)

FOLDERS = DataInfo(
    name=labelled.LAYOUT,
    title="labels are folder names: k-NN, retrieval by label",
    task="labels",
    paper="",
    licence="that of your images",
    size="nothing to download",
    splits=("all",),
    layout="""\
images/<label>/….jpg                    at any depth below the label's folder""",
    get=("Name a folder of folders; ImageNet, Imagenette and most collections are laid out so.",),
    notes=("Images outside of any label's folder and labels without an image are named.",),
)

CATALOGUE: dict[str, DataInfo] = {info.name: info for info in (BAPPS, NIGHTS, PIEAPP, CLIC, SYNTHETIC, FOLDERS)}
"""Every data set by name."""


def info(name: str) -> DataInfo:
    """Look a data set up.

    Raises:
        UsageError: for an unknown name, with those there are.
    """
    if name not in CATALOGUE:
        raise UsageError(f"no data set is called {name!r}; choose from {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def list_data() -> list[dict[str, Any]]:
    """One plain JSON object per data set, for a table."""
    short = ("name", "task", "title", "splits", "size", "licence")
    return [{key: value for key, value in each.as_json().items() if key in short} for each in CATALOGUE.values()]
