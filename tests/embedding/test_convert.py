"""Checkpoints in the published layout, at small scale."""

import pickle

import pytest
import torch

from retr.core.errors import ModelError
from retr.core.files import sha256_file
from retr.embedding.convert import convert_checkpoint
from retr.embedding.model_file import load_model
from retr.embedding.sll_network import SLLArchitecture, SLLNetwork, parameter_count

SMALL = SLLArchitecture(image=16, channels=6, convs=3, conv_inner=3, pools=1, denses=2, dense_inner=8, dim=40)


@pytest.fixture
def network() -> SLLNetwork:
    return SLLNetwork(SMALL, generator=torch.Generator().manual_seed(0))


def published(network: SLLNetwork) -> dict[str, torch.Tensor]:
    """Every tensor twice, under the names of the published files."""
    first = {f"module.model.{name}": value.clone() for name, value in network.state_dict().items()}
    places = {"module.model.convs.": "module.model.base.1.", "module.model.linear.": "module.model.base.2."}
    second = {
        base + name.removeprefix(place): value.clone()
        for name, value in first.items()
        for place, base in places.items()
        if name.startswith(place)
    }
    return {**first, **second}


def write(path, state, **extra):
    torch.save({"epoch": 3, "model_state_dict": state, **extra}, path)
    return path


def test_a_checkpoint_becomes_a_model_file_with_the_same_function(tmp_path, network):
    source = write(tmp_path / "model.ckpt-3.pth", published(network))
    header = convert_checkpoint(source, tmp_path / "lipsim.safetensors", architecture=SMALL)
    embedder = load_model(tmp_path / "lipsim.safetensors")
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(embedder.forward(x), network(x), atol=1e-5, rtol=1e-5)
    assert embedder.lipschitz is not None
    assert embedder.lipschitz.value == 1.0
    assert embedder.name == "lipsim"
    assert header["card"]["source_sha256"] == sha256_file(source)
    assert header["card"]["parameters"] == parameter_count(SMALL)


def test_the_right_form_of_q_is_another_function_and_also_proved(tmp_path, network):
    source = write(tmp_path / "c.pth", published(network))
    convert_checkpoint(source, tmp_path / "p.safetensors", architecture=SMALL)
    header = convert_checkpoint(source, tmp_path / "r.safetensors", q="right", architecture=SMALL)
    right, plain = load_model(tmp_path / "r.safetensors"), load_model(tmp_path / "p.safetensors")
    assert header["card"]["q_form"] == "right"
    assert right.lipschitz is not None
    assert right.lipschitz.value == 1.0
    assert right.digest != plain.digest


def spoil_shape(state):
    state["module.model.convs.1.kernel"] = state["module.model.base.1.1.kernel"] = torch.zeros(3, 6, 5, 5)


def spoil_copy(state):
    state["module.model.base.2.1.q"][0] += 1


def spoil_nan(state):
    state["module.model.convs.0.bias"][0] = state["module.model.base.1.0.bias"][0] = torch.nan


def spoil_dtype(state):
    for name in ("module.model.convs.0.q", "module.model.base.1.0.q"):
        state[name] = state[name].double()


def spoil_missing(state):
    del state["module.model.linear.2.q"], state["module.model.base.2.2.q"]


def spoil_once(state):
    del state["module.model.base.1.0.kernel"]


def spoil_extra(state):
    state["module.model.convs.9.kernel"] = state["module.model.base.1.9.kernel"] = torch.zeros(1)


def spoil_prefix(state):
    state["backbone.weight"] = torch.zeros(1)


def spoil_value(state):
    state["module.model.convs.0.kernel"] = [1, 2]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_shape, r"convs\.1\.kernel has shape \(3, 6, 5, 5\), expected \(3, 6, 3, 3\)"),
        (spoil_copy, r"two copies of linear\.1\.q differ"),
        (spoil_nan, r"convs\.0\.bias holds numbers that are not finite"),
        (spoil_dtype, r"convs\.0\.q is torch\.float64"),
        (spoil_missing, r"linear\.2\.q is missing"),
        (spoil_once, r"convs\.0\.kernel stands only once"),
        (spoil_extra, r"convs\.9\.kernel is not part"),
        (spoil_prefix, r"unexpected tensor backbone\.weight"),
        (spoil_value, r"not a tensor"),
    ],
    ids=lambda x: getattr(x, "__name__", "message"),
)
def test_anything_else_is_refused_by_name(tmp_path, network, spoil, message):
    state = published(network)
    spoil(state)
    source = write(tmp_path / "c.pth", state)
    with pytest.raises(ModelError, match=message):
        convert_checkpoint(source, tmp_path / "o.safetensors", architecture=SMALL)
    assert not (tmp_path / "o.safetensors").exists()


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    out = tmp_path / "o.safetensors"
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pth").write_bytes(b"")
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.pth")
    for name, message in (("text", "plain tensors"), ("empty", "plain tensors"), ("other", "model_state_dict")):
        with pytest.raises(ModelError, match=message):
            convert_checkpoint(tmp_path / f"{name}.pth", out, architecture=SMALL)
    with pytest.raises(ModelError, match="not there"):
        convert_checkpoint(tmp_path / "absent.pth", out)
    with pytest.raises(ModelError, match="a directory"):
        convert_checkpoint(tmp_path, out)


class Planted:
    """Would create a file if it were unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_a_checkpoint_cannot_run_code(tmp_path):
    target = tmp_path / "planted"
    torch.save({"model_state_dict": {}, "x": Planted(target)}, tmp_path / "zip.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Planted(target)))
    for name in ("zip.pth", "plain.pth"):
        with pytest.raises(ModelError, match="plain tensors"):
            convert_checkpoint(tmp_path / name, tmp_path / "o.safetensors")
    assert not target.exists()
