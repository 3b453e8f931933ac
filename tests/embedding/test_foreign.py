"""Foreign backbones: uncertified, with clear words where something is missing."""

import warnings

import pytest
import timm
import torch

from retr.core.errors import ModelError, WeightsUnavailable
from retr.embedding.foreign import load_timm, load_torchscript


def script(path, module, shape=(1, 3, 8, 8)):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\..* is deprecated")
        torch.jit.save(torch.jit.trace(module, torch.rand(*shape)), str(path))
    return str(path)


def test_a_timm_model_uses_its_own_size_mean_and_std():
    embedder = load_timm("resnet10t", pretrained=False)
    module = timm.create_model("resnet10t", num_classes=0)
    module.load_state_dict(embedder.module.state_dict())
    module.eval()
    x = torch.rand(1, 3, *embedder.input_size, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = module((x - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    assert embedder.input_size == (176, 176)
    assert torch.allclose(embedder.forward(x), expected, atol=1e-5)


def test_random_weights_are_the_same_each_time_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = load_timm("test_resnet", pretrained=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    assert load_timm("test_resnet", pretrained=False).digest == first.digest
    assert first.spec == "timm:test_resnet#random"


def test_an_unknown_name_gets_close_matches():
    with pytest.raises(ModelError, match="resnet18"):
        load_timm("resnet19", pretrained=False)
    with pytest.raises(ModelError, match=r"no pretrained weights called 'resnet18\.nonsense'.*resnet18"):
        load_timm("resnet18.nonsense")
    with pytest.raises(ModelError, match=r"cannot build 'resnet18\.nonsense'"):
        load_timm("resnet18.nonsense", pretrained=False)


@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError("connection closed"), ValueError()])
def test_weights_that_cannot_be_fetched_say_so(monkeypatch, error):
    def offline(*args, **kwargs):
        raise error

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsUnavailable, match=r"cannot fetch .*'resnet10t'.*pretrained off"):
        load_timm("resnet10t")


def test_a_torchscript_file_embeds(tmp_path):
    file = script(tmp_path / "net.pt", torch.nn.Conv2d(3, 2, 3))
    embedder = load_torchscript(file, input_size=(8, 8))
    assert embedder.dim == 2 * 6 * 6
    assert embedder.spec == f"torchscript:{file}@8x8"
    assert "foreign" in (embedder.uncertified_because or "")
    assert load_torchscript(file, input_size=(9, 8)).digest != embedder.digest


def test_files_that_do_not_embed_are_refused(tmp_path):
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ModelError, match="not a TorchScript file"):
        load_torchscript(str(tmp_path / "text.pt"))
    with pytest.raises(ModelError, match="not there"):
        load_torchscript(str(tmp_path / "absent.pt"))
    with pytest.raises(ModelError, match="a directory"):
        load_torchscript(str(tmp_path))
    file = script(tmp_path / "five.pt", torch.nn.Conv2d(5, 2, 3), (1, 5, 8, 8))
    with pytest.raises(ModelError, match="does not turn a 3×8×8 image"):
        load_torchscript(file, input_size=(8, 8))


def test_a_script_that_returns_no_tensor_is_refused(tmp_path):
    class Pair(torch.nn.Module):
        def forward(self, x):
            return x, x

    file = script(tmp_path / "pair.pt", Pair())
    with pytest.raises(ModelError, match="does not turn"):
        load_torchscript(file, input_size=(8, 8))
