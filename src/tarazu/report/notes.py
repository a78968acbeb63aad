"""What must be said beside a number: notes per entry, and the foot of the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tarazu.comparison.entries import EntryResult, current, entries, every_size, train_rows
from tarazu.comparison.exposure import Exposure
from tarazu.report.persian import isolated
from tarazu.report.plain import one_line, shorten
from tarazu.report.recorded import recorded
from tarazu.text import Text

if TYPE_CHECKING:
    from tarazu.record.record import Attribution, RunRecord

_REASON_LENGTH = 160
# Events that change how a result is to be read; the others stand in the longer reports.
_TELLING = {
    "collapsed": Text("collapsed to one class", "همه را از یک دسته می‌داند"),
    "diverged": Text("diverged", "واگرا شده"),
    "tuning": Text(
        "no trial came to its end: default settings",
        "هیچ آزمونی به پایان نرسید: تنظیم‌های پیش‌فرض",
    ),
}


def notes(entry: EntryResult) -> list[Text]:
    """Return what must be known to read an entry's numbers.

    Args:
        entry: The entry.
    """
    found = _of_the_run(entry) if entry.primary else []
    if entry.missing_seeds:
        which = _listed(entry.missing_seeds)
        found.append(Text(f"none for seed {which}", f"بی بذر {_persian_list(which)}"))
    if any(entry.unparsable):
        counts = _per_seed(entry.unparsable)
        found.append(
            Text(
                f"unparsable {counts} of {entry.n:,}",
                f"{_persian_list(counts)} از {entry.n:,} پاسخ ناخوانا",
            )
        )
    if any(entry.cut):
        counts = _per_seed(entry.cut)
        found.append(
            Text(
                f"cut {counts} of {entry.n:,}",
                f"{_persian_list(counts)} از {entry.n:,} نمونه کوتاه‌شده",
            )
        )
    if entry.flips:
        against = one_line(entry.flips_against or "main")
        counts = _per_seed(entry.flips)
        found.append(
            Text(
                f"{counts} of {entry.n:,} answers differ from {against}",
                f"{_persian_list(counts)} از {entry.n:,} پاسخ با {isolated(against)} فرق دارد",
            )
        )
    return found + failures(entry) if entry.primary else found


def _of_the_run(entry: EntryResult) -> list[Text]:
    """Return what holds for all forms of a trained model: it is said once, beside the entry."""
    kinds = dict.fromkeys(kind for kind, _ in entry.events)
    telling = [_TELLING[kind] for kind in kinds if kind in _TELLING]
    missing = [message for kind, message in entry.events if kind == "variant"]
    for form in dict.fromkeys(one_line(message).partition(" is missing")[0] for message in missing):
        telling.append(Text(f"without {form} (see events)", f"بدون {isolated(form)} (رویدادها)"))
    return [Text("contaminated *", "آلوده *"), *telling] if entry.contamination else telling


def failures(entry: EntryResult) -> list[Text]:
    """Return the reasons why runs of an entry failed, each with its seeds."""
    seeds: dict[str, list[int]] = defaultdict(list)
    for failure in entry.failures:
        seeds[failure.reason].append(failure.seed)
    return [
        Text(
            f"failed (seed {_listed(which)}): {shorten(reason, _REASON_LENGTH)}",
            f"شکست (بذر {_persian_list(_listed(which))}): {_reason(reason)}",
        )
        for reason, which in seeds.items()
    ]


def footnotes(records: Sequence[RunRecord]) -> list[Text]:
    """Return the foot of the table: protocol, doubts, origins and licences.

    Args:
        records: All records of a study.
    """
    shown = entries(records)
    used = current(records)
    return [
        *_protocol(shown),
        *_sizes(used),
        *_unequal_epochs(used),
        *_older(records),
        *_versions(used),
        *_plugins(used),
        *_unequal_items(used),
        *_contamination(used),
        *_attribution(used),
    ]


def caption(rows: Iterable[EntryResult]) -> Text:
    """Return what a table of one split was measured on.

    Args:
        rows: The entries of the table.
    """
    done = [row for row in rows if row.seeds]
    if not done:
        return Text("No run is done.", "هیچ اجرایی به پایان نرسیده است.")
    sizes = [f"{size:,}" for size in sorted({row.n for row in done})]
    seeds = sorted({seed for row in done for seed in row.seeds})
    several = len(seeds) > 1
    over = "mean ± standard deviation over seeds" if several else "one seed: no spread is known"
    over_fa = "میانگین ± انحراف معیار روی بذرها" if several else "یک بذر: پراکندگی دانسته نیست"
    split, listed = one_line(done[0].split), _listed(seeds)
    return Text(
        f"{' or '.join(sizes)} items of '{split}' · seed {listed} ({over})",
        f"{' یا '.join(sizes)} نمونه از {isolated(split)} · "
        f"بذر {_persian_list(listed)} ({over_fa})",
    )


def _protocol(rows: list[EntryResult]) -> list[Text]:
    found = [
        Text(
            "Bold: the highest mean, which does not say that the difference is significant.",
            "پررنگ: بیشترین میانگین، که معنادار بودن تفاوت را نمی‌رساند.",
        )
    ]
    done = [row for row in rows if row.seeds]
    nothing = dict.fromkeys(one_line(row.entry) for row in done if row.nothing_to_tune)
    untuned = [one_line(row.entry) for row in done if not row.tuned and not row.nothing_to_tune]
    if any(row.tuned for row in done):
        counts = sorted({row.trials for row in done if row.tuned})
        several = len(counts) > 1
        fewer = " (fewer where there were fewer settings to try)" if several else ""
        fewer_fa = " (کمتر، جایی که تنظیم‌های کمتری برای آزمودن بود)" if several else ""
        found.append(
            Text(
                f"Tuned on validation: {counts[-1]:,} trials of every entry{fewer}.",
                f"تنظیم‌شده روی اعتبارسنجی: {counts[-1]:,} آزمون برای هر روش{fewer_fa}.",
            )
        )
    if nothing:
        found.append(
            Text(
                f"Nothing to tune: {', '.join(nothing)}.",
                f"بی چیزی برای تنظیم: {'، '.join(map(isolated, nothing))}.",
            )
        )
    if untuned and len(untuned) == len(done):
        found.append(
            Text(
                "Untuned: no hyperparameter was searched.",
                "تنظیم‌نشده: هیچ ابرپارامتری جست‌وجو نشده است.",
            )
        )
    elif untuned:
        names = dict.fromkeys(untuned)
        found.append(
            Text(f"Untuned: {', '.join(names)}.", f"تنظیم‌نشده: {'، '.join(map(isolated, names))}.")
        )
    if any(row.cut and any(row.cut) for row in rows):
        found.append(
            Text(
                "cut: items whose context was shortened to fit the model.",
                "کوتاه‌شده: نمونه‌هایی که متنشان بریده شد تا در مدل جا شود.",
            )
        )
    if any(any(row.unparsable) for row in rows):
        found.append(
            Text(
                "unparsable: answers that could not be read; they count as wrong.",
                "ناخوانا: پاسخ‌هایی که خوانده نشدند و نادرست شمرده می‌شوند.",
            )
        )
    return found


def data_notes(notes: Iterable[str]) -> list[Text]:
    """Return what is known of the data as lines below a table, each once.

    Args:
        notes: As they were written when the data were split.
    """
    lines = [recorded(one_line(note).rstrip(".")) for note in dict.fromkeys(notes)]
    return [Text(f"Data: {line.en}.", f"داده: {line.fa}.") for line in lines]


def exposure_notes(exposures: Iterable[Exposure]) -> list[Text]:
    """Say how often test sets had been scored before the runs of a study.

    Args:
        exposures: From `tarazu.comparison.exposure.exposures`.
    """
    found = []
    for one in exposures:
        who = [f"{one.studies} other {'study' if one.studies == 1 else 'studies'}"]
        who = who if one.studies else []
        who += ["other runs of this study"] if one.own else []
        who_fa = [f"{one.studies} مطالعهٔ دیگر"] if one.studies else []
        who_fa += ["اجراهای دیگر همین مطالعه"] if one.own else []
        times = "once" if one.times == 1 else f"{one.times:,} times"
        found.append(
            Text(
                f"Test set '{one_line(one.split)}' was scored {times} before, by "
                f"{' and '.join(who)}: choices made after looking at it make its figures "
                "optimistic.",
                f"مجموعهٔ آزمون {isolated(one.split)} پیش از این {one.times:,} بار سنجیده شده بود، "
                f"در {' و '.join(who_fa)}: آنچه پس از دیدن آن برگزیده شود عددهایش را خوش‌بینانه "
                "می‌کند.",
            )
        )
    return found


def _sizes(used: list[RunRecord]) -> list[Text]:
    several = [record for record in used if record.spec.train_sizes]
    if not several:
        return []
    sizes = _listed(sorted({rows for record in several for rows in record.spec.train_sizes}))
    largest = _listed(sorted({train_rows(record) for record in several}))
    return [
        Text(
            f"Trained on {largest} rows, the largest of the sizes {sizes}.",
            f"آموزش‌دیده روی {_persian_list(largest)} سطر، بزرگ‌ترینِ اندازه‌های "
            f"{_persian_list(sizes)}.",
        )
    ]


def _unequal_epochs(used: list[RunRecord]) -> list[Text]:
    """Say who was trained for longer than whom (trap T32); a search may have chosen it, too."""
    entries_by: dict[int, dict[str, None]] = defaultdict(dict)
    for record in used:
        setting = record.hyperparameters.get("epochs")
        if record.epochs and setting is not None:
            entries_by[setting.value][record.entry] = None
    if len(entries_by) < 2:
        return []
    ordered = sorted(entries_by.items(), reverse=True)
    told = "; ".join(f"{count:,}: {', '.join(map(one_line, names))}" for count, names in ordered)
    told_fa = "؛ ".join(f"{count:,}: {'، '.join(map(isolated, names))}" for count, names in ordered)
    return [
        Text(
            f"Not trained for equally many epochs: {told}.",
            f"شمار دورهای آموزش یکسان نیست: {told_fa}.",
        )
    ]


def _older(records: Sequence[RunRecord]) -> list[Text]:
    left_out = sum(record.stage == "final" for record in records) - len(every_size(records))
    if not left_out:
        return []
    return [
        Text(
            f"Left out: {left_out} runs with older settings of the same entries.",
            f"کنار گذاشته: {left_out} اجرا با تنظیم‌های پیشینِ همین روش‌ها.",
        )
    ]


def _versions(used: list[RunRecord]) -> list[Text]:
    """Say which entries other package versions made: their numbers may differ by that alone."""
    made: dict[str, list[RunRecord]] = defaultdict(list)
    for record in used:
        made[record.environment.hash].append(record)
    if len(made) < 2:
        return []
    packages = [runs[0].environment.packages for runs in made.values()]
    names = sorted({name for one in packages for name in one})
    differing = [name for name in names if len({one.get(name) for one in packages}) > 1]
    told, told_fa = [], []
    for runs in made.values():
        known = runs[0].environment.packages
        versions = ", ".join(f"{name} {known.get(name, 'absent')}" for name in differing)
        who = dict.fromkeys(one_line(_who(run, used)) for run in runs)
        told.append(f"{', '.join(who)}: {one_line(versions)}")
        told_fa.append(f"{'، '.join(map(isolated, who))}: {isolated(one_line(versions))}")
    return [
        Text(
            f"Made with different versions: {'; '.join(told)}.",
            f"ساخته‌شده با نسخه‌های گوناگون: {'؛ '.join(told_fa)}.",
        )
    ]


def _plugins(used: list[RunRecord]) -> list[Text]:
    """Say which entries are not of tarazu's own code, with what that code was."""
    made: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record in used:
        for name, sha in record.spec.plugins.items():
            made[name, sha].append(one_line(record.entry))
    told = {f"{one_line(name)} {sha[:12]}": dict.fromkeys(who) for (name, sha), who in made.items()}
    if not told:
        return []
    english = [f"{', '.join(who)}: {what}" for what, who in told.items()]
    persian = [f"{'، '.join(map(isolated, who))}: {isolated(what)}" for what, who in told.items()]
    return [
        Text(
            f"From plug-ins (SHA-256): {'; '.join(english)}.",
            f"از افزونه‌ها (SHA-256): {'؛ '.join(persian)}.",
        )
    ]


