"""The emulated device demands what CUDA demands, and takes what CUDA takes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from outcomes import DEVICE
from torch import nn
from torch.nn import functional

SAME = "same device"


def here(*shape: int) -> torch.Tensor:
    return torch.arange(12.0).view(3, 4) if not shape else torch.ones(*shape)


def there(*shape: int) -> torch.Tensor:
    return here(*shape).to(DEVICE)


REFUSED: dict[str, Callable[[], Any]] = {
    "device + cpu": lambda: there() + here(),
    "cpu + device": lambda: here() + there(),
    "in place": lambda: there().mul_(here()),
    "into the cpu": lambda: here().add_(there()),
    "into a cpu scalar": lambda: torch.tensor(1.0).add_(there()[0, 0]),
    "product": lambda: there() @ here(4, 2),
    "layer": lambda: nn.Linear(4, 2)(there()),
    "input of a layer": lambda: nn.Linear(4, 2).to(DEVICE)(here()),
    "norm": lambda: functional.layer_norm(there(), (4,), here(4)),
    "one of a list": lambda: torch.cat([there(), here()]),
    "stack": lambda: torch.stack([there(), here()]),
    "out": lambda: torch.mul(there(), 2, out=torch.empty(3, 4)),
    "embedding": lambda: functional.embedding(torch.tensor([1]), there()),
    "gather": lambda: there().gather(1, torch.zeros(3, 1, dtype=torch.long)),
    "index_select": lambda: there().index_select(0, torch.tensor([0])),
    "index_add": lambda: there().index_add(0, torch.tensor([0]), there(1, 4)),
    "scatter": lambda: there().scatter(1, torch.zeros(3, 1, dtype=torch.long), 1.0),
    "mask of masked_fill": lambda: there().masked_fill(here() > 3, 0.0),
    "mask of where": lambda: torch.where(here() > 3, there(), there()),
    "masked_scatter": lambda: there().masked_scatter(here() > 3, there()),
    "attention mask": lambda: functional.scaled_dot_product_attention(
        there(1, 1, 3, 4), there(1, 1, 3, 4), there(1, 1, 3, 4), here(3, 3) > 0
    ),
    "targets": lambda: functional.cross_entropy(there(), torch.tensor([0, 1, 2])),
    "cpu values": lambda: there().index_put_((torch.tensor([0]),), here(1, 4)),
    "cpu vector in a pointwise product": lambda: there() * here(1),
    "cpu scalar in a matrix product": lambda: torch.addmm(torch.tensor(1.0), there(), there(4, 3)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cuda_refuses_is_refused(name: str) -> None:
    with pytest.raises(RuntimeError, match=SAME):
        REFUSED[name]()


def test_other_errors_are_those_of_cuda() -> None:
    with pytest.raises(TypeError, match="to numpy"):
        there().numpy()
    with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same"):
        here()[torch.tensor([0], device=DEVICE)]
    with pytest.raises(RuntimeError, match="device type for generator"):
        torch.bernoulli(there() / 12, generator=torch.Generator())


ALLOWED: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "number": (lambda: there() * 2 + 1, lambda: here() * 2 + 1),
    "cpu scalar": (lambda: there() * torch.tensor(2.0), lambda: here() * 2),
    "cpu scalar first": (lambda: torch.tensor(2.0) - there(), lambda: 2 - here()),
    "cpu index": (lambda: there()[torch.tensor([0, 2])], lambda: here()[[0, 2]]),
    "cpu mask": (lambda: there()[here() > 3], lambda: here()[here() > 3]),
    "cpu scalar in where": (
        lambda: torch.where(there() > 3, torch.tensor(0.0), there()),
        lambda: torch.where(here() > 3, 0.0, here()),
    ),
    "item": (lambda: torch.tensor(there()[1, 1].item()), lambda: here()[1, 1]),
    "float": (lambda: torch.tensor(float(there().sum())), lambda: here().sum()),
    "list": (lambda: torch.tensor(there().tolist()), here),
    "tensors in a list": (
        lambda: torch.tensor([there()[0, 1], there()[0, 2]]), lambda: here()[0, 1:3]
    ),
    "copy to it": (lambda: torch.zeros(3, 4, device=DEVICE).copy_(here()), here),
    "copy from it": (lambda: torch.zeros(3, 4).copy_(there()), here),
    "pinned": (lambda: here().pin_memory().to(DEVICE, non_blocking=True), here),
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_what_cuda_takes_is_taken(name: str) -> None:
    on_device, on_cpu = ALLOWED[name]
    assert torch.equal(on_device().cpu(), on_cpu())


def test_views_share_and_assignments_reach_the_whole() -> None:
    whole = there()
    whole.view(-1)[2:5].add_(1)
    whole[torch.tensor([True, False, True])] = torch.tensor(0.0)
    whole.transpose(0, 1)[3, 1] = 9.0
    expected = here()
    expected.view(-1)[2:5].add_(1)
    expected[torch.tensor([True, False, True])] = 0.0
    expected[1, 3] = 9.0
    assert torch.equal(whole.cpu(), expected)
    grown = there().resize_(5, 4)
    assert torch.equal(grown.view(-1)[:12].cpu(), here().view(-1))
    out = torch.empty(0, device=DEVICE)
    assert torch.equal(torch.mul(there(), 2, out=out).cpu(), here() * 2)
    assert out.shape == (3, 4)


def test_a_module_moves_its_own_parameters_and_they_train() -> None:
    layer, other = nn.Linear(4, 2), nn.Linear(4, 2)
    other.weight = layer.weight  # tied
    both = nn.ModuleList([layer, other])
    weight, start = layer.weight, layer.weight.detach().clone()
    both.to(DEVICE)
    assert layer.weight is weight is other.weight
    assert weight.device.type == DEVICE
    optimizer = torch.optim.AdamW(both.parameters(), lr=0.1, fused=True)
    layer(there()).sum().backward()
    optimizer.step()
    assert weight.grad is not None
    assert weight.grad.device.type == DEVICE
    assert not torch.equal(weight.detach().cpu(), start)
    assert copy.deepcopy(both)[0].weight.device.type == DEVICE


def test_a_backward_pass_runs_in_another_thread() -> None:
    """As on a card; on the CPU it runs in the thread that asks for it."""
    import threading

    seen = []
    for tensor in (here(), there()):
        leaf = tensor.requires_grad_()
        leaf.register_hook(lambda gradient: seen.append(threading.get_ident()))
        (leaf * 2).sum().backward()
    assert seen[0] == threading.get_ident() != seen[1]


def test_the_device_has_a_generator_of_its_own() -> None:
    torch.manual_seed(0)
    first = torch.rand(3, device=DEVICE)
    before = torch.get_rng_state()
    torch.rand(3, device=DEVICE)
    functional.dropout(there(), 0.5)
    assert torch.equal(before, torch.get_rng_state())  # nothing was drawn from the CPU's
    state = torch.emulated.get_rng_state()
    second = torch.rand(3, device=DEVICE)
    torch.rand(3)
    torch.emulated.set_rng_state(state)
    assert torch.equal(second, torch.rand(3, device=DEVICE))
    torch.manual_seed(0)
    assert torch.equal(first, torch.rand(3, device=DEVICE))


def test_autocast_casts_what_it_casts_on_cuda() -> None:
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        assert (there() @ there(4, 2)).dtype == torch.bfloat16
        assert functional.linear(there(), there(2, 4)).dtype == torch.bfloat16
        assert functional.layer_norm(there().bfloat16(), (4,)).dtype == torch.float32
        assert there().bfloat16().softmax(-1).dtype == torch.float32
    assert (there() @ there(4, 2)).dtype == torch.float32


def test_moves_to_the_cpu_are_counted() -> None:
    counted = torch.ops.emulated_device.to_host
    tensor, before = there(), counted()
    tensor.sum().item()
    tensor.cpu()
    bool((tensor > 3).any())
    assert counted() == before + 3


def test_an_lstm_is_as_on_the_cpu() -> None:
    ours = nn.LSTM(4, 4, num_layers=2, bidirectional=True, batch_first=True)
    theirs = copy.deepcopy(ours).to(DEVICE)
    states = torch.randn(2, 3, 4)
    results = [ours(states)[0], theirs(states.to(DEVICE))[0]]
    for result in results:
        result.pow(2).sum().backward()
    torch.testing.assert_close(results[0], results[1].cpu())
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad.cpu())
