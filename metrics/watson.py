"""Watson-DFT: Watson's model of vision on Fourier amplitudes of 8 × 8 blocks (Czolbe, Krause, Cox & Igel 2020).

The authors' file for colour images (``rgb_watson_fft_trial0.pth``) is given by path. Different from their code: blocks
are weighed against the mean brightness of their own image (theirs: of the whole batch), and sides that are no multiple
of 8 are filled up by repeating the border (theirs are refused). Their random shift of blocks is for training; here
blocks start at the corner, which their code calls deterministic.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .checkpoints import fill, read_tensors, require_file
from .contract import Facts, Metric

BLOCK = 8
TINY = 1e-10
RGB_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))

FACTS = Facts(
    name="watson-dft",
    title="Watson-DFT",
    source="Czolbe, Krause, Cox & Igel 2020 (arXiv 2006.15057), Watson-DFT for colour, blocks of 8 from the corner",
    zero_at_identity=False,
    smallest_side=BLOCK,
    licence="Apache-2.0 (retr); the file: its authors'",
    weights="a file: the authors' rgb_watson_fft_trial0.pth",
)


class Channel(nn.Module):
    """The distance of one colour channel: (b, 1, h, w) twice → (b,); sides are multiples of 8.

    Attributes:
        t_tild: (8, 5) log sensitivity thresholds per frequency.
        alpha: exponent of luminance masking.
        w_tild: contrast masking, through a sigmoid.
        beta: exponent of pooling.
        w_phase_tild: (8, 5) log weights of phase differences.
    """

    def __init__(self) -> None:
        super().__init__()
        size = (BLOCK, BLOCK // 2 + 1)
        self.t_tild = nn.Parameter(torch.zeros(size))
        self.alpha = nn.Parameter(torch.tensor(0.1))
        self.w_tild = nn.Parameter(torch.tensor(0.0))
        self.beta = nn.Parameter(torch.tensor(1.0))
        self.w_phase_tild = nn.Parameter(torch.zeros(size))

    def forward(self, ref: Tensor, img: Tensor) -> Tensor:
        """Masked amplitude differences, pooled, plus weighted angles between phases."""
        first, second = block_spectra(ref), block_spectra(img)  # b k 8 5 complex
        seen, given = amplitude(first), amplitude(second)
        slack = self._visible(seen)
        pooled = (((seen - given) / slack).abs() + TINY) ** self.beta + TINY
        strength = pooled.sum((1, 2, 3)) ** (1 / self.beta)
        angle = torch.acos(torch.cos(phase(first) - phase(second)) * (1 - 1e3 * TINY))
        return strength + (angle * self._phase_weights()).sum((1, 2, 3))

    def _visible(self, seen: Tensor) -> Tensor:
        """How much each amplitude may change before it is seen: luminance masking, then contrast masking."""
        brightness = seen[:, :, :1, :1] + TINY  # b k 1 1
        mean = seen[:, :, :1, :1].mean(1, keepdim=True) + TINY
        threshold = self.t_tild.exp() * (brightness / mean) ** self.alpha
        share = torch.sigmoid(self.w_tild)
        masked = (seen + TINY) ** share * threshold ** (1 - share)
        towards_masked = torch.sigmoid(masked - threshold)  # a smooth maximum
        return threshold * (1 - towards_masked) + masked * towards_masked

    def _phase_weights(self) -> Tensor:
        """(8, 5), zero at the four frequencies whose coefficients are real."""
        real = torch.zeros_like(self.w_phase_tild, dtype=torch.bool)
        real[:: BLOCK // 2, :: BLOCK // 2] = True
        return self.w_phase_tild.exp().masked_fill(real, 0.0)


class WatsonDFT(nn.Module):
    """The weighted sum over Y, Cb and Cr: (b, 3, h, w) in [0, 1] twice → (b,)."""

    def __init__(self) -> None:
        super().__init__()
        self.ly, self.lcb, self.lcr = Channel(), Channel(), Channel()
        self.w_tild = nn.Parameter(torch.zeros(3))

    def forward(self, ref: Tensor, img: Tensor) -> Tensor:
        """Distances (b,)."""
        ref, img = to_ycbcr(2 * _whole_blocks(ref) - 1), to_ycbcr(2 * _whole_blocks(img) - 1)
        channels = (self.ly, self.lcb, self.lcr)
        parts = [channel(ref[:, i : i + 1], img[:, i : i + 1]) for i, channel in enumerate(channels)]
        return (torch.stack(parts, dim=1) * torch.softmax(self.w_tild, 0)).sum(1)


def load_watson(rest: str) -> Metric:
    """The metric ``watson-dft:FILE``.

    Raises:
        UsageError: where no file is named.
        ModelError: where it is absent, or holds other tensors.
    """
    path = require_file(rest, form="watson-dft:FILE")
    network = WatsonDFT()
    fill(network, path, read_tensors(path))
    # Phases of small coefficients are ill-conditioned; float64 costs nothing at this size.
    network.double()
    return Metric(
        FACTS, lambda ref, img: network(ref.double(), img.double()), spec=f"watson-dft:{path}", module=network
    )


def block_spectra(x: Tensor) -> Tensor:
    """(b, 1, h, w) → (b, blocks, 8, 5) complex Fourier coefficients of the blocks, divided by 64."""
    blocks = functional.unfold(x, BLOCK, stride=BLOCK).mT.reshape(len(x), -1, BLOCK, BLOCK)
    return torch.fft.rfft2(blocks) / BLOCK**2


def amplitude(z: Tensor) -> Tensor:
    """|z|, its parts moved by a hair so that the slope at 0 is finite."""
    return torch.sqrt((z.real + TINY) ** 2 + (z.imag + TINY) ** 2)


def phase(z: Tensor) -> Tensor:
    """The angle of z in (−π, π]; 0 for 0."""
    return torch.atan2(z.imag, z.real + TINY)


def to_ycbcr(x: Tensor) -> Tensor:
    """JPEG's colour transform, (b, 3, h, w); the authors apply it to pixels in [−1, 1]."""
    matrix = torch.tensor(RGB_TO_YCBCR, dtype=x.dtype, device=x.device)
    offset = torch.tensor([0.0, 0.5, 0.5], dtype=x.dtype, device=x.device).view(3, 1, 1)
    return torch.einsum("oc,bchw->bohw", matrix, x) + offset


def _whole_blocks(x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    return functional.pad(x, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")
