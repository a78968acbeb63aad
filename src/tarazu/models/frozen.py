"""A frozen trunk: what lies below the first trained layer runs once per sequence.

::

    tokens ──▶ embeddings, layers 0 … m-1 ──▶ states ──▶ layers m …, norm, head
               fixed groups, once, kept                  batches, every epoch

A sequence goes through the trunk together with others of like length. Who they are is settled
before anything is computed, so that its states do not depend on the batch in which it is asked for,
on the epoch, or on what is kept. The model's own code runs on both sides, with its own masks,
positions and norms; the layers of the other side only stand aside.

Shapes: b items, s tokens, h hidden size, n tokens of one sequence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tarazu.models.copying import to_device
from tarazu.models.fast import switches
from tarazu.models.precision import Precision
from tarazu.models.states import Shelves, States

if TYPE_CHECKING:
    from tarazu.models.learner import Learner

# Tokens that go through the trunk together, padding included: enough for matrix products to run at
# full speed, and long sequences go alone. An accelerator takes as many as its memory suffers.
_TOGETHER = 512
_TOGETHER_AT_MOST = 8192
_SHARE_OF_MEMORY = 32  # of an accelerator's whole memory: what else is there, is not known here
_LONGER, _SHORTER = 9, 5  # tokens of the two sequences on which the split is tried out
# Rounding differs with the shape of a batch; a wrong mask or position is off by far more.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.02}


class FrozenTrunk:
    """Runs the trunk and what is above it one after the other.

    Args:
        learner: In which nothing is trained below layer `below`.
        below: Layers of the trunk, at least 1.
        states: Keeps what the trunk computes.
    """

    def __init__(self, learner: Learner, below: int, states: States) -> None:
        self.below = below
        self.states = states
        self._groups: dict[bytes, _Group] = {}
        self._row = 0  # bytes of one token's states
        self._learner = learner
        self._layers = list(learner.blocks())
        self._together = tokens_together(learner)
        # What layers return beside their states: in a tuple, and nothing that matters.
        self._beside: tuple[None, ...] | None = None

    def start(self, states: States) -> None:
        """Forget all sequences, and keep what is computed from now on in `states`."""
        self.states = states
        self._groups.clear()

    def expect(self, sequences: Iterable[tuple[Tensor, Tensor | None]]) -> bool:
        """Settle which sequences are computed together, whatever batches they will come in.

        What is not expected is grouped with the others of the batch in which it first comes.

        Args:
            sequences: Tokens and token types of each, [n].

        Returns:
            Whether their states can all be kept. Else they would be computed again and again.
        """
        found = [_Sequence((ids,), types) for ids, types in sequences]
        self._settle(found)
        sizes = {self._groups[s.name].named(s): len(s) * self._row for s in found}
        return self.states.fits(sizes)

    def hidden(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        read: Tensor | None = None,
    ) -> Tensor:
        """Return the last layer's hidden states [b, s, h] or [b, r, h]; see `Learner.hidden`."""
        ids, mask = input_ids.cpu(), attention_mask.cpu().bool()
        types = token_type_ids.cpu() if token_type_ids is not None else None
        flat = torch.cat(
            self._states(
                [
                    _Sequence(
                        (ids[row][mask[row]],), types[row][mask[row]] if types is not None else None
                    )
                    for row in range(len(ids))
                ]
            )
        )
        states = flat.new_zeros(*input_ids.shape, flat.shape[-1])
        states[mask] = flat  # here: an accelerator would have to be asked where tokens are
        return self.above(to_device(states, input_ids.device), attention_mask, read=read)

    def trees(
        self, prompts: Sequence[Sequence[int]], branches: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[Tensor]]:
        """Return the states of a decoder's prompts and of what may follow each.

        Args:
            prompts: Tokens of each.
            branches: Tokens of what may follow each, none of them empty.

        Returns:
            For each prompt its states, then those of each branch behind it, [n, h] each.
        """
        found = [
            _Sequence(tuple(torch.tensor(list(tokens)) for tokens in (prompt, *behind)))
            for prompt, behind in zip(prompts, branches, strict=True)
        ]
        return [
            list(torch.split(states, [len(part) for part in one.parts]))
            for one, states in zip(found, self._states(found), strict=True)
        ]

    def _states(self, sequences: Sequence[_Sequence]) -> list[Tensor]:
        self._settle(sequences)
        found = []
        for one in sequences:
            group = self._groups[one.name]
            found.append(self.states.get(group.named(one), partial(self._computed, group)))
        return found

    def _settle(self, sequences: Iterable[_Sequence]) -> None:
        """Put sequences that are new into groups of like length."""
        new = {s.name: s for s in sequences if s.name not in self._groups}
        members: list[_Sequence] = []
        for one in sorted(new.values(), key=lambda s: (-len(s), s.name)):
            if members and (len(members) + 1) * len(members[0]) > self._together:
                self._join(members)
                members = []
            members.append(one)
        if members:
            self._join(members)

    def _join(self, members: Sequence[_Sequence]) -> None:
        group = _Group(tuple(members))
        self._groups |= {one.name: group for one in members}

    def _computed(self, group: _Group) -> dict[bytes, Tensor]:
        members = group.members
        deep = any(len(one.parts) > 1 for one in members)
        found = self._in_steps(members) if deep else self._at_once(members)
        states = {group.named(one): rows for one, rows in zip(members, found, strict=True)}
        self._row = found[0].shape[-1] * found[0].element_size()
        return states

    def _at_once(self, members: Sequence[_Sequence]) -> list[Tensor]:
        ids, mask = padded([one.parts[0] for one in members], self._device, side="right")
        inputs = {}
        if members[0].types is not None:
            types = [one.types for one in members if one.types is not None]
            inputs["token_type_ids"], _ = padded(types, self._device, side="right")
        found = self._trunk(ids, mask, **inputs)
        return [row[: len(one)].clone() for row, one in zip(found, members, strict=True)]

    def _in_steps(self, members: Sequence[_Sequence]) -> list[Tensor]:
        """Compute prompts, then what may follow them, by a cache of keys and values."""
        from tarazu.models.compute_cache import ComputeCache

        cache = ComputeCache(config=self._learner.body.config)
        ids, mask = padded([one.parts[0] for one in members], self._device, side="left")
        begun = self._trunk(ids, mask, cache=cache)
        each = max(len(one.parts) - 1 for one in members)
        cache.batch_repeat_interleave(each)
        nothing = members[0].parts[0][:0]
        rows = [part for one in members for part in _filled(one.parts[1:], each, nothing)]
        ids, real = padded(rows, self._device, side="right")
        mask = torch.cat([mask.repeat_interleave(each, dim=0), real], dim=1)
        behind = self._trunk(ids, mask, cache=cache).view(len(members), each, -1, begun.shape[-1])
        return [
            torch.cat(
                [
                    begun[row, begun.shape[1] - len(one.parts[0]) :],
                    *(behind[row, i, : len(part)] for i, part in enumerate(one.parts[1:])),
                ]
            )
            for row, one in enumerate(members)
        ]

    @torch.no_grad()
    def _trunk(self, input_ids: Tensor, attention_mask: Tensor, **inputs: Any) -> Tensor:
        """Run the trunk; the layers above it return what they are given: [b, n, h]."""
        caught: list[Any] = []

        def catch(module: nn.Module, arguments: Any, output: Any) -> None:
            caught.append(output)

        hook = self._layers[self.below - 1].register_forward_hook(catch)
        try:
            with (
                _stand_aside(self._layers, range(self.below, len(self._layers)), caught),
                self._learner.compute(),
            ):
                self._learner.run(input_ids, attention_mask, **inputs)
        finally:
            hook.remove()
        states, self._beside = _taken_apart(caught[0])
        return states.detach().to("cpu", copy=True)

    def above(
        self,
        states: Tensor,
        attention_mask: Tensor,
        cache: Any = None,
        read: Tensor | None = None,
    ) -> Tensor:
        """Run the layers above the trunk.

        Args:
            states: The trunk's, [b, s, h].
            attention_mask: [b, s], or [b, cached + s].
            cache: A `transformers` cache, filled in place.
            read: Tokens whose states are asked for, [b, r].

        Returns:
            The last layer's hidden states, [b, s, h] or [b, r, h].
        """
        # The model looks embeddings up; nobody reads them.
        ids = attention_mask.new_zeros(states.shape[:2])
        output = states if self._beside is None else (states, *self._beside)
        with _stand_aside(self._layers, range(self.below), [output], _Marks(states, cache)):
            return self._learner.run(ids, attention_mask, cache=cache, read=read)

    @property
    def _device(self) -> torch.device:
        return next(self._learner.parameters()).device


