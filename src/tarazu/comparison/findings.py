"""The few sentences about failures that a reader should see first, in English and Persian.

A sentence stands here only where the counts support it: facts that anybody can count are given
with their counts, and whatever could be luck has passed a test that is corrected (Holm) for all
that was looked at.
"""

from __future__ import annotations

from tarazu.comparison.calibration import Calibration
from tarazu.comparison.collapse import OneClass
from tarazu.comparison.correctness import primary_entries
from tarazu.comparison.failures import Failures, analyse
from tarazu.comparison.flips import Flips
from tarazu.comparison.multiple import holm
from tarazu.comparison.net_change import net_change
from tarazu.comparison.outcomes import Answers, Outcomes
from tarazu.comparison.slice_names import slice_name, slice_value
from tarazu.comparison.slices import SliceScore
from tarazu.comparison.span_errors import KIND_MEANINGS, KIND_NAMES, KINDS, Kind, SpanErrors
from tarazu.text import Text, isolated

LEVEL = 0.05
UNREADABLE = 0.1
"""Shares of unreadable answers from 10 % on change how a mean is to be read: the entry may know
more than it can say."""
MOST = 3
"""Sentences of one sort; the rest stands in the tables."""
CHANGED = 0.1
"""A form that answers 10 % of the items differently is another model, whichever of both is right
more often. How many answers differ is a count, and needs no test."""
OVERCONFIDENT = 0.1
"""Gaps between confidence and accuracy below ten points are not worth a first look."""


def findings(outcomes: Outcomes, failures: Failures | None = None) -> list[Text]:
    """Return the largest facts about failures across entries, the gravest first.

    Args:
        outcomes: The answers of all entries to a split.
        failures: Their analysis, if it is at hand.
    """
    failures = failures or analyse(outcomes)
    return [
        *_collapsed(failures),
        *_no_better(failures),
        *_unreadable(outcomes),
        *_flipped(failures),
        *_never_right(failures),
        *_complement(failures),
        *_weak_slices(failures),
        *_over_confident(failures),
        *_span_errors(failures),
    ]


def _collapsed(failures: Failures) -> list[Text]:
    runs = [run for run in failures.one_class if run.collapsed and not run.by_design]
    found = []
    for entry in dict.fromkeys(run.entry for run in runs):
        own = [run for run in runs if run.entry == entry]
        all_runs = sum(run.entry == entry for run in failures.one_class)
        shares = [run.share for run in own]
        given = list(dict.fromkeys(run.label for run in own))
        labels = " / ".join(f"'{label}'" for label in given)
        labels_fa = " / ".join(f"«{isolated(label)}»" for label in given)
        en, fa = _in_runs(own, all_runs)
        found.append(
            Text(
                f"{entry} collapsed to one class: it answers {labels} to {_share(shares)} "
                f"of the items{en}. Its score says which classes the test set has, not what was "
                "learned.",
                f"{isolated(entry)} به یک دسته فروریخته است: پاسخش به {_share_fa(shares)} "
                f"نمونه‌ها {labels_fa} است{fa}. نمره‌اش نشان می‌دهد مجموعهٔ آزمون چه دسته‌هایی "
                "دارد، نه اینکه چه آموخته شده است.",
            )
        )
    return found


def _no_better(failures: Failures) -> list[Text]:
    """Name the entries of which no run beats always giving its own most frequent class."""
    by_entry: dict[str, list[OneClass]] = {}
    for run in (run for run in failures.one_class if not run.by_design):
        by_entry.setdefault(run.entry, []).append(run)
    names = [
        entry
        for entry, runs in by_entry.items()
        if all(run.no_better for run in runs) and not any(run.collapsed for run in runs)
    ]
    if not names:
        return []
    items = len(failures.outcomes.item_ids)
    listed = ", ".join(names)
    listed_fa = "، ".join(map(isolated, names))
    return [
        Text(
            f"Not shown to be better than always giving one class: {listed}. On these {items:,} "
            "items no run of theirs is right significantly more often than its own most frequent "
            "answer given to all would be (exact paired test, 5 %).",
            f"برتریِ این روش‌ها بر دادن همیشگیِ یک پاسخ نشان داده نشد: {listed_fa}. روی این "
            f"{items:,} نمونه، شمار پاسخ‌های درستِ هیچ اجرایی از آن‌ها به‌طور معنادار بیش از وقتی "
            "نیست که پرتکرارترین پاسخ خودش به همه داده شود (آزمون جفتی دقیق، ۵٪).",
        )
    ]


