"""Virtual tokens of P-tuning: trained vectors in front of the input.

The reparameterisation is `peft`'s `PromptEncoder`; where the vectors go is our own code, because
`peft`'s wrapper reads an encoder's pooled vector at the first *virtual* token, and because wrappers
around caches broke repeatedly (trap T24).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SoftPrompt(nn.Module):
    """v virtual tokens, encoded by an MLP or LSTM (Liu et al. 2021, arXiv 2103.10385, section 3).

    Args:
        virtual_tokens: v.
        hidden_size: h, the width of the model's embeddings.
        encoder_hidden_size: Width of the prompt encoder.
        reparameterization: ``MLP`` or ``LSTM``.
    """

    def __init__(
        self,
        virtual_tokens: int,
        hidden_size: int,
        encoder_hidden_size: int,
        reparameterization: str,
    ) -> None:
        # Not at the top: peft imports bitsandbytes, which must not be loaded before a fork.
        from peft.tuners.p_tuning import PromptEncoder, PromptEncoderConfig

        super().__init__()
        self.virtual_tokens = virtual_tokens
        self.hidden_size = hidden_size
        self.encoder: nn.Module | None = PromptEncoder(
            PromptEncoderConfig(
                num_virtual_tokens=virtual_tokens,
                token_dim=hidden_size,
                num_transformer_submodules=1,
                encoder_hidden_size=encoder_hidden_size,
                encoder_reparameterization_type=reparameterization,
            )
        )
        self.vectors: Tensor | None = None

    def forward(self) -> Tensor:
        """Return the virtual tokens' embeddings, [v, h]."""
        if self.vectors is not None:
            return self.vectors
        assert self.encoder is not None
        device = next(self.encoder.parameters()).device
        encoded: Tensor = self.encoder(
            torch.arange(self.virtual_tokens, device=device).unsqueeze(0)
        )
        return encoded[0]

    def freeze(self) -> Tensor:
        """Keep the vectors as they are now, the only thing that is deployed, and return them."""
        with torch.no_grad():
            self.vectors = self.forward().detach().float().clone()
        return self.vectors

    def thaw(self) -> None:
        """Compute the vectors anew at each call, as training needs."""
        self.vectors = None

    def restore(self, vectors: Tensor) -> None:
        """Use saved vectors [v, h] instead of the prompt encoder, which is not deployed."""
        self.encoder = None
        self.vectors = vectors
