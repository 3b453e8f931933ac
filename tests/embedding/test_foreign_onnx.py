"""ONNX files through onnxruntime: what is embedded, what is refused, and an index that keeps its copy."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from retr.core.errors import ModelError, UsageError
from retr.embedding.registry import load_embedder


def write(path, shape, *, kind=TensorProto.FLOAT):
    """Block means of 2 × 2, as a graph."""
    pool = helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2])
    flat = helper.make_node("Flatten", ["pooled"], ["y"])
    taken = helper.make_tensor_value_info("x", kind, shape)
    given = helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], None])
    graph = helper.make_graph([pool, flat], "means", [taken], [given])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return f"onnx:{path}"


@pytest.mark.parametrize("images", ["n", 1])
def test_a_graph_embeds_what_it_says(tmp_path, images):
    embedder = load_embedder(write(tmp_path / "means.onnx", [images, 3, 4, 6]))
    x = torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.avg_pool2d(x, 2).flatten(1)
    assert (embedder.input_size, embedder.dim, embedder.lipschitz) == ((4, 6), 18, None)
    assert torch.allclose(embedder.forward(x), expected, atol=1e-6)
    assert embedder.forward(x.double()).dtype == torch.float64


def test_a_size_that_the_file_leaves_open_is_asked_for(tmp_path):
    spec = write(tmp_path / "any.onnx", ["n", 3, "h", "w"])
    with pytest.raises(ModelError, match="say which, as in onnx:"):
        load_embedder(spec)
    assert load_embedder(f"{spec}@8x10").input_size == (8, 10)
    with pytest.raises(UsageError, match="must be positive"):
        load_embedder(f"{spec}@0x10")


def test_what_is_no_embedder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="needs the path"):
        load_embedder("onnx:")
    with pytest.raises(ModelError, match="not there"):
        load_embedder(f"onnx:{tmp_path / 'none.onnx'}")
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="no ONNX file that can be run"):
        load_embedder(f"onnx:{tmp_path / 'bad.onnx'}")
    with pytest.raises(ModelError, match="must take one float32 tensor"):
        load_embedder(_flat(tmp_path / "flat.onnx"))
    fixed = write(tmp_path / "fixed.onnx", ["n", 3, 4, 6])
    with pytest.raises(ModelError, match="cannot be run"):
        load_embedder(f"{fixed}@8x8")


def _flat(path):
    node = helper.make_node("Identity", ["x"], ["y"])
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in "xy"]
    graph = helper.make_graph([node], "flat", info[:1], info[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return f"onnx:{path}"


def test_an_index_keeps_its_copy_of_the_file(tmp_path):
    from drawn import draw

    import retr

    for number in range(4):
        draw(tmp_path / "corpus" / f"{number}.png", number)
    file = tmp_path / "means.onnx"
    spec = write(file, ["n", 3, 8, 8])
    retr.build(tmp_path / "corpus", tmp_path / "index", models=["block-means:4"], companion=spec)
    file.unlink()
    shutil.move(tmp_path / "index", tmp_path / "moved")
    index = retr.open(tmp_path / "moved")
    assert index.companion == "means"
    assert index.query(tmp_path / "corpus" / "2.png").matches[0].path.endswith("2.png")
    assert np.isfinite(index.engine.companions[0].store.take(np.arange(4))).all()