def _who(run: RunRecord, used: list[RunRecord]) -> str:
    """Return an entry, with the seed where its other seeds have other versions."""
    own = {one.environment.hash for one in used if (one.entry, one.model) == (run.entry, run.model)}
    return run.entry if len(own) == 1 else f"{run.entry} (seed {run.seed})"


def _unequal_items(used: list[RunRecord]) -> list[Text]:
    hashes: dict[str, set[str]] = defaultdict(set)
    for record in used:
        for split in {result.split for result in record.variants}:
            if split in record.inputs:
                hashes[split].add(record.inputs[split].sha256)
    return [
        Text(
            f"Not comparable: the entries were scored on different items of '{one_line(split)}'.",
            f"سنجش‌ناپذیر: روش‌ها روی نمونه‌های متفاوتی از {isolated(split)} سنجیده شده‌اند.",
        )
        for split, found in hashes.items()
        if len(found) > 1
    ]


def _contamination(used: list[RunRecord]) -> list[Text]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for record in used:
        for why in record.attribution.contamination:
            reasons[why].append(record.model or record.entry)
    return [
        Text(
            f"* {', '.join(map(one_line, dict.fromkeys(who)))}: {one_line(why)}",
            f"* {'، '.join(map(isolated, dict.fromkeys(who)))}: مدل شاید این داده‌ها را پیش‌تر "
            f"دیده باشد: {recorded(why).fa}",
        )
        for why, who in reasons.items()
    ]