class _Marks:
    """Tells a cache how many tokens a layer saw, which models ask any layer of the cache.

    Args:
        states: [b, s, h].
        cache: A `transformers` cache, or None.
    """

    def __init__(self, states: Tensor, cache: Any) -> None:
        self._nothing = states.new_zeros(len(states), 1, states.shape[1], 1)
        self._cache = cache

    def set(self, layer: int) -> None:
        if self._cache is not None:
            self._cache.update(self._nothing, self._nothing, layer)


@contextmanager
def _stand_aside(
    layers: Sequence[nn.Module], which: range, outputs: list[Any], marks: _Marks | None = None
) -> Iterator[None]:
    """Let some layers return the first of `outputs` instead of computing anything."""
    before = {number: layers[number].__dict__.get("forward") for number in which}
    for number in which:
        layers[number].forward = _substitute(number, outputs, marks)
    try:
        yield
    finally:
        for number, forward in before.items():
            del layers[number].forward
            if forward is not None:  # set on the layer itself, as `accelerate` does
                layers[number].forward = forward


def _substitute(number: int, outputs: list[Any], marks: _Marks | None) -> Any:
    def forward(*arguments: Any, **named: Any) -> Any:
        if marks is not None:
            marks.set(number)
        return outputs[0]

    return forward


