"""All words of the page in both languages, and nothing else."""

from __future__ import annotations

from tarazu.text import Text

WORDS: dict[str, Text] = {
    # Names of sections, and what each is about.
    "section_results": Text("Final table", "جدول نهایی"),
    "about_results": Text(
        "Every entry under one protocol. Click a heading to sort by it.",
        "همهٔ روش‌ها با یک پروتکل. برای مرتب‌کردن، سرستون را بزنید.",
    ),
    "section_standing": Text("What can be told apart", "چه را می‌توان از هم جدا کرد"),
    "about_standing": Text(
        "Means alone do not decide. Entries that share a letter cannot be separated by these items "
        "and seeds.",
        "میانگین به‌تنهایی داور نیست. روش‌هایی که حرفی مشترک دارند با این نمونه‌ها و بذرها از هم "
        "جدا نمی‌شوند.",
    ),
    "section_pareto": Text("What quality costs", "بهای کیفیت"),
    "about_pareto": Text(
        "Marked entries form the front: no other entry is better without costing more. The "
        "axes of costs are logarithmic.",
        "روش‌های برجسته جبهه را می‌سازند: هیچ روش دیگری بی هزینهٔ بیشتر بهتر نیست. محورهای هزینه "
        "لگاریتمی‌اند.",
    ),
    "section_costs": Text("What each step took", "هر گام چه برد"),
    "about_costs": Text(
        "Every run is a process of its own, so its memory is its own too.",
        "هر اجرا فرایندی جداگانه است، پس حافظه‌اش نیز از آنِ خود اوست.",
    ),
    "section_sizes": Text("How many labels it takes", "چند برچسب لازم است"),
    "about_sizes": Text(
        "The same methods with fewer training rows, each sample within the next larger one.",
        "همان روش‌ها با سطرهای آموزش کمتر؛ هر نمونه در نمونهٔ بزرگ‌تر بعدی جای دارد.",
    ),
    "section_tuning": Text("How settings were chosen", "تنظیم‌ها چگونه برگزیده شد"),
    "about_tuning": Text(
        "What was tried on validation items, what each setting did, and what more trials would "
        "bring. Test items play no part in it.",
        "چه چیز روی نمونه‌های اعتبارسنجی آزموده شد، هر تنظیم چه کرد و آزمون‌های بیشتر چه می‌آورد. "
        "نمونه‌های آزمون در آن نقشی ندارند.",
    ),
    "section_dynamics": Text("How training went", "آموزش چگونه پیش رفت"),
    "about_dynamics": Text(
        "Training and validation loss of every epoch, and what they say. The larger points mark "
        "the epoch whose weights were kept.",
        "زیان آموزش و اعتبارسنجی در هر دور و آنچه از آن‌ها برمی‌آید. نقطه‌های درشت‌تر دوری را نشان "
        "می‌دهند که وزن‌هایش نگه داشته شد.",
    ),
    "section_failures": Text("Who gets what wrong", "چه کسی در چه خطا می‌کند"),
    "about_failures": Text(
        "Every test item with the answers of all entries. Filter by entry, kind and words; open a "
        "row to read it.",
        "همهٔ نمونه‌های آزمون با پاسخ همهٔ روش‌ها. با روش، گونه و واژه پالایش کنید و برای خواندن، "
        "سطر را باز کنید.",
    ),
    "section_data": Text("The data", "داده‌ها"),
    "about_data": Text("What was trained and tested on.", "آنچه بر آن آموزش و آزمون شد."),
    "section_prompts": Text("Prompts and virtual tokens", "پرسش‌ها و توکن‌های مجازی"),
    "about_prompts": Text(
        "Word for word as the model read them.", "واژه‌به‌واژه، همان‌گونه که مدل خواند."
    ),
    "section_methods": Text("The methods", "روش‌ها"),
    "about_methods": Text(
        "Each entry explained, its formulas filled with the numbers of its model.",
        "توضیح هر روش، با فرمول‌هایی که عددهای همین مدل در آن‌ها نشسته است.",
    ),
    "section_settings": Text("Hyperparameters", "ابرپارامترها"),
    "about_settings": Text(
        "Every value with its reason and source. Set off: what was not left at its default.",
        "هر مقدار با دلیل و منبعش. برجسته: آنچه پیش‌فرض نیست.",
    ),
    "section_events": Text("What happened", "چه رخ داد"),
    "about_events": Text(
        "Collapses, divergences, failed runs.", "فروریختن‌ها، واگرایی‌ها و اجراهای ناکام."
    ),
    "section_again": Text("Running it again", "اجرای دوباره"),
    "about_again": Text(
        "Finished runs are kept; the same command does what is missing.",
        "اجراهای پایان‌یافته نگه داشته می‌شوند؛ همان فرمان آنچه را مانده انجام می‌دهد.",
    ),
    "section_sources": Text("Works cited and licences", "منابع و پروانه‌ها"),
    "about_sources": Text("What this study rests on.", "این مطالعه بر چه استوار است."),
    # The page itself.
    "report": Text("Report", "گزارش"),
    "skip": Text("Skip to the results", "رفتن به نتیجه‌ها"),
    "contents": Text("Contents", "فهرست"),
    "task": Text("Task", "کار"),
    "made_by": Text(
        "Made by tarazu from the records of the study. This file needs no network.",
        "ساختهٔ ترازو از رکوردهای مطالعه. این پرونده به شبکه نیاز ندارد.",
    ),
    "redacted": Text(
        "The text of the data set is left out; item ids stand for it.",
        "متن داده‌ها حذف شده است؛ شناسه‌ها جای آن را گرفته‌اند.",
    ),
    "no_script": Text(
        "Sorting and the browser of failures need JavaScript.",
        "مرتب‌سازی و مرورگر خطاها به جاوااسکریپت نیاز دارند.",
    ),
    # The page on paper, where nothing can be clicked.
    "paper_results": Text("Every entry under one protocol.", "همهٔ روش‌ها با یک آیین سنجش."),
    "paper_failures": Text(
        "Who answers which items right, and examples of the items that divide the entries.",
        "چه روشی به کدام نمونه‌ها درست پاسخ می‌دهد، با مثال‌هایی از نمونه‌های اختلاف‌برانگیز.",
    ),
    "failure_examples_title": Text("Examples of failures", "مثال‌هایی از خطاها"),
    "examples_about": Text(
        "{shown} of the {failed} items (of {items}) that some entry gets wrong: those that divide "
        "the entries most. All of them stand in the report's web page.",
        "{shown} نمونه از {failed} نمونه‌ای (از {items}) که روشی در آن خطا می‌کند: آن‌هایی که بیش از "
        "همه میان روش‌ها اختلاف می‌اندازند. همه در صفحهٔ وب گزارش هست.",
    ),
    "examples_entries": Text("Entries", "روش‌ها"),
    "table_scroll": Text("{title}; scrolls sideways", "{title}؛ به پهلو می‌لغزد"),
    # The head.
    "answer_none": Text("No run is done.", "هیچ اجرایی به پایان نرسیده است."),
    "answer_alone": Text(
        "{best} reaches {value} ({metric}). There is nothing to compare it with.",
        "{best} به {value} می‌رسد ({metric}). چیزی برای سنجش با آن نیست.",
    ),
    "answer_unknown": Text(
        "Highest {metric}: {best}, {value}. What is separated from it cannot be told from these "
        "results.",
        "بیشترین {metric}: {best} با {value}. از این نتیجه‌ها نمی‌توان گفت چه از آن جداست.",
    ),
    "answer_clear": Text(
        "{best} wins with {metric} {value}: it is separated from every other entry.",
        "{best} با {metric} {value} برنده است: از همهٔ روش‌های دیگر جداست.",
    ),
    "answer_tied": Text(
        "Highest {metric}: {best}, {value}. Not separated from it: {others}.",
        "بیشترین {metric}: {best} با {value}. جدانشده از آن: {others}.",
    ),
    "answer_many": Text(
        "Highest {metric}: {best}, {value}. Not separated from it: {others} and {more} more.",
        "بیشترین {metric}: {best} با {value}. جدانشده از آن: {others} و {more} روش دیگر.",
    ),
    "answer_nothing": Text(
        "Highest {metric}: {best}, {value}. No other entry can be separated from it.",
        "بیشترین {metric}: {best} با {value}. هیچ روش دیگری از آن جداشدنی نیست.",
    ),
    "fact_date": Text("Runs finished", "پایان اجراها"),
    "fact_machine": Text("Machine", "دستگاه"),
    "fact_machine_value": Text(
        "{device}, {dtype}, {threads} threads", "{device}، {dtype}، {threads} رشته"
    ),
    "hardware_capability": Text("compute capability {value}", "توان محاسباتی {value}"),
    "hardware_driver": Text("driver {version}", "راه‌انداز {version}"),
    "fact_counts": Text("Compared", "سنجیده‌شده"),
    "fact_counts_value": Text("{entries} entries, {runs} runs", "{entries} روش، {runs} اجرا"),
    "fact_failed": Text(", {failed} failed", "، {failed} ناکام"),
    "fact_seeds": Text("Seeds", "بذرها"),
    "fact_items": Text("Items", "نمونه‌ها"),
    "and_also": Text("; ", "؛ "),
    # Tables.
    "entry": Text("Entry", "روش"),
    "model": Text("Model", "مدل"),
    "in_percent": Text("{metric} %", "{metric} (٪)"),
    "interval_95": Text("95 % interval", "بازهٔ ۹۵٪"),
    "group": Text("Group", "گروه"),
    "group_about": Text(
        "Entries that share a letter cannot be separated",
        "روش‌هایی که حرفی مشترک دارند از هم جدا نمی‌شوند",
    ),
    "trained": Text("Trained", "آموزش‌دیده"),
    "head": Text("Head", "سر"),
    "training": Text("Training", "آموزش"),
    "whole_run": Text("Whole run", "کل اجرا"),
    "tuned_run": Text("All trials and one run", "همهٔ آزمون‌های تنظیم و یک اجرا"),
    "answering": Text("Time per 1,000 answers", "زمان هر ۱٬۰۰۰ پاسخ"),
    "memory": Text("Memory", "حافظه"),
    "device_memory": Text("Device memory", "حافظهٔ شتاب‌دهنده"),
    "deployed": Text("Deployed", "اندازهٔ استقرار"),
    "trials": Text("Trials", "آزمون‌های تنظیم"),
    "trials_about": Text(
        "Settings that were tried before the final runs",
        "تنظیم‌هایی که پیش از اجراهای نهایی آزموده شد",
    ),
    "notes": Text("Notes", "یادداشت‌ها"),
    "table_title": Text("Final table, {split}", "جدول نهایی، {split}"),
    "split": Text("Split", "بخش"),
    # What can be told apart.
    "groups_title": Text("Groups that cannot be separated", "گروه‌های جدانشدنی"),
    "standing_unknown": Text(
        "Nothing is tested here: the answers to the single items are not in the folder, or there "
        "is only one entry.",
        "اینجا آزمونی در کار نیست: پاسخ‌ها به تک‌تک نمونه‌ها در پوشه نیست، یا تنها یک روش هست.",
    ),
    "forest_title": Text("{metric} with 95 % intervals", "{metric} با بازه‌های ۹۵٪"),
    "means_title": Text("{metric}, means only", "{metric}، تنها میانگین"),
    "forest_about": Text(
        "{count} entries, best first: {best}. Coloured: not separated from the best.",
        "{count} روش، بهترین در آغاز: {best}. رنگی: جدانشده از بهترین.",
    ),
    "pairs_title": Text("Every two entries", "همهٔ جفت‌ها"),
    "pairs_open": Text("Compare every two entries", "سنجش دوبه‌دوی روش‌ها"),
    "pair_a": Text("First", "نخست"),
    "pair_b": Text("Second", "دوم"),
    "pair_difference": Text("Difference, points", "تفاوت (واحد درصد)"),
    "pair_p": Text("p", "p"),
    "pair_holm": Text("p (Holm)", "p (هولم)"),
    "pair_verdict": Text("Verdict", "داوری"),
    "pairs_note": Text(
        "Difference: first less second. Equivalent: shown to differ by less than {margin} points.",
        "تفاوت: نخست منهای دوم. هم‌ارز: نشان داده شد که کمتر از {margin} واحد درصد فرق دارند.",
    ),
    # Costs.
    "log_axis": Text("{cost}, logarithmic", "{cost}، لگاریتمی"),
    "pareto_title": Text("Quality against: {cost}", "کیفیت در برابر: {cost}"),
    "pareto_about": Text("On the front: {entries}.", "روی جبهه: {entries}."),
    "front_table": Text("Costs of all entries", "هزینه‌های همهٔ روش‌ها"),
    "front_note": Text("Set off: on the front of that cost.", "برجسته: روی جبههٔ همان هزینه."),
    "step_load": Text("Loading", "بارگذاری"),
    "step_tune": Text("Tuning", "تنظیم"),
    "step_train": Text("Training", "آموزش"),
    "step_evaluate": Text("Evaluation", "ارزیابی"),
    "step_merge": Text("Merging", "ادغام"),
    "rate_train": Text("Tokens/s in training", "توکن بر ثانیه در آموزش"),
    "rate_answer": Text("Tokens/s in evaluation", "توکن بر ثانیه در ارزیابی"),
    "peak_of": Text("{memory}: {step}", "{memory}: {step}"),
    "times_title": Text("Time by step", "زمان به تفکیک گام"),
    "times_note": Text(
        "Means over seeds; tuning: all trials together. Training: with tokenising and validation.",
        "میانگین روی بذرها؛ تنظیم: همهٔ آزمون‌های تنظیم با هم. آموزش: با توکن‌سازی و اعتبارسنجی.",
    ),
    "peaks_title": Text("Peak of memory by step", "بیشینهٔ حافظه به تفکیک گام"),
    "in_money": Text("{what}, {currency}", "{what}، {currency}"),
    "thousand_answers": Text("1,000 answers", "هر ۱٬۰۰۰ پاسخ"),
    "money_note": Text(
        "Money: the time of the same step at {amount} {currency} per hour of the machine.",
        "پول: زمان همان گام با بهای {amount} {currency} برای هر ساعت دستگاه.",
    ),
    # Training sizes.
    "sizes_axis": Text("Training rows, logarithmic", "سطرهای آموزش، لگاریتمی"),
    "sizes_figure": Text(
        "{metric} by number of training rows, with 95 % intervals",
        "{metric} بر پایهٔ شمار سطرهای آموزش، با بازه‌های ۹۵٪",
    ),
    "sizes_figure_means": Text(
        "{metric} by number of training rows, means only",
        "{metric} بر پایهٔ شمار سطرهای آموزش، تنها میانگین",
    ),
    "sizes_about": Text(
        "{count} entries, one line each; the table has the numbers.",
        "{count} روش، هر یک با یک خط؛ عددها در جدول‌اند.",
    ),
    "sizes_table": Text("{metric} % by training rows", "{metric} (٪) بر پایهٔ سطرهای آموزش"),
    "sizes_cell": Text("{score} ({ends})", "{score} ({ends})"),
    "sizes_note": Text(
        "±: standard deviation over seeds. In brackets: 95 % interval over items and seeds.",
        "±: انحراف معیار روی بذرها. در پرانتز: بازهٔ ۹۵٪ روی نمونه‌ها و بذرها.",
    ),
    "sizes_level": Text(
        "An entry that does not use the training rows is measured once; its line is level.",
        "روشی که سطرهای آموزش را به کار نمی‌گیرد یک بار سنجیده می‌شود؛ خطش هموار است.",
    ),
    "break_even_title": Text("When training pays", "آموزش از کجا می‌ارزد"),
    "break_even": Text(
        "{trained} is ahead of {prompted} from {rows} training rows.",
        "{trained} از {rows} سطر آموزش به بالا از {prompted} پیش است.",
    ),
    "break_even_note": Text(
        "By the means at the sizes measured; where intervals overlap, a lead may be luck.",
        "بنا بر میانگین‌ها در اندازه‌های سنجیده‌شده؛ جایی که بازه‌ها روی هم می‌افتند، پیشی شاید "
        "از بخت باشد.",
    ),
    "break_even_once": Text(
        "{trained} is ahead of {prompted} from {rows} training rows, but not at every larger size.",
        "{trained} از {rows} سطر آموزش از {prompted} پیش است، اما نه در همهٔ اندازه‌های بزرگ‌تر.",
    ),
    "break_even_never": Text(
        "{trained} is ahead of {prompted} at no measured size.",
        "{trained} در هیچ اندازهٔ سنجیده‌شده‌ای از {prompted} پیش نیست.",
    ),
    # Tuning.
    "tuning_none": Text(
        "Nothing was tuned: every entry ran with its method's defaults and with what the study "
        "fixes. With other settings the order may be another.",
        "هیچ چیز تنظیم نشد: هر روش با پیش‌فرض‌های خود و با آنچه مطالعه تعیین کرده اجرا شد. با "
        "تنظیم‌های "
        "دیگر شاید ترتیب دیگری به دست آید.",
    ),
    "tuning_unfinished": Text(
        "The study asks for tuning, but no run with chosen settings is done.",
        "مطالعه تنظیم می‌خواهد، اما هیچ اجرایی با تنظیم‌های برگزیده به پایان نرسیده است.",
    ),
    "tuning_budget": Text("Trials of every entry", "آزمون‌های تنظیم هر روش"),
    "tuning_from_seconds": Text(
        "{trials}, out of {time} in all", "{trials}، برآمده از {time} در کل"
    ),
    "tuning_sampler": Text("Settings drawn by", "گزینش تنظیم‌ها"),
    "tuning_sobol": Text(
        "a scrambled Sobol sequence; trial 0 is the method's defaults",
        "دنبالهٔ درهم‌ریختهٔ سوبول؛ آزمون تنظیم ۰ پیش‌فرض‌های روش است",
    ),
    "tuning_pruning": Text("Pruning", "هرس"),
    "tuning_halving": Text(
        "the better half goes on after a quarter, and again after half, of its updates",
        "نیمهٔ بهتر پس از یک‌چهارم و بار دیگر پس از نیمی از گام‌هایش ادامه می‌دهد",
    ),
    "tuning_whole": Text(
        "none: every trial is trained to its end", "ندارد: همه تا پایان آموزش می‌بینند"
    ),
    "tuning_seed": Text("Seed of the trials", "بذر آزمون‌های تنظیم"),
    "tuning_overview": Text("Settings used", "تنظیم‌های به‌کاررفته"),
    "tuning_used": Text("used", "به‌کاررفته"),
    "tuning_winner": Text("Trial used", "آزمون به‌کاررفته"),
    "tuning_values": Text("Settings chosen", "تنظیم‌های برگزیده"),
    "tuning_score": Text("Validation score, %", "نمرهٔ اعتبارسنجی (٪)"),
    "tuning_time": Text("Time of all trials", "زمان همهٔ آزمون‌های تنظیم"),
    "tuning_nothing": Text("Nothing to tune.", "چیزی برای تنظیم نیست."),
    "untuned": Text("untuned", "تنظیم‌نشده"),
    "tuning_number": Text("Number of trials", "شمار آزمون‌های تنظیم"),
    "tuning_expected": Text(
        "Expected best validation score by number of trials",
        "بهترین نمرهٔ اعتبارسنجی مورد انتظار بر پایهٔ شمار آزمون‌های تنظیم",
    ),
    "tuning_expected_early": Text(
        "Expected best validation score by number of trials, after the first {share} of the "
        "training, which all trials reached",
        "بهترین نمرهٔ اعتبارسنجی مورد انتظار بر پایهٔ شمار آزمون‌های تنظیم، پس از {share} نخست "
        "آموزش "
        "که همه به آن رسیدند",
    ),
    "tuning_expected_about": Text(
        "One line per entry; the sentence below reads it.", "هر روش یک خط؛ جملهٔ زیر آن را می‌خواند."
    ),
    "tuning_same_lead": Text(
        "{first} is expected to lead at every number of trials: {one} with one trial, {all} with "
        "{trials}.",
        "{first} با هر شماری از آزمون‌های تنظیم پیش است: {one} با یکی و {all} با {trials}.",
    ),
    "tuning_other_lead": Text(
        "With one trial {first} is expected to lead ({one}), with {trials} trials {last} ({all}): "
        "the order depends on how much is tuned.",
        "با یک آزمون تنظیم {first} پیش است ({one}) و با {trials} تا {last} ({all}): ترتیب به "
        "اندازهٔ "
        "تنظیم بستگی دارد.",
    ),
    "tuning_rising": Text(
        "The last trial still adds half a point or more for {entries}: there, more trials may "
        "bring "
        "more.",
        "آخرین آزمون تنظیم هنوز نیم واحد درصد یا بیشتر می‌افزاید برای {entries}: آنجا آزمون‌های "
        "بیشتر "
        "شاید سودمند باشد.",
    ),
    "tuning_level": Text(
        "The last trial adds less than half a point to every entry: more trials would bring "
        "little.",
        "آخرین آزمون تنظیم به هیچ روشی نیم واحد درصد نمی‌افزاید: آزمون‌های بیشتر چیز زیادی نمی‌آورد.",
    ),
    "tuning_failed_zero": Text(
        "A failed trial counts as a score of 0.", "آزمون تنظیم ناکام نمرهٔ ۰ به شمار می‌آید."
    ),
    "tuning_fixed": Text(
        "Not searched, because the study fixes it: {names}.",
        "جست‌وجو نشد، چون مطالعه تعیینش کرده است: {names}.",
    ),
    "tuning_trials_of": Text("{trials} trials", "{trials} آزمون تنظیم"),
    "tuning_trials_title": Text("Trials of {entry}", "آزمون‌های تنظیم {entry}"),
    "trial": Text("Trial", "آزمون تنظیم"),
    "tuning_rung": Text("Rung", "پله"),
    "tuning_share": Text("Trained", "آموزش‌دیده تا"),
    "tuning_seconds": Text("Time", "زمان"),
    "tuning_outcome": Text("Outcome", "سرانجام"),
    "tuning_stopped": Text("stopped early", "زود متوقف شد"),
    "tuning_ended": Text("trained to the end", "تا پایان آموزش دید"),
    "tuning_failed": Text("failed: {reason}", "ناکام: {reason}"),
    "tuning_knobs_title": Text("What each setting did for {entry}", "هر تنظیم برای {entry} چه کرد"),
    "tuning_correlation": Text("Rank correlation", "همبستگی رتبه‌ای"),
    "tuning_correlation_about": Text(
        "Spearman's, of value and score; p by permutation, not corrected",
        "اسپیرمن، میان مقدار و نمره؛ سطح معناداری با جایگشت و بی تصحیح",
    ),
    "tuning_spread": Text("Largest difference of means", "بیشترین تفاوت میانگین‌ها"),
    "tuning_means": Text(
        "Mean score by value (trials)", "میانگین نمره بر پایهٔ مقدار (شمار آزمون‌ها)"
    ),
    "tuning_ends": Text("{low} to {high}", "{low} تا {high}"),
    "tuning_part": Text("{label}: {mean} ({trials})", "{label}: {mean} ({trials})"),
    "tuning_scores_early": Text(
        "Scores after the first {share} of the training, which all trials reached.",
        "نمره‌ها از آنِ {share} نخست آموزش است که همهٔ آزمون‌های تنظیم به آن رسیدند.",
    ),
    "tuning_scores_whole": Text(
        "Scores after the whole training.", "نمره‌ها از آنِ پایان آموزش است."
    ),
    "tuning_knobs_note": Text(
        "The settings changed together and the trials are few: a hint where to look, not a test.",
        "تنظیم‌ها با هم تغییر کردند و آزمون‌ها کم‌اند: نشانی از جایی که باید جست، نه آزمونی آماری.",
    ),
    # Training.
    "epoch": Text("Epoch", "دور"),
    "loss": Text("Loss", "زیان"),
    "seed": Text("Seed", "بذر"),
    "kept": Text("{epoch} (kept)", "{epoch} (نگه‌داشته)"),
    "training_loss": Text("Training loss", "زیان آموزش"),
    "validation_loss": Text("Validation loss", "زیان اعتبارسنجی"),
    "validation_metric": Text("Validation: {metric} %", "اعتبارسنجی: {metric} (٪)"),
    "loss_title": Text("Losses of {entry}", "زیان‌های {entry}"),
    "loss_about": Text(
        "Training and validation loss of {entry} by epoch; the table has the numbers.",
        "زیان آموزش و اعتبارسنجی {entry} در هر دور؛ عددها در جدول‌اند.",
    ),
    "legend_training": Text("training", "آموزش"),
    "legend_validation": Text("validation", "اعتبارسنجی"),
    "of_seed": Text("Seed {seed}: {text}", "بذر {seed}: {text}"),
    "seed_of": Text("seed {seeds}", "بذر {seeds}"),
    # Failures.
    "analysis_tables": Text("All tables of the analysis", "همهٔ جدول‌های تحلیل"),
    "search": Text("Search", "جست‌وجو"),
    "search_hint": Text("words, answers or item id", "واژه، پاسخ یا شناسهٔ نمونه"),
    "search_hint_redacted": Text("answers or item id", "پاسخ یا شناسهٔ نمونه"),
    "any": Text("any", "همه"),
    "order": Text("Order", "ترتیب"),
    "order_file": Text("as in the data", "چنان‌که در داده‌ها"),
    "order_hardest": Text("most entries wrong first", "نخست آنچه بیشتر روش‌ها خطا کردند"),
    "order_easiest": Text("fewest entries wrong first", "نخست آنچه کمتر روش‌ها خطا کردند"),
    "order_divided": Text("most divided first", "نخست آنچه بیشترین اختلاف بر سر آن است"),
    "entries_right": Text("Entry: any, right, wrong", "روش: همه، درست، نادرست"),
    "state_any": Text("any", "همه"),
    "state_right": Text("right", "درست"),
    "state_wrong": Text("wrong", "نادرست"),
    "right_rule": Text(
        "Right: at least half of the score ({metric}), as a mean over seeds.",
        "درست: دست‌کم نیمی از نمره ({metric})، میانگین روی بذرها.",
    ),
    "reset": Text("Reset", "از نو"),
    "item": Text("Item", "نمونه"),
    "gold": Text("Right answer", "پاسخ درست"),
    "wrong_count": Text("Wrong", "نادرست"),
    "answer": Text("Answer", "پاسخ"),
    "answers": Text("Answers", "پاسخ‌ها"),
    "score": Text("Score", "نمره"),
    "raw": Text("As generated", "چنان‌که تولید شد"),
    "unparsable": Text("unparsable", "ناخوانا"),
    "left_out": Text("[left out]", "[حذف‌شده]"),
    "open_item": Text("Show item {id}", "نمایش نمونهٔ {id}"),
    "shown": Text("{shown} of {all} items", "{shown} نمونه از {all}"),
    "page": Text("Page {page} of {pages}", "صفحهٔ {page} از {pages}"),
    "previous": Text("Previous", "پیشین"),
    "next": Text("Next", "پسین"),
    "nothing_found": Text(
        "No item fits these filters.",
        "هیچ نمونه‌ای با این پالایش‌ها نمی‌خواند.",
    ),
    "filters": Text("Filters", "پالایش‌ها"),
    "pages": Text("Pages of items", "صفحه‌های نمونه‌ها"),
    # Data.
    "fact_language": Text("Language", "زبان"),
    "fact_source": Text("Source", "منبع"),
    "fact_licence": Text("Licence", "پروانه"),
    "fact_group": Text("Groups, never parted", "گروه‌ها که پاره نمی‌شوند"),
    "fact_seed": Text("Seed of splitting", "بذر بخش‌بندی"),
    "fact_leakage": Text("Leaks between splits", "نشت میان بخش‌ها"),
    "fact_sample": Text("Sampled", "نمونه‌گیری"),
    "leakage_report": Text("reported", "گزارش می‌شود"),
    "leakage_drop": Text("dropped from training", "از آموزش کنار گذاشته می‌شود"),
    "leakage_refuse": Text("refused", "پذیرفته نمی‌شود"),
    "split_train": Text("training", "آموزش"),
    "split_validation": Text("validation", "اعتبارسنجی"),
    "split_test": Text("test", "آزمون"),
    "rows_of": Text("{count} rows", "{count} سطر"),
    "default_of_task": Text("group as the task defines it", "گروه چنان‌که کار تعیین می‌کند"),
    "not_stated": Text("not stated", "گفته نشده"),
    "items": Text("Items", "نمونه‌ها"),
    "groups": Text("Groups", "گروه‌ها"),
    "sha": Text("SHA-256 begins", "آغاز SHA-256"),
    "sha_whole": Text("SHA-256", "SHA-256"),
    "sizes_title": Text("Sizes", "اندازه‌ها"),
    "balance_title": Text("Label balance", "توازن برچسب‌ها"),
    "lengths_title": Text("Lengths in words", "درازا به واژه"),
    "field": Text("Text", "متن"),
    "mean": Text("Mean", "میانگین"),
    "at_most": Text("95 % have at most", "۹۵٪ دست‌بالا"),
    "longest": Text("Longest", "درازترین"),
    "examples_title": Text("Examples", "نمونه‌هایی از داده‌ها"),
    "slice_title": Text("Items by: {name}", "نمونه‌ها بر پایهٔ: {name}"),
    "no_items": Text(
        "The items of this study are not in its folder.", "نمونه‌های این مطالعه در پوشهٔ آن نیست."
    ),
    "redacted_lengths": Text(
        "Exact lengths are not known: the texts were not kept.",
        "درازای دقیق دانسته نیست: متن‌ها نگه داشته نشده‌اند.",
    ),
    # Prompts.
    "prompt_frame": Text("Prompt, with ⟨fields⟩ for the item", "پرسش، با ⟨جای متن‌ها⟩"),
    "prompt_template": Text("Template", "الگو"),
    "prompt_chat_template": Text("The model's own chat turns", "نوبت‌های گفت‌وگوی خود مدل"),
    "prompt_answer": Text("How the answer is read", "پاسخ چگونه خوانده می‌شود"),
    "prompt_label_words": Text("Word for each label", "واژهٔ هر برچسب"),
    "prompt_label_score": Text("Score of a label", "نمرهٔ برچسب"),
    "prompt_decode": Text("Decoding", "رمزگشایی"),
    "prompt_demonstrations": Text("Demonstrations", "نمونه‌های حل‌شده"),
    "prompt_virtual_tokens": Text("Virtual tokens", "توکن‌های مجازی"),
    "prompt_text": Text("The first test item, as asked", "نخستین نمونهٔ آزمون، چنان‌که پرسیده شد"),
    "yes": Text("yes", "بله"),
    "no": Text("no", "نه"),
    # Methods and settings.
    "parameters_title": Text("Parameters", "پارامترها"),
    "parameters": Text("Parameters", "پارامترها"),
    "count": Text("Number", "شمار"),
    "parameters_total": Text("whole model in use", "کل مدل در کار"),
    "parameters_trained": Text("trained: the method itself", "آموزش‌دیده: خود روش"),
    "parameters_head": Text("trained: new head", "آموزش‌دیده: سر تازه"),
    "parameters_share": Text("trained share of the whole", "سهم آموزش‌دیده از کل"),
    "parameters_deployed": Text("stored beside the shared base", "ذخیره‌شده در کنار پایهٔ مشترک"),
    "parameters_bytes": Text("size stored", "اندازهٔ ذخیره‌شده"),
    "of_method": Text("method: {method}", "روش: {method}"),
    "settings_count": Text("{count} settings", "{count} تنظیم"),
    "settings_title": Text("Hyperparameters of {entry}", "ابرپارامترهای {entry}"),
    "name": Text("Name", "نام"),
    "value": Text("Value", "مقدار"),
    "reason": Text("Reason", "دلیل"),
    "source": Text("Source", "منبع"),
    "chosen_by": Text("Chosen by", "برگزیدهٔ"),
    # What happened.
    "events_title": Text("What happened", "چه رخ داد"),
    "what": Text("What", "چه"),
    "details": Text("Details", "جزئیات"),
    "no_reason": Text("no reason recorded", "دلیلی ثبت نشده"),
    # Running it again.
    "commands": Text("Commands", "فرمان‌ها"),
    "study_file": Text("Study file, to be saved as {file}", "پروندهٔ مطالعه، با نام {file}"),
    "package": Text("Package", "بسته"),
    "version": Text("Version", "نسخه"),
    "packages_title": Text("Package versions", "نسخه‌های بسته‌ها"),
    "models_title": Text("Files of the models", "پرونده‌های مدل‌ها"),
    "kept_title": Text("What was trained and kept", "آنچه آموزش دید و نگه داشته شد"),
    "run_key": Text("Run", "اجرا"),
    "file": Text("File", "پرونده"),
    "size": Text("Size", "اندازه"),
    # Sources.
    "citations_title": Text("Works cited", "منابع"),
    "used_by": Text("used by {entries}", "در {entries}"),
    "licences_title": Text("Models and data", "مدل‌ها و داده‌ها"),
    "data": Text("Data", "داده‌ها"),
    "weights": Text("Weights", "وزن‌ها"),
    "licence": Text("Licence", "پروانه"),
}

