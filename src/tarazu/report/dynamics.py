"""A reading of how training went, derived from the losses of its epochs (requirement Q3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tarazu.report.metric_names import metric_name
from tarazu.text import Text

if TYPE_CHECKING:
    from tarazu.record.record import Epoch

Kind = Literal[
    "none", "single", "falling", "levelling", "flat", "over-fitting", "unsteady", "diverged",
    "under-trained", "best",
]  # fmt: skip

NOISE = 0.02
"""Relative changes up to 2 % are taken for noise: the order of the data alone moves the mean loss
of an epoch by about as much on splits of a few thousand items."""
FLOOR = 0.005
"""Changes up to 0.005 nats are taken for noise too: near zero a relative change says nothing."""
STEEP = 0.05
"""A loss that fell by more than 5 % in the last epoch was not done falling: levelled curves change
by less than `NOISE`, and the learning rate at the end of its schedule makes the last step small."""
DIVERGED = 0.2
"""A training loss that ends more than 20 % (and 0.1 nats) above its first epoch is no noise:
no epoch differs from another by that much without a cause."""
DIVERGED_FLOOR = 0.1


@dataclass(frozen=True)
class Finding:
    """One thing that the losses say.

    Attributes:
        kind: What it is.
        text: The same in words, with the numbers it rests on.
        since: The first epoch that shows it, where there is one.
    """

    kind: Kind
    text: Text
    since: int | None = None


def read_dynamics(epochs: Sequence[Epoch], metric: str | None = None) -> list[Finding]:
    """Read the dynamics of a training run.

    Args:
        epochs: Its epochs.
        metric: The validation metric whose best epoch is named.

    Returns:
        At least one finding.
    """
    epochs = sorted(epochs, key=lambda epoch: epoch.epoch)
    if not epochs:
        return [_none()]
    broken = [epoch for epoch in epochs if not _finite(epoch)]
    if broken:
        return [_not_finite(broken[0].epoch)]
    if len(epochs) == 1:
        return [_single(epochs[0])]
    trend = _trend(epochs)
    found = [trend]
    if trend.kind != "diverged":
        found += _validation(epochs)
    return found + _best(epochs, metric)


def _finite(epoch: Epoch) -> bool:
    return math.isfinite(epoch.train_loss) and math.isfinite(epoch.validation_loss or 0.0)


def _moved(before: float, after: float) -> bool:
    return abs(after - before) > max(NOISE * abs(before), FLOOR)


def _trend(epochs: Sequence[Epoch]) -> Finding:
    """Read the training loss."""
    losses = [epoch.train_loss for epoch in epochs]
    first, last = losses[0], losses[-1]
    numbers = f"{first:.3f} → {last:.3f}"
    if last - first > max(DIVERGED * abs(first), DIVERGED_FLOOR):
        return _diverged(numbers)
    rises = [
        epochs[i].epoch
        for i in range(1, len(losses))
        if losses[i] > losses[i - 1] and _moved(losses[i - 1], losses[i])
    ]
    if rises:
        return _unsteady("training", "آموزش", rises, numbers)
    if not _moved(first, last):
        return _flat(numbers)
    if not _moved(losses[-2], last):
        moved = [i for i in range(1, len(losses)) if _moved(losses[i - 1], losses[i])]
        # A loss may creep down without any step of its own being more than noise.
        return _levelling(numbers, epochs[(moved[-1] if moved else 0) + 1].epoch)
    return _falling(numbers)


def _validation(epochs: Sequence[Epoch]) -> list[Finding]:
    """Read the validation loss against the training loss."""
    measured = [
        (epoch, epoch.validation_loss) for epoch in epochs if epoch.validation_loss is not None
    ]
    if len(measured) < 2:
        before, after = epochs[-2].train_loss, epochs[-1].train_loss
        return [_under_trained("training", "آموزش", before, after)] if _steep(before, after) else []
    losses = [loss for _, loss in measured]
    lowest = losses.index(min(losses))
    at_lowest, last = measured[lowest][0], measured[-1][0]
    if _moved(losses[lowest], losses[-1]) and last.train_loss < at_lowest.train_loss:
        since = measured[lowest + 1][0].epoch
        return [_over_fitting(losses[lowest], losses[-1], at_lowest, last, since)]
    rises = [
        measured[i][0].epoch
        for i in range(1, len(losses))
        if losses[i] > losses[i - 1] and _moved(losses[i - 1], losses[i])
    ]
    if rises:
        return [_unsteady("validation", "اعتبارسنجی", rises, f"{losses[0]:.3f} → {losses[-1]:.3f}")]
    if _steep(losses[-2], losses[-1]):
        return [_under_trained("validation", "اعتبارسنجی", losses[-2], losses[-1])]
    return []


def _steep(before: float, after: float) -> bool:
    return _moved(before, after) and before - after > STEEP * abs(before)


def _best(epochs: Sequence[Epoch], metric: str | None) -> list[Finding]:
    """Name the epoch with the best validation metric."""
    values = [
        (epoch.metrics[metric], epoch.epoch)
        for epoch in epochs
        if metric is not None and math.isfinite(epoch.metrics.get(metric, math.nan))
    ]
    if len(values) < 2:
        return []
    value, at = max(values, key=lambda pair: (pair[0], -pair[1]))
    text = Text(
        f"Validation {metric} is highest in epoch {at}: {100 * value:.1f} %.",
        f"بیشترین {metric_name(metric or '').fa} اعتبارسنجی در دور {at} است: {100 * value:.1f} ٪.",
    )
    return [Finding("best", text, at)]


def _none() -> Finding:
    return Finding(
        "none", Text("No epoch: nothing was trained.", "هیچ دوری نیست: چیزی آموزش ندیده است.")
    )


def _not_finite(epoch: int) -> Finding:
    text = Text(
        f"Diverged: the loss is no finite number in epoch {epoch}. A lower learning rate, a longer "
        "warm-up or a wider number format is the usual remedy.",
        f"واگرا: زیان در دور {epoch} عددی متناهی نیست. نرخ یادگیری کمتر، گرم‌کردن طولانی‌تر یا "
        "قالب عددی پهن‌تر چاره‌ی معمول است.",
    )
    return Finding("diverged", text, epoch)


def _single(epoch: Epoch) -> Finding:
    loss, validation = epoch.train_loss, epoch.validation_loss
    after = "" if validation is None else f", validation loss after it {validation:.3f}"
    after_fa = "" if validation is None else f"، زیان اعتبارسنجی پس از آن {validation:.3f}"
    text = Text(
        f"One epoch: mean training loss {loss:.3f}{after}. Level only: no trend, over-fitting or "
        "convergence can be read from one point. The training loss is a mean over the epoch while "
        "the model was still changing, so a lower validation loss after it is no surprise.",
        f"یک دور: میانگین زیان آموزش {loss:.3f}{after_fa}. از یک نقطه تنها سطح زیان خوانده می‌شود، "
        "نه روند، بیش‌برازش یا همگرایی. زیان آموزش میانگینِ دوری است که مدل در آن هنوز تغییر "
        "می‌کرده، پس کمتر بودن زیان اعتبارسنجی پس از آن عجیب نیست.",
    )
    return Finding("single", text)


def _diverged(numbers: str) -> Finding:
    text = Text(
        f"Diverged: the training loss ends well above its first epoch ({numbers}). "
        "The learning rate is probably too high.",
        f"واگرا: زیان آموزش بسیار بالاتر از دور نخست پایان یافته ({numbers}). "
        "احتمالاً نرخ یادگیری زیاد است.",
    )
    return Finding("diverged", text)


def _unsteady(which: str, which_fa: str, rises: list[int], numbers: str) -> Finding:
    at = ", ".join(map(str, rises))
    text = Text(
        f"Unsteady: the {which} loss rises in epoch {at} ({numbers}).",
        f"ناپایدار: زیان {which_fa} در دور {at} بالا می‌رود ({numbers}).",
    )
    return Finding("unsteady", text, rises[0])


def _flat(numbers: str) -> Finding:
    text = Text(
        f"Flat: the training loss hardly changes ({numbers}). Either nothing is being learned "
        "(the learning rate may be too low) or all was learned within the first epoch.",
        f"بی‌تغییر: زیان آموزش تقریباً ثابت است ({numbers}). یا چیزی آموخته نمی‌شود (شاید نرخ "
        "یادگیری کم باشد) یا همه در دور نخست آموخته شده است.",
    )
    return Finding("flat", text)


def _levelling(numbers: str, since: int) -> Finding:
    text = Text(
        f"Levelling: the training loss fell ({numbers}) and changes by less than "
        f"{NOISE:.0%} per epoch since epoch {since}.",
        f"رو به ثبات: زیان آموزش کم شده ({numbers}) و از دور {since} در هر دور کمتر از "
        f"{100 * NOISE:.0f} ٪ تغییر می‌کند.",
    )
    return Finding("levelling", text, since)


def _falling(numbers: str) -> Finding:
    text = Text(
        f"Falling: the training loss falls to the last epoch ({numbers}).",
        f"رو به کاهش: زیان آموزش تا دور آخر کم می‌شود ({numbers}).",
    )
    return Finding("falling", text)


def _over_fitting(low: float, end: float, at: Epoch, last: Epoch, since: int) -> Finding:
    text = Text(
        f"Over-fitting since epoch {since}: the validation loss rises ({low:.3f} → {end:.3f}) "
        f"while the training loss falls ({at.train_loss:.3f} → {last.train_loss:.3f}).",
        f"بیش‌برازش از دور {since}: زیان اعتبارسنجی بالا می‌رود ({low:.3f} → {end:.3f}) در حالی که "
        f"زیان آموزش کم می‌شود ({at.train_loss:.3f} → {last.train_loss:.3f}).",
    )
    return Finding("over-fitting", text, since)


def _under_trained(which: str, which_fa: str, before: float, after: float) -> Finding:
    numbers = f"{before:.3f} → {after:.3f}"
    doubt, doubt_fa = ("", "") if which == "validation" else (
        " Without a validation loss this cannot be told from memorising.",
        " بی زیان اعتبارسنجی نمی‌توان آن را از حفظ‌کردن بازشناخت.",
    )  # fmt: skip
    text = Text(
        f"Under-trained: the {which} loss still falls by more than {STEEP:.0%} in the last epoch "
        f"({numbers}); more epochs would probably help.{doubt}",
        f"کم‌آموخته: زیان {which_fa} در دور آخر هنوز بیش از {100 * STEEP:.0f} ٪ کم می‌شود "
        f"({numbers})؛ دورهای بیشتر احتمالاً سودمند است.{doubt_fa}",
    )
    return Finding("under-trained", text)