def _unreadable(outcomes: Outcomes) -> list[Text]:
    shares = [(_unparsable(answers), answers) for answers in primary_entries(outcomes)]
    worst = sorted((s for s in shares if s[0] >= UNREADABLE), key=lambda pair: -pair[0])
    items = len(outcomes.item_ids)
    return [
        Text(
            f"{answers.id}: {100 * share:.0f} % of the answers ({share * items:,.0f} of {items:,} "
            f"items{_mean_en(answers)}) could not be read. They count as wrong; what the model "
            "knows about these items is not measured.",
            f"{isolated(answers.id)}: {100 * share:.0f}٪ پاسخ‌ها ({share * items:,.0f} از "
            f"{items:,} نمونه{_mean_fa(answers)}) خوانده نشد. این‌ها نادرست به شمار می‌آیند و "
            "دانستهٔ مدل دربارهٔ این نمونه‌ها سنجیده نشده است.",
        )
        for share, answers in worst[:MOST]
    ]


def _unparsable(answers: Answers) -> float:
    said = answers.predicted.ravel().tolist()
    return sum(one is None for one in said) / max(len(said), 1)


def _flipped(failures: Failures) -> list[Text]:
    """Name the forms that answer otherwise: significantly more often right or wrong, or often."""
    adjusted = holm([one.p_value for one in failures.flips])
    tested = list(zip(adjusted, failures.flips, strict=True))
    told = [(p, one) for p, one in tested if p < LEVEL or _share_changed(one) >= CHANGED]
    told.sort(key=lambda pair: (pair[0] >= LEVEL, pair[0], -_share_changed(pair[1])))
    return [_flip(one, p) for p, one in told[:MOST]]


def _share_changed(one: Flips) -> float:
    return float(one.changed().mean() / one.changes.shape[1])


def _flip(one: Flips, p_holm: float) -> Text:
    items = one.changes.shape[1]
    changed = _count(one.changed().mean())
    lost = _count(one.counts("right-to-wrong").mean())
    won = _count(one.counts("wrong-to-right").mean())
    over = " (means over seeds)" if len(one.seeds) > 1 else ""
    over_fa = " (میانگین بذرها)" if len(one.seeds) > 1 else ""
    # The p-value is of the net change and not of how many answers change: the sentence says so.
    if p_holm < LEVEL:
        net = "so the number of right answers changes beyond luck"
        net_fa = "پس شمار پاسخ‌های درست بیش از حد بخت عوض می‌شود"
    else:
        net = "and the number of right answers is not shown to change"
        net_fa = "و عوض شدن شمار پاسخ‌های درست نشان داده نشد"
    p = f"{_p(p_holm)} for as many of each, after correction for all forms"
    p_fa = f"{_p(p_holm)} برای برابریِ این دو شمار، پس از تصحیح برای همهٔ شکل‌ها"
    return Text(
        f"{one.form} is not the model that was trained: against {one.against} it answers "
        f"{changed} of {items:,} items differently; {lost} turn from right to wrong and {won} from "
        f"wrong to right{over}, {net} ({p}).",
        f"{isolated(one.form)} همان مدلِ آموزش‌دیده نیست: به {changed} از {items:,} نمونه پاسخی جز "
        f"پاسخ {isolated(one.against)} می‌دهد؛ {lost} پاسخ از درست به نادرست و {won} پاسخ از "
        f"نادرست به درست برمی‌گردد{over_fa}، {net_fa} ({p_fa}).",
    )