BROWSER_WORDS = (
    "any", "order", "order_file", "order_hardest", "order_easiest", "order_divided", "state_any",
    "state_right", "state_wrong", "right_rule", "item", "gold", "wrong_count", "entry", "answer",
    "score", "raw", "unparsable", "left_out", "open_item", "shown", "page", "nothing_found",
    "search_hint", "search_hint_redacted", "split", "seed",
)  # fmt: skip
"""What the page's script says."""

VERDICTS = {
    "–": Text("–", "–"),
    "differ": Text("differ", "متفاوت"),
    "differ, within the margin": Text("differ, within the margin", "متفاوت، در محدوده"),
    "equivalent": Text("equivalent", "هم‌ارز"),
    "open": Text("open", "نامعلوم"),
}

EVENTS = {
    "collapsed": Text("collapsed to one class", "فروریخته در یک دسته"),
    "diverged": Text("diverged", "واگرا"),
    "failed": Text("failed", "ناکام"),
    "tuning": Text("tuning found nothing", "تنظیم بی‌نتیجه"),
    "variant": Text("merged form missing", "نبود شکل ادغام‌شده"),
}

CHOSEN_BY = {
    "default": Text("default", "پیش‌فرض"),
    "study": Text("study", "مطالعه"),
    "entry": Text("entry", "روش"),
    "command line": Text("command line", "خط فرمان"),
    "tuning": Text("tuning", "جست‌وجوی تنظیم‌ها"),
}

LANGUAGE_NAMES = {"en": Text("English", "انگلیسی"), "fa": Text("Persian", "فارسی")}

UNITS = {
    "s": "ثانیه", "min": "دقیقه", "h": "ساعت",
    "B": "بایت", "kB": "کیلوبایت", "MB": "مگابایت", "GB": "گیگابایت", "TB": "ترابایت",
}  # fmt: skip

MONTHS = (
    Text("January", "ژانویهٔ"), Text("February", "فوریهٔ"), Text("March", "مارس"),
    Text("April", "آوریل"), Text("May", "مهٔ"), Text("June", "ژوئن"), Text("July", "ژوئیهٔ"),
    Text("August", "اوت"), Text("September", "سپتامبر"), Text("October", "اکتبر"),
    Text("November", "نوامبر"), Text("December", "دسامبر"),
)  # fmt: skip
