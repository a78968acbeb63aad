"""Numbers as people read them."""

from __future__ import annotations

import math

from tarazu.comparison.spread import Spread

NOTHING = "–"


def percent(spread: Spread | None) -> str:
    """Return a share in percent, such as ``71.3 ± 0.8``."""
    if spread is None or not math.isfinite(spread.mean):
        return NOTHING
    mean = f"{100 * spread.mean:.1f}"
    return mean if spread.sd is None else f"{mean} ± {100 * spread.sd:.1f}"


def duration(seconds: float | None) -> str:
    """Return a time such as ``0.4 s``, ``42 s``, ``3 min 05 s`` or ``1 h 02 min``."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: int | None) -> str:
    """Return a number of bytes in decimal units, such as ``1.2 GB``."""
    if count is None:
        return NOTHING
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.5:
            return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
    return f"{value / 1000:.1f} TB"


def money(amount: float | None) -> str:
    """Return an amount of money without its currency: cents, or two digits of what is less."""
    if amount is None or not math.isfinite(amount):
        return NOTHING
    if not 0 < amount < 1:
        return f"{amount:,.2f}"
    return f"{amount:.{min(1 - math.floor(math.log10(amount)), 9)}f}"


def loss(value: float | None) -> str:
    """Return a loss with four decimals; what is no number is shown as such."""
    if value is None:
        return NOTHING
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.3g}"


def p_text(value: float | None) -> str:
    """Return a p-value with as many digits as it deserves."""
    if value is None:
        return NOTHING
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.1 else f"{value:.3f}"
