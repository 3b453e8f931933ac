"""The trunk of ``efficientnet-lite0`` as an ONNX graph, for onnxruntime: a third of the time, without gradients.

The graph is made from the network in memory, and never written. Where ``onnx`` or ``onnxruntime`` is missing, torch
computes the same numbers, but for the last digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

DEPTHS = (4, 10)
"""Blocks whose output is pooled beside the last one: 40 and 112 channels."""
_OPSET, _IR = 13, 8


class Quick:
    """Runs the graph: (b, 3, h, w) float32, normalised → (b, features). Shared by copies of a model.

    Args:
        session: of onnxruntime.
        side: of the input that the graph is of.
    """

    def __init__(self, session: Any, side: int) -> None:
        self._session, self._side = session, side

    def takes(self, x: Tensor) -> bool:
        """Whether this is for it: an input of its size, on the CPU, that no gradient is asked for."""
        size = (self._side, self._side)
        return x.device.type == "cpu" and x.shape[-2:] == size and not (torch.is_grad_enabled() and x.requires_grad)

    def __call__(self, x: Tensor) -> Tensor:
        """Pool a batch on the CPU."""
        return torch.from_numpy(self._session.run(None, {"x": x.detach().contiguous().numpy()})[0])

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: it holds constants, and a session cannot be copied."""
        return self


def quick_trunk(network: Any, side: int) -> Quick | None:
    """What computes the trunk quickly; None where the packages are missing.

    Args:
        network: EfficientNet-Lite0 whose batch norms are part of its convolutions.
        side: of its input.
    """
    try:
        runtime = import_module("onnxruntime")
        graph = _Graph(import_module("onnx"))
    except ImportError:
        return None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    model = graph.of(network, side)
    return Quick(runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"]), side)


class _Graph:
    """Nodes and constants of an ONNX graph, in the order that they are asked for."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self._nodes: list[Any] = []
        self._held: dict[str, Any] = {}

    def of(self, network: Any, side: int) -> bytes:
        """The model."""
        x = self._convolved("x", network._conv_stem, bounded=True)
        side = -(-side // 2)
        pooled: list[str] = []
        last = len(network._blocks) - 1
        for number, block in enumerate(network._blocks):
            x = self._block(x, block)
            side = -(-side // block._depthwise_conv.stride[0])
            if number in (*DEPTHS, last):
                pooled += self._mean_and_deviation(x, side * side)
        x = self._convolved(x, network._conv_head, bounded=True)
        least = self._add("Max", x, self._constant(1e-6))
        cubes = self._add("Mul", self._add("Mul", least, least), least)
        peaks = self._add("Pow", self._mean(cubes), self._constant(1.0 / 3.0))
        self._nodes.append(self._onnx.helper.make_node("Concat", [peaks, self._mean(x), *pooled], ["y"], axis=1))
        return self._model()

    def _model(self) -> bytes:
        onnx, kind = self._onnx, self._onnx.TensorProto.FLOAT
        taken = onnx.helper.make_tensor_value_info("x", kind, ["b", 3, "h", "w"])
        given = onnx.helper.make_tensor_value_info("y", kind, ["b", "features"])
        graph = onnx.helper.make_graph(self._nodes, "trunk", [taken], [given], list(self._held.values()))
        opsets = [onnx.helper.make_opsetid("", _OPSET)]
        return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=_IR).SerializeToString()

    def _block(self, x: str, block: Any) -> str:
        inner = self._convolved(x, block._expand_conv, bounded=True) if hasattr(block, "_expand_conv") else x
        inner = self._convolved(inner, block._depthwise_conv, bounded=True)
        inner = self._convolved(inner, block._project_conv, bounded=False)
        known = block._block_args
        skips = block.id_skip and known.stride in (1, [1]) and known.input_filters == known.output_filters
        return self._add("Add", inner, x) if skips else inner

    def _convolved(self, x: str, convolution: nn.Conv2d, *, bounded: bool) -> str:
        padding = getattr(convolution, "static_padding", None)
        left, right, top, bottom = padding.padding if isinstance(padding, nn.ZeroPad2d) else (0, 0, 0, 0)
        bias = convolution.bias
        assert bias is not None, "batch norms are part of it"
        found = self._add(
            *("Conv", x, self._hold(convolution.weight), self._hold(bias)),
            kernel_shape=list(convolution.kernel_size),
            strides=list(convolution.stride),
            pads=[top, left, bottom, right],
            group=convolution.groups,
        )
        return self._add("Clip", found, self._constant(0.0), self._constant(6.0)) if bounded else found

    def _mean(self, x: str) -> str:
        return self._add("ReduceMean", x, axes=[2, 3], keepdims=0)

    def _mean_and_deviation(self, x: str, count: int) -> list[str]:
        middle = self._add("ReduceMean", x, axes=[2, 3], keepdims=1)
        off = self._add("Sub", x, middle)
        spread = self._mean(self._add("Mul", off, off))
        variance = self._add("Mul", spread, self._constant(count / (count - 1)))
        return [self._mean(x), self._add("Sqrt", variance)]

    def _constant(self, value: float) -> str:
        return self._hold(np.float32(value))

    def _hold(self, value: Tensor | np.floating[Any]) -> str:
        array = value.detach().contiguous().numpy() if isinstance(value, Tensor) else np.asarray(value)
        name = f"c{len(self._held)}"
        self._held[name] = self._onnx.numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        return name

    def _add(self, kind: str, *inputs: str, **settings: Sequence[int] | int) -> str:
        name = f"n{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), [name], **settings))
        return name