def _never_right(failures: Failures) -> list[Text]:
    view = failures.items
    never, items = len(view.never_right()), len(view.item_ids)
    if len(view.entries) < 2 or not never:
        return []
    return [
        Text(
            f"{never:,} of {items:,} items are wrong in every run of all "
            f"{len(view.entries)} entries: they are hard, or their gold answers are worth a look.",
            f"{never:,} نمونه از {items:,} نمونه در همهٔ اجراهای هر {len(view.entries)} روش نادرست "
            "است: یا دشوارند یا پاسخ درستشان باید بازبینی شود.",
        )
    ]


def _complement(failures: Failures) -> list[Text]:
    """Hold the two entries that are right most often against each other."""
    view = failures.items
    if len(view.entries) < 2:
        return []
    best = set(view.ranked()[:2])
    one = next(pair for pair in failures.overlaps if {pair.a, pair.b} == best)
    if one.kappa is None:
        return []
    alone = one.both_right + max(len(one.fixed_by_a), len(one.fixed_by_b))
    a, b = isolated(one.a), isolated(one.b)
    return [
        Text(
            f"{one.a} and {one.b}, which are right most often, differ on "
            f"{len(one.fixed_by_a) + len(one.fixed_by_b):,} of {one.items:,} items: {one.a} fixes "
            f"{len(one.fixed_by_a):,} errors of {one.b}, and {one.b} fixes "
            f"{len(one.fixed_by_b):,} of {one.a} (agreement beyond chance κ = {one.kappa:.2f}). "
            f"One of them is right about {one.either_right:,}; the better one alone about "
            f"{alone:,}.",
            f"{a} و {b} که بیش از همه درست‌اند، در "
            f"{len(one.fixed_by_a) + len(one.fixed_by_b):,} نمونه از {one.items:,} نمونه فرق "
            f"دارند: {a} {len(one.fixed_by_a):,} خطای {b} را جبران می‌کند و {b} "
            f"{len(one.fixed_by_b):,} خطای {a} را (توافقِ بیش از تصادف: κ = {one.kappa:.2f}). در "
            f"{one.either_right:,} نمونه دست‌کم یکی درست است؛ بهترینِ آن دو به‌تنهایی در {alone:,} "
            "نمونه.",
        )
    ]


def _weak_slices(failures: Failures) -> list[Text]:
    collapsed = {run.entry for run in failures.one_class if run.collapsed}
    weak = [one for one in failures.slices if one.weak and one.entry not in collapsed]
    deepest: dict[str, SliceScore] = {}
    for one in sorted(weak, key=lambda score: score.difference):
        deepest.setdefault(one.entry, one)
    return [
        Text(
            f"{one.entry} is weak where {one.name} is {one.value}: "
            f"{100 * one.mean:.0f} % there, {-100 * one.difference:.0f} points below its mean "
            f"({one.items:,} items; {_p(one.p_holm or 0.0)} after correction for all slices).",
            f"{isolated(one.entry)} در برش «{slice_name(one.name).fa}: "
            f"{slice_value(one.value).fa}» ضعیف است: {100 * one.mean:.0f}٪، یعنی "
            f"{-100 * one.difference:.0f} واحد درصد کمتر از میانگین خودش ({one.items:,} نمونه؛ "
            f"{_p(one.p_holm or 0.0)} پس از تصحیح برای همهٔ برش‌ها).",
        )
        for one in list(deepest.values())[:MOST]
    ]


def _over_confident(failures: Failures) -> list[Text]:
    shown = {answers.id for answers in primary_entries(failures.outcomes)}
    known = [(one, one.p_gap) for one in failures.calibrations if one.entry in shown]
    tested = [(one, p) for one, p in known if p is not None]
    adjusted = holm([p for _, p in tested])
    sure = [one for (one, _), p in zip(tested, adjusted, strict=True) if p < LEVEL]
    found = sorted((one for one in sure if _gap(one) <= -OVERCONFIDENT), key=_gap)
    return [
        Text(
            f"{one.entry} is over-confident: its mean confidence is "
            f"{100 * one.confidence.mean:.0f} % and it is right in {100 * one.accuracy.mean:.0f} % "
            f"(expected calibration error {100 * one.ece.mean:.0f} points; "
            f"{100 * one.ece_by_chance:.0f} would be luck).",
            f"{isolated(one.entry)} بیش از اندازه مطمئن است: میانگین اطمینانش "
            f"{100 * one.confidence.mean:.0f}٪ است و {100 * one.accuracy.mean:.0f}٪ درست می‌گوید "
            f"(خطای واسنجیِ مورد انتظار {100 * one.ece.mean:.0f} واحد درصد؛ بخت به‌تنهایی "
            f"{100 * one.ece_by_chance:.0f} واحد می‌آورد).",
        )
        for one in found[:MOST]
    ]