def _taken_apart(output: Any) -> tuple[Tensor, tuple[None, ...] | None]:
    """Return a layer's hidden states, and what it returns in a tuple beside them."""
    if isinstance(output, Tensor):
        return output, None
    if isinstance(output, tuple) and all(one is None for one in output[1:]):
        return output[0], output[1:]
    raise TypeError("its layers return more than their hidden states")


class _Sequence:
    """Tokens, in one part or as a prompt and what may follow it.

    Args:
        parts: [n] each.
        types: Which of two texts each token belongs to, for encoders that tell them apart.
    """

    def __init__(self, parts: tuple[Tensor, ...], types: Tensor | None = None) -> None:
        self.parts = parts
        self.types = types
        digest = hashlib.blake2b(bytes([types is not None]), digest_size=16)
        for part in (*parts, *([types] if types is not None else ())):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part.to(torch.int64).contiguous().numpy().data)
        self.name = digest.digest()

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)


@dataclass(frozen=True)
class _Group:
    """Sequences that go through the trunk together: each one's states are named after all."""

    members: tuple[_Sequence, ...]

    @cached_property
    def _name(self) -> bytes:
        return b"".join(one.name for one in self.members)

    def named(self, one: _Sequence) -> bytes:
        """Return the name of a member's states."""
        return hashlib.blake2b(self._name + one.name, digest_size=16).digest()


