"""Persian of what else records say: events, errors, notes on data and models.

A place such as ``{item}`` stands for whatever the record has there.
"""

from __future__ import annotations

from tarazu.text import Text

SENTENCES = (
    # Events.
    Text(
        "{form} answers '{label}' to all of {split}",
        "{form} به همهٔ نمونه‌های {split} پاسخ «{label}» می‌دهد",
    ),
    Text(
        "none of {count} trials came to its end ({reason}): the default settings are used",
        "هیچ‌یک از {count} آزمون به پایان نرسید ({reason}): تنظیم‌های پیش‌فرض به کار رفت",
    ),
    # Errors.
    Text(
        "item {item}: the prompt without its {text} must fit into {room} tokens, but got {count} "
        "tokens. Raise max_length, or use fewer demonstrations (k).",
        "نمونهٔ {item}: پرسش بدون {text} باید در {room} توکن جا شود، ولی {count} توکن است. "
        "\u2068max_length\u2069 را بیشتر کنید یا نمونه‌های حل‌شدهٔ کمتری (\u2068k\u2069) نشان "
        "دهید.",
    ),
    Text(
        "item {item}: everything but its {text} must fit into {room} tokens, but got {count} "
        "tokens. Raise max_length.",
        "نمونهٔ {item}: همه چیز جز {text} باید در {room} توکن جا شود، ولی {count} توکن است. "
        "\u2068max_length\u2069 را بیشتر کنید.",
    ),
    Text(
        "training, step {step}: the loss must be finite, but got {loss} on validation items after "
        "training items [{items}] at learning rate {rate}. Lower the learning rate, or set "
        "compute.dtype to float32.",
        "آموزش، گام {step}: زیان باید عددی متناهی باشد، ولی روی نمونه‌های اعتبارسنجی پس از "
        "نمونه‌های آموزش [{items}] با نرخ یادگیری {rate} برابر {loss} شد. نرخ یادگیری را کم کنید "
        "یا \u2068compute.dtype\u2069 را \u2068float32\u2069 بگذارید.",
    ),
    Text(
        "training, step {step}: the loss must be finite, but got {loss} on training items "
        "[{items}] at learning rate {rate}. Lower the learning rate, or set compute.dtype to "
        "float32.",
        "آموزش، گام {step}: زیان باید عددی متناهی باشد، ولی روی نمونه‌های آموزش [{items}] با نرخ "
        "یادگیری {rate} برابر {loss} شد. نرخ یادگیری را کم کنید یا \u2068compute.dtype\u2069 را "
        "\u2068float32\u2069 بگذارید.",
    ),
    Text(
        "max_length: must leave room for the context beside the longest question, but got {room}. "
        "Use at least {least}.",
        "\u2068max_length\u2069 باید در کنار بلندترین پرسش جایی برای متن بگذارد، ولی {room} است. "
        "دست‌کم {least} بگذارید.",
    ),
    Text(
        "label_words: no label's tokens may begin another label's, but got '{one}' and '{other}'. "
        "Choose other label words, or answer: generate.",
        "\u2068label_words\u2069: توکن‌های هیچ برچسبی نباید آغاز برچسب دیگری باشد، ولی {one} و "
        "{other} چنین‌اند. واژه‌های دیگری برای برچسب‌ها برگزینید یا \u2068answer: generate\u2069 "
        "بگذارید.",
    ),
    Text(
        "few-shot, item {item}: k = {k} training items must be left that neither are the item nor "
        "share its group, but got {count}. Lower k, use more training items, or group by another "
        "column (data.group_by).",
        "نمونهٔ {item}: باید {k} نمونهٔ آموزش بماند که نه خود نمونه باشد و نه هم‌گروه آن، ولی "
        "{count} مانده است. \u2068k\u2069 را کم کنید، نمونه‌های آموزش بیشتری بدهید یا ستون دیگری "
        "را گروه بگیرید (\u2068data.group_by\u2069).",
    ),
    Text(
        "few-shot, k: few-shot can show at most the {count} training items that there are, but "
        "got {k}. Lower k, or use more training items.",
        "تنها {count} نمونهٔ آموزش هست و {k} نمونهٔ حل‌شده خواسته شده است. \u2068k\u2069 را کم "
        "کنید یا نمونه‌های آموزش بیشتری بدهید.",
    ),
    Text(
        "targets: must name modules of {model}, but got {names}. {remedy}",
        "\u2068targets\u2069 باید نام پودمان‌های {model} باشد، ولی {names} است. {remedy}",
    ),
    Text(
        "Did you mean '{near}'? Valid: {names}.", "آیا منظورتان {near} بود؟ نام‌های درست: {names}."
    ),
    Text("Valid: {names}.", "نام‌های درست: {names}."),
    Text(
        "methods.tfidf.max_words: must leave right and wrong candidates in the training split, "
        "but got {count}. Raise max_words, or name training data with short answers.",
        "\u2068max_words\u2069 باید در بخش آموزش نامزد درست و نادرست باقی بگذارد، ولی {count} است. "
        "آن را بیشتر کنید یا داده‌ای با پاسخ‌های کوتاه بدهید.",
    ),
    Text(
        "its process was killed by {signal}, perhaps because memory ran out",
        "پردازهٔ آن با {signal} کشته شد، شاید چون حافظه تمام شد",
    ),
    Text(
        "memory ran out in phase '{phase}' ({reason}): made again with micro-batches of {new} "
        "rows, not {old}; every update has the same batch",
        "حافظه در مرحلهٔ {phase} تمام شد ({reason}): دوباره با ریزدسته‌های {new} سطری به جای {old} "
        "سطری اجرا شد؛ دستهٔ هر به‌روزرسانی همان است",
    ),
    Text(
        "memory ran out in phase '{phase}' ({reason}): made again with evaluation batches of {new} "
        "rows, not {old}; items stand in other batches than they would, so scores may differ by "
        "rounding",
        "حافظه در مرحلهٔ {phase} تمام شد ({reason}): دوباره با دسته‌های ارزیابی {new} سطری به جای "
        "{old} سطری اجرا شد؛ نمونه‌ها در دسته‌های دیگری‌اند، پس امتیازها شاید در گردکردن فرق کند",
    ),
    Text(
        "trained with micro-batches of {sizes} rows",
        "با ریزدسته‌های {sizes} سطری آموزش دید",
    ),
    Text(
        "memory ran out in phase '{phase}' ({reason}): made again with activations computed again "
        "in the backward pass, not kept; the gradients are the same, and an update takes longer",
        "حافظه در مرحلهٔ {phase} تمام شد ({reason}): دوباره اجرا شد و این بار فعال‌سازی‌ها نگه داشته "
        "نشد و در گذر پس‌رو از نو محاسبه شد؛ گرادیان‌ها همان است و هر به‌روزرسانی بیشتر طول می‌کشد",
    ),
    Text(
        "memory ran out in phase '{phase}' with {rows} row at a time and recomputed activations: "
        "it needs {needs}; it had {peak} GiB, and {free} GiB were free afterwards ({reason})",
        "حافظه در مرحلهٔ {phase} با {rows} سطر در هر بار و بازمحاسبهٔ فعال‌سازی‌ها تمام شد: این اجرا "
        "{needs} می‌خواهد؛ {peak} گیبی‌بایت داشت و پس از آن {free} گیبی‌بایت آزاد بود ({reason})",
    ),
    Text(
        "memory ran out in phase '{phase}' with {rows} row at a time: it needs {needs}; it had "
        "{peak} GiB, and {free} GiB were free afterwards ({reason})",
        "حافظه در مرحلهٔ {phase} با {rows} سطر در هر بار تمام شد: این اجرا {needs} می‌خواهد؛ {peak} "
        "گیبی‌بایت داشت و پس از آن {free} گیبی‌بایت آزاد بود ({reason})",
    ),
    Text(
        "memory ran out in phase '{phase}': it needs {needs}; it had {peak} GiB, and {free} GiB "
        "were free afterwards ({reason})",
        "حافظه در مرحلهٔ {phase} تمام شد: این اجرا {needs} می‌خواهد؛ {peak} گیبی‌بایت داشت و پس از "
        "آن {free} گیبی‌بایت آزاد بود ({reason})",
    ),
    Text(
        "memory ran out in phase '{phase}' with {rows} row at a time and recomputed activations: "
        "it needs {needs} ({reason})",
        "حافظه در مرحلهٔ {phase} با {rows} سطر در هر بار و بازمحاسبهٔ فعال‌سازی‌ها تمام شد: این اجرا "
        "{needs} می‌خواهد ({reason})",
    ),
    Text(
        "memory ran out in phase '{phase}' with {rows} row at a time: it needs {needs} ({reason})",
        "حافظه در مرحلهٔ {phase} با {rows} سطر در هر بار تمام شد: این اجرا {needs} می‌خواهد "
        "({reason})",
    ),
    Text(
        "so it seems: the whole command was killed {times} times at the same place",
        "گمان می‌رود: همهٔ فرمان {times} بار در یک جا کشته شد",
    ),
    Text(
        "{total} GiB beside activations (weights {weights}, gradients {gradients}, optimiser "
        "{state})",
        "جز فعال‌سازی‌ها {total} گیبی‌بایت (وزن‌ها {weights}، گرادیان‌ها {gradients}، بهینه‌ساز {state})",
    ),
    Text("{variant} is missing: {reason}", "شکل {variant} در دست نیست: {reason}"),
    Text("{weights} GiB for its weights alone", "تنها برای وزن‌ها {weights} گیبی‌بایت"),
    Text("more than it had", "بیش از آنچه داشت"),
    Text("its process was killed by {signal}", "پردازهٔ آن با {signal} کشته شد"),
    Text(
        "its process ended without a result (exit code {code})",
        "پردازهٔ آن بی نتیجه پایان یافت (کد خروج {code})",
    ),
    Text(
        "OutOfMemoryError: CUDA out of memory. {details}",
        "حافظهٔ شتاب‌دهنده تمام شد: {details}",
    ),
    Text("{kind}Error: {message}", "خطای {kind}: {message}"),
    # Models and data.
    Text(
        "{model} lists {data} among its training data ({source} (config.json and model card))",
        "{model} در میان داده‌های آموزش خود {data} را نام می‌برد ({source}، "
        "\u2068config.json\u2069 و برگهٔ مدل)",
    ),
    Text(
        "{model} lists {data} among its training data ({source})",
        "{model} در میان داده‌های آموزش خود {data} را نام می‌برد ({source})",
    ),
    Text("dequantised from GGUF {kind} ({file})", "واکوانتیده از GGUF با قالب {kind} ({file})"),
    Text("from GGUF {kind} ({file})", "از GGUF با قالب {kind} ({file})"),
    Text(
        "Written and generated for tarazu; ships with it",
        "برای ترازو نوشته و تولید شده و همراه آن است",
    ),
    Text("Written for tarazu; ships with it", "برای ترازو نوشته شده و همراه آن است"),
    Text(
        "Most of it under the OANC's licence (free of restrictions); the fiction section under "
        "CC BY 3.0, CC BY-SA 3.0 and in the public domain of the United States",
        "بیشتر آن با پروانهٔ \u2068OANC\u2069 (بی محدودیت)؛ بخش داستان با \u2068CC BY 3.0\u2069 و "
        "\u2068CC BY-SA 3.0\u2069 و در مالکیت همگانی ایالات متحده",
    ),
    Text("{work}, whose text column is `{column}`", "{work} که ستون متن آن {column} است"),
    # Notes on the splits.
    Text("{split}: {source}: 1 row {what}", "{split} ({source}): ۱ سطر {what}"),
    Text("{split}: {source}: {count} rows {what}", "{split} ({source}): {count} سطر {what}"),
    Text("without gold label dropped", "بی برچسب درست کنار گذاشته شد"),
    Text("without gold answer dropped", "بی پاسخ درست کنار گذاشته شد"),
    Text("with a wrong answer_start, corrected", "با جای نادرست پاسخ اصلاح شد"),
    Text(
        "whose answer is not in the context dropped",
        "که پاسخش در متن نیست کنار گذاشته شد",
    ),
    Text(
        "whose answer is not in the context, scored as text only",
        "که پاسخش در متن نیست تنها با متن پاسخ سنجیده می‌شود",
    ),
    Text(
        "all with the label '{label}': scores there cannot show whether classes are told apart",
        "همه با برچسب {label}؛ نمره‌های آن نشان نمی‌دهد که رده‌ها از هم بازشناخته می‌شوند یا نه",
    ),
    Text(
        "{count} {split} rows were dropped because they leak",
        "{count} سطر {split} کنار گذاشته شد، چون نشت می‌کرد",
    ),
    Text(
        "{count} of {all} rows of test split '{split}' nearly repeat an earlier row of it",
        "{count} سطر از {all} سطر بخش آزمون {split} کمابیش تکرار سطری پیشین است",
    ),
    Text(
        "{count} of {all} rows of test split '{split}' repeat an earlier row of it",
        "{count} سطر از {all} سطر بخش آزمون {split} تکرار سطری پیشین است",
    ),
    Text(
        "{count} of {all} {split} rows nearly stand (similarity of at least {near}) in {other}",
        "{count} سطر از {all} سطر {split} با شباهت دست‌کم {near} در {other} هم هست",
    ),
    Text(
        "{count} of {all} {split} rows stand in {other}",
        "{count} سطر از {all} سطر {split} در {other} هم هست",
    ),
    Text(
        "{count} of {all} {split} rows share a group with {other}",
        "{count} سطر از {all} سطر {split} با {other} هم‌گروه است",
    ),
    Text(
        "Train, validation and test are not disjoint as used: {counts} share texts or groups "
        "('leakage: drop' in the study's data parts them)",
        "بخش‌های آموزش، اعتبارسنجی و آزمون چنان‌که به کار رفته‌اند از هم جدا نیستند: {counts} متن "
        "یا گروه مشترک دارند (\u2068leakage: drop\u2069 در پروندهٔ مطالعه آن‌ها را جدا می‌کند)",
    ),
    Text("the validation split", "بخش اعتبارسنجی"),
    Text("test split '{split}'", "بخش آزمون {split}"),
    Text("train", "آموزش"),
    Text("validation", "اعتبارسنجی"),
    Text("main", "شکل اصلی"),
    Text("premise", "مقدمه"),
    Text("hypothesis", "فرضیه"),
    Text("context", "متن"),
    Text("question", "پرسش"),
    Text("text", "متن"),
    # How demonstrations and virtual tokens come about.
    Text(
        "the {count} training items most similar to the item (TF-IDF cosine), nearest last",
        "{count} نمونهٔ آموزش که بیشترین شباهت را به نمونه دارند (کسینوس \u2068TF-IDF\u2069)، "
        "نزدیک‌ترین در پایان",
    ),
    Text(
        "{count} training items at random, classes in turn (seed {seed})",
        "{count} نمونهٔ آموزش به تصادف، دسته‌ها به نوبت (بذر {seed})",
    ),
    Text(
        "{count} training items at random, classes in turn (draw {draw}, whatever the seed)",
        "{count} نمونهٔ آموزش به تصادف، دسته‌ها به نوبت (قرعهٔ {draw} با هر بذری)",
    ),
    Text(
        "{count} training items at random (seed {seed}), the same for all items",
        "{count} نمونهٔ آموزش به تصادف (بذر {seed})، برای همهٔ نمونه‌ها یکسان",
    ),
    Text(
        "{count} training items at random (draw {draw}, whatever the seed), the same for all items",
        "{count} نمونهٔ آموزش به تصادف (قرعهٔ {draw} با هر بذری)، برای همهٔ نمونه‌ها یکسان",
    ),
    Text(
        "trained vectors in front of the input, no words; the nearest words by cosine are shown "
        "for curiosity and need not mean anything",
        "بردارهای آموزش‌دیده پیش از ورودی، نه واژه؛ نزدیک‌ترین واژه‌ها (کسینوس) از سر کنجکاوی نشان "
        "داده شده‌اند و شاید معنایی نداشته باشند",
    ),
)