def _gap(one: Calibration) -> float:
    return one.accuracy.mean - one.confidence.mean


def _span_errors(failures: Failures) -> list[Text]:
    """Name the commonest error of an entry where that is no luck.

    To show that the winner of several shares is the commonest, the two-sided test against the
    second is enough, although both were chosen by the same counts (Hung and Fithian 2019, *Annals
    of Statistics* 47(2), who show it for multinomial counts).
    """
    by_entry = {one.entry: one for one in failures.spans}
    # The best entries come first: what a weak one gets wrong is hardly news.
    best = [by_entry[name] for name in failures.items.ranked() if name in by_entry]
    ranked = [(one, *_two_commonest(one)) for one in best]
    adjusted = holm([_commoner(one, a, b, failures.outcomes) for one, a, b in ranked])
    sure = [found for found, p in zip(ranked, adjusted, strict=True) if p < LEVEL]
    return [_commonest(one, kind) for one, kind, _ in sure[:MOST]]


def _two_commonest(one: SpanErrors) -> tuple[Kind, Kind]:
    errors = [kind for kind in KINDS if kind != "exact"]
    first, second = sorted(errors, key=lambda kind: -one.counts(kind).sum())[:2]
    return first, second


def _commoner(one: SpanErrors, first: Kind, second: Kind, outcomes: Outcomes) -> float:
    shows = [one.kinds == KINDS.index(kind) for kind in (first, second)]
    seeded = outcomes.entry(one.entry).seeded
    return net_change(shows[0], shows[1], outcomes.groups, seeded=seeded)


def _commonest(one: SpanErrors, kind: Kind) -> Text:
    count, seeds = one.counts(kind).mean(), len(one.kinds)
    errors = one.kinds.shape[1] - one.counts("exact").mean()
    over = ", means over seeds" if seeds > 1 else ""
    over_fa = "، میانگین بذرها" if seeds > 1 else ""
    name, meaning = KIND_NAMES[kind], KIND_MEANINGS[kind]
    return Text(
        f"The commonest error of {one.entry} is '{name.en}' ({meaning.en}): {_count(count)} of "
        f"{_count(errors)} answers that are not exact{over}.",
        f"پرتکرارترین خطای {isolated(one.entry)} «{name.fa}» است ({meaning.fa}): {_count(count)} "
        f"از {_count(errors)} پاسخی که دقیق نیست{over_fa}.",
    )


def _in_runs(own: list[OneClass], all_runs: int) -> tuple[str, str]:
    if all_runs == 1:
        return "", ""
    return f" in {len(own)} of {all_runs} runs", f" در {len(own)} از {all_runs} اجرا"


def _share(shares: list[float]) -> str:
    more = " or more" if len(set(shares)) > 1 else ""
    return "all" if min(shares) == 1 else f"{_least(shares):.1f} %{more}"


def _share_fa(shares: list[float]) -> str:
    more = " یا بیشترِ" if len(set(shares)) > 1 else ""
    return "همهٔ" if min(shares) == 1 else f"{_least(shares):.1f}٪{more}"


def _least(shares: list[float]) -> float:
    # What is not all of the items must not be shown as 100 %.
    return min(100 * min(shares), 99.9)


def _mean_en(answers: Answers) -> str:
    return " on average" if len(answers.seeds) > 1 else ""


def _mean_fa(answers: Answers) -> str:
    return " به‌طور میانگین" if len(answers.seeds) > 1 else ""


def _count(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
