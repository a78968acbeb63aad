"""A backbone as methods and readings see it: hidden states, vocabulary scores, head, soft prompt.

Methods change a `Learner` in place (freeze, inject adapters, add a prompt); readings ask it for
hidden states and never for how they were made.

Shapes: b items, s tokens, v virtual tokens, h hidden size, V vocabulary.
"""

from __future__ import annotations

# isort: split
import tarazu.models._quiet  # noqa: F401 - first: it quietens what follows

# isort: split
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tarazu.models.fast.last_layer import taken
from tarazu.models.fast.unpadded import Rows
from tarazu.models.info import ModelInfo
from tarazu.models.precision import Precision
from tarazu.models.soft_prompt import SoftPrompt

if TYPE_CHECKING:
    from tarazu.models.fast.last_layer import LastLayer
    from tarazu.models.frozen import FrozenTrunk

Batch = dict[str, Tensor]


class Learner(nn.Module):
    """A pretrained model, perhaps with adapters, soft prompt and head.

    Args:
        body: The `transformers` model: with its vocabulary projection for decoders, without for
            encoders. Adapters are injected into it in place.
        info: What is known of it.
        head: A head of our own, or None when answers are words.
        precision: Where it computes; None on meta tensors.
    """

    def __init__(
        self,
        body: Any,
        info: ModelInfo,
        head: nn.Module | None,
        precision: Precision | None = None,
    ) -> None:
        super().__init__()
        self.body = body
        self.info = info
        self.head = head
        self.prompt: SoftPrompt | None = None
        self.precision = precision
        self.frozen: FrozenTrunk | None = None
        self.last: LastLayer | None = None
        self.unpads = False  # whether batches may be rows without padding
        # The peft wrapper shares the body's modules; as a submodule it would list them twice.
        self._adapter: list[Any] = []

    @property
    def adapter(self) -> Any | None:
        """The `peft.PeftModel` around the body, which saves and merges; None without adapters."""
        return self._adapter[0] if self._adapter else None

    def set_adapter(self, adapter: Any) -> None:
        """Remember the `peft.PeftModel` whose layers were injected into the body."""
        self._adapter = [adapter]

    @property
    def trunk(self) -> Any:
        """The body without its vocabulary projection."""
        return self.body.base_model

    def blocks(self) -> nn.ModuleList:
        """Return the transformer layers, first to last.

        Raises:
            ValueError: No list of as many modules as the model has layers is found.
        """
        for module in self.trunk.modules():
            if isinstance(module, nn.ModuleList) and len(module) == self.info.layers:
                return module
        raise ValueError(f"{self.info.name}: found no list of {self.info.layers} layers")

    def after_blocks(self) -> Iterator[nn.Module]:
        """Yield the final norm, which a decoder applies after its last layer."""
        for name, module in self.trunk.named_children():
            if name in ("norm", "ln_f", "final_layer_norm"):
                yield module

    def hidden(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        cache: Any = None,
        positions: Tensor | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        """Return the last layer's hidden states [b, s, h], virtual tokens left out.

        Those of padding mean nothing: zeros, or whatever a model makes of it.

        Args:
            input_ids: [b, s].
            attention_mask: [b, s]; with a filled cache [b, cached + s], where cached counts
                virtual tokens too. With `positions` [b, 1, s, cached + s]: what each token sees.
            token_type_ids: [b, s] for encoders that tell two texts apart.
            cache: A `transformers` cache, filled in place.
            positions: [b, s] for a decoder, when the mask does not tell them; virtual tokens are
                in the cache.
            read: [b, r] tokens whose states are asked for; the result is [b, r, h] then.
        """
        if self.frozen is not None and cache is None and positions is None:
            return self.frozen.hidden(input_ids, attention_mask, token_type_ids, read)
        if self.unpads and cache is None and positions is None and token_type_ids is None:
            return self._run_unpadded(input_ids, attention_mask, read)
        return self.run(input_ids, attention_mask, token_type_ids, cache, positions, read)

    def run(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        cache: Any = None,
        positions: Tensor | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        """Return what `hidden` does by one forward pass through all layers."""
        fresh = cache is None or cache.get_seq_length() == 0
        virtual = self.prompt.virtual_tokens if self.prompt is not None and fresh else 0
        inputs: dict[str, Any] = {"input_ids": input_ids}
        if virtual:
            inputs = {"inputs_embeds": self.embed(input_ids)}
            attention_mask = self.widen(attention_mask, 1)
        if token_type_ids is not None:
            inputs["token_type_ids"] = self.widen(token_type_ids, 0) if virtual else token_type_ids
        if self.info.kind == "decoder":
            if positions is None:
                # Counting real tokens makes padding on any side harmless (trap T11).
                positions = (attention_mask.cumsum(dim=-1) - 1).clamp(min=0)
                positions = positions[:, -(input_ids.shape[1] + virtual) :]
            inputs["position_ids"] = positions
            inputs["use_cache"] = cache is not None
            inputs["past_key_values"] = cache
        inputs["attention_mask"] = attention_mask
        if read is None:
            states: Tensor = self.trunk(**inputs).last_hidden_state
            return states[:, virtual:]
        return self._read(inputs, read + virtual)

    def _read(self, inputs: dict[str, Any], read: Tensor) -> Tensor:
        """Return the last hidden states of some tokens; [b, r] to [b, r, h]."""
        if self.last is None or inputs.get("past_key_values") is not None:
            return taken(self.trunk(**inputs).last_hidden_state, read)
        with self.last.reading(read):
            short: Tensor = self.trunk(**inputs).last_hidden_state
        return short

    def _run_unpadded(
        self, input_ids: Tensor, attention_mask: Tensor, read: Tensor | None
    ) -> Tensor:
        """Do what `run` does for a decoder's batch, with its padding left out of every layer."""
        virtual = self.prompt.virtual_tokens if self.prompt is not None else 0
        rows = Rows(self.widen(attention_mask, 1).bool())
        inputs: dict[str, Any] = {
            "position_ids": rows.positions,
            "attention_mask": torch.ones_like(rows.positions),
            "use_cache": False,
        }
        if virtual:
            inputs["inputs_embeds"] = rows.packed(self.embed(input_ids))
        else:
            inputs["input_ids"] = rows.packed(input_ids)
        with rows.attended():
            if read is None:
                states = rows.padded(self.trunk(**inputs).last_hidden_state)
                return states[:, virtual:]
            short = self._read(inputs, rows.places(read + virtual))
        return short.view(*read.shape, short.shape[-1])

    def embed(self, input_ids: Tensor) -> Tensor:
        """Return embeddings with the virtual tokens in front: [b, s] to [b, v + s, h]."""
        words: Tensor = self.trunk.get_input_embeddings()(input_ids)
        if self.prompt is None:
            return words
        virtual = self.prompt().to(words.dtype).unsqueeze(0).expand(len(input_ids), -1, -1)
        return torch.cat([virtual, words], dim=1)

    def widen(self, per_token: Tensor, value: int) -> Tensor:
        """Put `value` in front of [b, s] for every virtual token: [b, v + s]."""
        if self.prompt is None:
            return per_token
        virtual = per_token.new_full((len(per_token), self.prompt.virtual_tokens), value)
        return torch.cat([virtual, per_token], dim=1)

    def vocabulary_logits(self, states: Tensor) -> Tensor:
        """Project hidden states [..., h] onto the vocabulary, [..., V], in fp32."""
        projection = self.body.get_output_embeddings()
        # With fp32 inputs and no autocast the projection may be stored in another precision; a
        # quantised one brings its inputs into its own.
        dtype = projection.weight.dtype
        logits: Tensor = projection(states.to(dtype) if dtype.is_floating_point else states)
        return logits.float()

    def compute(self) -> AbstractContextManager[Any]:
        """Return the context in which forward passes run (autocast, or nothing)."""
        return self.precision.autocast() if self.precision is not None else nullcontext()

    def forward(self, loss: Callable[[Learner, Batch], Tensor], batch: Batch) -> Tensor:
        """Return a reading's summed loss on a batch (a scalar).

        The one entry of training, so that wrappers for several devices see every pass.
        """
        return loss(self, batch)

    def train(self, mode: bool = True) -> Learner:
        """Enter training mode, but for the frozen trunk: it runs as it will when it answers.

        Dropout below the lowest trained layer would only blur what a method cannot change.
        """
        super().train(mode)
        if mode and (trained := self._above_frozen_trunk()) is not None:
            self.trunk.eval()
            for block in trained:
                block.train()
        self._set_norms()
        return self

    def frozen_layers(self) -> int:
        """Return how many layers lie below everything that is trained; 0 without whole ones."""
        above = self._above_frozen_trunk()
        return 0 if above is None else len(self.blocks()) - len(above)

    def _above_frozen_trunk(self) -> list[nn.Module] | None:
        """Return the layers from the lowest trained one up; None when no whole layer is below it.

        Virtual tokens are trained below all layers, and so are embeddings.
        """
        try:
            blocks = list(self.blocks())
        except ValueError:
            return None
        inside = {id(p) for m in (*blocks, *self.after_blocks()) for p in m.parameters()}
        below = any(p.requires_grad and id(p) not in inside for p in self.trunk.parameters())
        moves = [any(p.requires_grad for p in block.parameters()) for block in blocks]
        lowest = moves.index(True) if any(moves) else len(blocks)
        return None if self.prompt is not None or below or lowest == 0 else blocks[lowest:]

    def settle(self) -> None:
        """Store trained parameters in fp32 and frozen ones in the compute dtype, on the device.

        fp32 master weights under autocast keep small updates (trap T20) and let fp16 gradients be
        unscaled (trap T27). Quantised weights stay as they are.
        """
        if self.precision is None:
            return
        quantised = False
        for parameter in self.parameters():
            quantised |= hasattr(parameter, "quant_state")
            if not parameter.is_floating_point() or hasattr(parameter, "quant_state"):
                continue
            dtype = torch.float32 if parameter.requires_grad else self.precision.torch_dtype
            parameter.data = parameter.data.to(dtype)
        if not quantised:  # those are loaded where they are used
            self.to(self.precision.device)
        self._set_norms()

    def _set_norms(self) -> None:
        """Let a quantised body's RMS norms be in fp32 while it answers, narrow while it trains.

        Such a norm returns its weight's dtype and a 4-bit layer that of what it is given, so all
        between products is in fp32 then. Answers are the better for that, see "What bf16 costs" in
        ``docs/design/fast-training.md``. Training is not, and would keep activations twice as
        large: what made casting up in 4-bit training dear (trap T26).
        """
        if self.precision is None or not any(hasattr(p, "quant_state") for p in self.parameters()):
            return
        for norm in self.frozen_norms():  # those below all that is trained answer at all times
            dtype = self.precision.torch_dtype if norm.training else torch.float32
            norm.weight.data = norm.weight.data.to(dtype)

    def frozen_norms(self) -> Iterator[Any]:
        """Yield the RMS norms that are not trained."""
        for module in self.body.modules():
            if hasattr(module, "variance_epsilon") and not module.weight.requires_grad:
                yield module

    def named_trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield every trained parameter with its name, tied ones once."""
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                yield name, parameter
