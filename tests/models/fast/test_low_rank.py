from __future__ import annotations

import copy
from typing import Any

import peft
import pytest
import torch
from torch import Tensor, nn

from tarazu.models.fast.low_rank import use_single_step


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 10)
        self.second = nn.Linear(10, 4, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        result: Tensor = self.second(torch.tanh(self.first(states)))
        return result


def adapted(dropout: float = 0.0, **options: Any) -> Any:
    torch.manual_seed(0)
    config = peft.LoraConfig(
        r=3, lora_alpha=5, lora_dropout=dropout, target_modules=["first", "second"], **options
    )
    model = peft.get_peft_model(Block(), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at first, which would hide mistakes
            nn.init.normal_(parameter)
    return model


def outcome(model: Any) -> tuple[Tensor, list[Tensor]]:
    torch.manual_seed(1)
    states = torch.randn(5, 7, 6, requires_grad=True)
    result = model(states)
    trained = [p for p in model.parameters() if p.requires_grad]
    return result, [*torch.autograd.grad(result.square().sum(), [states, *trained])]


def test_result_and_gradients_are_those_of_peft() -> None:
    theirs, ours = adapted(), adapted()
    use_single_step(ours)
    for one, other in zip(outcome(ours)[1], outcome(theirs)[1], strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4), (one - other).abs().max()
    assert torch.allclose(outcome(ours)[0], outcome(theirs)[0], atol=1e-5)


def test_bf16_computes_in_bf16_and_keeps_gradients_in_fp32() -> None:
    theirs, ours = adapted(), adapted()
    use_single_step(ours)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (result, gradients), (wanted, others) = outcome(ours), outcome(theirs)
    assert result.dtype == wanted.dtype == torch.bfloat16
    assert [g.dtype for g in gradients] == [g.dtype for g in others]
    for one, other in zip(gradients, others, strict=True):
        assert torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), 0) > 0.999


def test_gradient_under_dropout_is_that_of_the_drawn_mask() -> None:
    model = adapted(dropout=0.4).double().train()
    use_single_step(model)
    states = torch.randn(3, 6, dtype=torch.double, requires_grad=True)
    weights = [p for p in model.parameters() if p.requires_grad]

    def drawn(states: Tensor, *_: Tensor) -> Tensor:
        torch.manual_seed(3)
        result: Tensor = model(states)
        return result

    assert torch.autograd.gradcheck(drawn, (states, *weights))
    assert not torch.equal(model(states), model(states))
    assert torch.equal(model.eval()(states), model(states))


def test_bf16_drops_what_it_drew_in_both_directions() -> None:
    """Its masks are bits; the same draw in double precision, where masks are numbers, agrees."""
    results = []
    for dtype in (torch.bfloat16, torch.double):
        model = adapted(dropout=0.4).to(dtype).train()
        use_single_step(model)
        torch.manual_seed(2)
        states = torch.randn(50, 6).bfloat16().to(dtype).requires_grad_()
        torch.manual_seed(3)
        layer = model.base_model.model.first
        result = layer(states)
        trained = [p for p in layer.parameters() if p.requires_grad]
        results.append((result, *torch.autograd.grad(result.sum(), [states, *trained])))
    for one, other in zip(*results, strict=True):
        assert (one.double() - other).norm() < 0.02 * other.norm()


def test_what_is_switched_off_or_merged_has_no_update() -> None:
    model = adapted().eval()
    use_single_step(model)
    states = torch.randn(3, 6)
    with torch.no_grad():
        result = model(states)
        with model.disable_adapter():
            assert not torch.allclose(model(states), result, atol=1e-2)
        model.merge_adapter()
        assert torch.allclose(model(states), result, atol=1e-5)


def test_a_copy_has_weights_of_its_own() -> None:
    model = adapted().eval()
    use_single_step(model)
    other = copy.deepcopy(model)
    states = torch.randn(3, 6)
    before = other(states)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(other(states), before)


@pytest.mark.parametrize("option", [{"use_dora": True}, {"lora_bias": True}])
def test_other_kinds_of_lora_stay_as_they_are(option: dict[str, bool]) -> None:
    model, same = adapted(**option), adapted(**option)
    use_single_step(model)
    assert torch.equal(outcome(model)[0], outcome(same)[0])
    assert all("forward" not in vars(module) for module in model.modules())