def _attribution(used: list[RunRecord]) -> list[Text]:
    found: dict[Text, None] = {}
    for record in used:
        for line in _origins(record.model or record.entry, record.attribution):
            found[line] = None
    return list(found)


def _origins(model: str, known: Attribution) -> list[Text]:
    found = []
    if known.weights_origin:
        origin = _sentence(known.weights_origin)
        found.append(
            Text(
                f"Weights of {one_line(model)}: {origin}.",
                f"وزن‌های {isolated(model)}: {recorded(origin).fa}.",
            )
        )
    if known.model_licence:
        source = f" ({one_line(known.model_source)})" if known.model_source else ""
        licence = f"{one_line(known.model_licence)}{source}"
        found.append(
            Text(
                f"Licence of {one_line(model)}: {licence}.",
                f"پروانهٔ {isolated(model)}: {isolated(licence)}.",
            )
        )
    if known.model_notice:
        notice = _sentence(known.model_notice)
        found.append(
            Text(f"{one_line(model)}: {notice}.", f"{isolated(model)}: {isolated(notice)}.")
        )
    if known.data_licence or known.data_source:
        source = one_line(known.data_source or "")
        licence = one_line(known.data_licence or "")
        parts = [source, f"licence: {licence}" if licence else ""]
        parts_fa = [
            recorded(source).fa if source else "",
            f"پروانه: {recorded(licence).fa}" if licence else "",
        ]
        found.append(
            Text(
                f"Data: {_sentence(' · '.join(part for part in parts if part))}.",
                f"داده: {' · '.join(part for part in parts_fa if part)}.",
            )
        )
    return found


def _sentence(text: str) -> str:
    return one_line(text).rstrip(".")


def _per_seed(counts: Sequence[int]) -> str:
    return _listed(counts) if len(set(counts)) > 1 else f"{counts[0]:,}"


def _listed(values: Iterable[int]) -> str:
    return ", ".join(f"{value:,}" for value in values)


def _reason(reason: str) -> str:
    """Return why a run failed in Persian; a very long message is cut, as it came."""
    told = recorded(reason).fa
    long = len(told) > 2 * _REASON_LENGTH
    return isolated(shorten(reason, _REASON_LENGTH)) if long else told


def _persian_list(listed: str) -> str:
    return listed.replace(", ", "، ")
