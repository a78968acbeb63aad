"""A recorded run held against the same run made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tarazu.record.record import RunRecord
from tarazu.text import Text

Verdict = Literal["bit-equal", "within noise", "drifted", "failed"]


@dataclass(frozen=True)
class Changed:
    """One test split, answered again.

    Attributes:
        split: The split.
        metric: The task's primary metric.
        before: Its mean as recorded.
        after: Its mean now.
        error: Standard error of the difference over the choice of items, paired.
        answers: Items answered differently.
        items: Items in all.
    """

    split: str
    metric: str
    before: float
    after: float
    error: float
    answers: int
    items: int

    @property
    def noise(self) -> bool:
        """Whether the difference is one that other items could as well have shown."""
        return abs(self.after - self.before) <= 1.96 * self.error


@dataclass(frozen=True)
class Verification:
    """What came of running a recorded run again.

    Attributes:
        record: The run as recorded.
        verdict: ``bit-equal``: predictions, losses and trained weights are the same bits.
            ``within noise``: some bits differ, but the metric no more than by chance; on an
            accelerator without `compute.deterministic` that is expected.
            ``drifted``: the metric differs by more.
        packages: Versions then and now of the packages that changed, by name.
        splits: What changed, by split.
        differs: What is not the same bits: parts of the record, files.
        error: Why the run failed, when it did.
    """

    record: RunRecord
    verdict: Verdict
    packages: Mapping[str, tuple[str, str]]
    splits: tuple[Changed, ...]
    differs: tuple[str, ...]
    error: str | None = None

    @property
    def rounds_freely(self) -> bool:
        """Whether two such runs may differ by rounding though nothing has changed."""
        return self.record.spec.device != "cpu" and not self.record.spec.deterministic

    def sentence(self) -> Text:
        """Return the verdict in a sentence, and what it means where runs round freely."""
        verdict = self._verdict()
        if not self.rounds_freely or self.verdict not in ("within noise", "drifted"):
            return verdict
        device = self.record.spec.device.upper()
        expected = self.verdict == "within noise"
        return Text(
            f"{verdict.en} "
            + (
                f"On {device} without compute.deterministic two equal runs differ by rounding."
                if expected
                else f"On {device} without compute.deterministic two equal runs differ by "
                "rounding, which training may enlarge: verify other seeds before blaming packages."
            ),
            f"{verdict.fa} "
            + (
                f"روی {device} بدون compute.deterministic دو اجرای یکسان به اندازهٔ گردکردن "
                "فرق دارند."
                if expected
                else f"روی {device} بدون compute.deterministic دو اجرای یکسان به اندازهٔ گردکردن "
                "فرق دارند و آموزش می‌تواند آن را بزرگ کند: پیش از آنکه بسته‌ها را مقصر بدانید، "
                "بذرهای دیگر را هم بیازمایید."
            ),
        )

    def _verdict(self) -> Text:
        name = f"{self.record.entry}, seed {self.record.seed}"
        name_fa = f"{self.record.entry}، بذر {self.record.seed}"
        return {
            "bit-equal": Text(
                f"{name}: bit-equal. Answers, losses and trained weights are the same.",
                f"{name_fa}: بیت‌به‌بیت یکسان. پاسخ‌ها، خطاها و وزن‌های آموزش‌دیده همان‌اند.",
            ),
            "within noise": Text(
                f"{name}: within noise. Some bits differ, but the result does not.",
                f"{name_fa}: در حد نوفه. بعضی بیت‌ها فرق دارند ولی نتیجه نه.",
            ),
            "drifted": Text(
                f"{name}: drifted. The result is another one than recorded.",
                f"{name_fa}: جابه‌جا شده. نتیجه با آنچه ثبت شده فرق دارد.",
            ),
            "failed": Text(f"{name}: the run failed now.", f"{name_fa}: اجرا این بار شکست خورد."),
        }[self.verdict]