def tokens_together(learner: Learner) -> int:
    """Return how many tokens go through a trunk together.

    It follows from the model and the device alone, never from what happens to be free: who goes
    together decides how states are rounded, and is part of their name.
    """
    device = next(learner.parameters()).device
    if device.type != "cuda":
        return _TOGETHER
    config, hidden = learner.info.config, learner.info.hidden_size
    inner = config.get("intermediate_size") or 4 * hidden
    # One layer's at a time in fp32: states, their norm, queries, keys, values, what attention gives
    # and two sums; then three of the wider ones.
    token = 4 * (8 * hidden + 3 * inner)
    memory = torch.cuda.get_device_properties(device).total_memory // _SHARE_OF_MEMORY
    tokens = min(_TOGETHER_AT_MOST, max(_TOGETHER, memory // token))
    return int(1 << (tokens.bit_length() - 1))  # cards of like memory go the same way


def padded(rows: Sequence[Tensor], device: torch.device, *, side: str) -> tuple[Tensor, Tensor]:
    """Return rows [n, …] of equal length, zeros where nothing is, and their mask [rows, n]."""
    ones = [torch.ones(len(row), dtype=torch.long) for row in rows]
    filled, mask = (
        to_device(
            nn.utils.rnn.pad_sequence(list(many), batch_first=True, padding_side=side), device
        )
        for many in (rows, ones)
    )
    return filled, mask


def _filled(rows: Sequence[Tensor], count: int, nothing: Tensor) -> list[Tensor]:
    return [*rows, *[nothing] * (count - len(rows))]


def split_trunk(
    learner: Learner,
    identity: Mapping[str, Any],
    shelves: Shelves | None = None,
    *,
    keep: bool = True,
) -> str | None:
    """Let a learner run its frozen trunk once per sequence, where it has one and the model allows.

    Whether the model allows it is tried out on two sequences.

    Args:
        learner: After a method's `attach`; `Learner.frozen` is set.
        identity: What is known of its weights and of the versions that compute.
        shelves: Folders in which states are shared with other runs.
        keep: Whether states are kept; else they are computed at every call.

    Returns:
        Why a frozen trunk still runs with every batch; None where it does not, or is not frozen.
    """
    below = learner.frozen_layers()
    if not below or learner.precision is None:
        return None
    told = {
        **identity,
        "below": below,
        "dtype": learner.precision.dtype,
        "device": learner.precision.device,
        "fast": asdict(switches()),
        **processor(learner.precision),
        "trunk": fingerprint(learner),
    }
    training = learner.training
    learner.eval()
    try:
        frozen = FrozenTrunk(learner, below, States(told))
        reason = _try_out(learner, frozen)
    except Exception as error:  # whatever an unknown model does, it can still run whole
        reason = f"{type(error).__name__}: {error}"
    learner.train(training)
    if reason is None:
        frozen.start(States(told, shelves, keep=keep))
        learner.frozen = frozen
    return reason


def processor(precision: Precision) -> dict[str, Any]:
    """Return what decides, beside device and precision, how a machine rounds.

    Args:
        precision: Where a model computes.
    """
    if precision.device == "cpu":
        kind = torch.backends.cpu.get_cpu_capability()
        return {"threads": precision.threads, "processor": kind}
    module = torch.get_device_module(precision.device)
    name = module.get_device_name() if hasattr(module, "get_device_name") else precision.device
    return {"processor": name, "deterministic": torch.are_deterministic_algorithms_enabled()}


@torch.no_grad()
def _try_out(learner: Learner, frozen: FrozenTrunk) -> str | None:
    """Return what differs between a split model and a whole one; None when nothing does."""
    device = next(learner.parameters()).device
    ids = torch.arange(3, 3 + 2 * _LONGER, device=device).view(2, -1) % learner.info.vocab_size
    mask = torch.ones_like(ids)
    mask[1, _SHORTER:] = 0
    types = None
    if learner.info.config.get("type_vocab_size", 1) > 1:
        types = torch.ones_like(ids)
        types[:, :2] = 0
    with learner.compute():
        whole = learner.run(ids, mask, types)[mask.bool()]
        frozen.hidden(ids, mask, types)
        # Whatever layers leave for each other must not be that of these sequences by chance.
        learner.run(ids.flip(1), mask, types)
        split = frozen.hidden(ids, mask, types)[mask.bool()]
        if not _close(split, whole):
            return "its layers above the trunk need more than the trunk's states"
        whole = whole[:_LONGER]
        if learner.info.kind == "decoder" and not _close(_in_steps(frozen, ids[0]), whole):
            return "its layers above the trunk need more than the trunk's states to go on"
    return None


def _in_steps(frozen: FrozenTrunk, ids: Tensor) -> Tensor:
    """Return the hidden states of a prompt and of what follows it, from the trunk's states."""
    from tarazu.models.compute_cache import ComputeCache

    cache = ComputeCache(config=frozen._learner.body.config)
    tokens = ids.tolist()
    found, mask = [], ids.new_zeros(1, 0)
    for states in frozen.trees([tokens[:_SHORTER]], [[tokens[_SHORTER:]]])[0]:
        mask = torch.cat([mask, mask.new_ones(1, len(states))], dim=1)
        found.append(frozen.above(states[None].to(ids.device), mask, cache)[0])
    return torch.cat(found)


def _close(one: Tensor, other: Tensor) -> bool:
    one, other = one.float(), other.float()
    dtype = torch.get_autocast_dtype(one.device.type)
    tolerance = _TOLERANCE[dtype if torch.is_autocast_enabled(one.device.type) else torch.float32]
    return bool((one - other).norm() <= tolerance * other.norm())


@torch.no_grad()
def fingerprint(learner: Learner) -> str:
    """Return a checksum of everything in the trunk that is not trained, as it is in memory.

    It tells apart what the model's files do not: a method that changed or quantised the trunk.
    """
    digest = hashlib.sha256()
    tensors = [*learner.trunk.named_parameters(), *learner.trunk.named_buffers()]
    for name, tensor in tensors:
        if tensor.requires_grad:
            continue
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(str(_checksum(tensor)).encode())
    return digest.hexdigest()


def _checksum(tensor: Tensor) -> int:
    """Return a sum over a tensor's bits in which every row has another weight."""
    if not tensor.numel():
        return 0
    widths = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    bits = tensor.detach().contiguous().view(-1).view(widths[tensor.element_size()])
    sums = bits.view(tensor.shape[0] if tensor.ndim else 1, -1).sum(dim=1, dtype=torch.int64)
    return int((sums * torch.arange(1, len(sums) + 1, device=sums.device)).sum())
