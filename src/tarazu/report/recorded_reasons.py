"""Persian of the reasons and sources of hyperparameters, by the English of the records.

A place such as ``{number}`` stands for whatever the record has there.
"""

from __future__ import annotations

from tarazu.text import Text

REASONS = (
    # Who chose it.
    Text("Chosen for this study", "برای همین مطالعه برگزیده شد"),
    Text("Trial {number} of the search", "آزمون {number} جست‌وجو"),
    Text(
        "Trial {number}, the best of {count} on validation ({metric} {score})",
        "آزمون {number}، بهترینِ {count} آزمون روی اعتبارسنجی ({metric} {score})",
    ),
    Text(
        "Trial {number}, the best of {count} on validation ()",
        "آزمون {number}، بهترینِ {count} آزمون روی اعتبارسنجی",
    ),
    # How a decoder is asked.
    Text(
        "One wording for all methods, so that they differ in nothing else",
        "یک بیان برای همهٔ روش‌ها، تا در چیز دیگری فرق نکنند",
    ),
    Text(
        "An instruct model expects the turns that it was trained on",
        "مدلِ دستورپذیر همان نوبت‌های گفت‌وگویی را می‌خواهد که با آن‌ها آموزش دیده است",
    ),
    Text(
        "Labels: the most probable label word, which cannot be unparsable. Spans: generated",
        "برچسب: محتمل‌ترین واژهٔ برچسب، که هرگز ناخوانا نمی‌شود. بازه: با تولید متن",
    ),
    Text("See each parameter", "نگاه کنید به هر پارامتر"),
    Text(
        "Greedy: a label or a span has one right wording, so sampling only adds noise",
        "حریصانه: برچسب یا بازه تنها یک بیان درست دارد و نمونه‌برداری فقط نوفه می‌افزاید",
    ),
    Text(
        "No truncation; it has no effect at temperature 0",
        "بی برش؛ در دمای صفر اثری ندارد",
    ),
    Text(
        "The task's own bound: longer than any gold answer needs, short enough to stop",
        "سقف خود کار: بلندتر از نیاز هر پاسخ درست، و چنان کوتاه که تولید به پایان برسد",
    ),
    Text(
        "The probability of the whole word. Per-token and calibrated are reported beside it",
        "احتمال کل واژه. نمره بر هر توکن و نمرهٔ واسنجیده در کنارش گزارش می‌شوند",
    ),
    Text(
        "What training is for other methods, the choice of words is for a prompt",
        "انتخاب واژه‌ها برای پرسش همان است که آموزش برای روش‌های دیگر",
    ),
    Text(
        "A model prefers some words whatever is asked; which score mends it differs by model",
        "مدل هر چه بپرسید برخی واژه‌ها را ترجیح می‌دهد؛ اینکه کدام نمره آن را جبران کند به مدل "
        "بستگی دارد",
    ),
    Text(
        "This way of QLoRA lets the model write the label itself; the other way has a head",
        "در این شیوهٔ QLoRA مدل خودش برچسب را می‌نویسد؛ شیوهٔ دیگر سر دارد",
    ),
    Text(
        "Which merged form answers better is measured, not assumed",
        "اینکه کدام شکل ادغام‌شده بهتر پاسخ می‌دهد سنجیده می‌شود، نه فرض",
    ),
    # Demonstrations.
    Text(
        "One-shot: the smallest demonstration of format and task",
        "تک‌نمونه: کوچک‌ترین نمایش از قالب پاسخ و خود کار",
    ),
    Text(
        "No choice is tuned on anything; the seed decides, and seeds show its variance",
        "هیچ انتخابی روی چیزی تنظیم نمی‌شود؛ بذر تصمیم می‌گیرد و چند بذر پراکندگی‌اش را نشان می‌دهند",
    ),
    Text(
        "Every seed draws its own demonstrations, so that their luck shows as spread",
        "هر بذر نمونه‌های حل‌شدهٔ خودش را می‌کشد تا بختِ آن‌ها در پراکندگی دیده شود",
    ),
    Text(
        "More demonstrations help until they push the item's own text out of the context",
        "نمونهٔ حل‌شدهٔ بیشتر سودمند است تا جایی که متن خود نمونه در مدل جا نشود",
    ),
    Text(
        "Similar ones tell more, balanced ones suggest no class",
        "نمونه‌های مشابه آموزنده‌ترند و نمونه‌های متوازن دسته‌ای را تلقین نمی‌کنند",
    ),
    Text(
        "Seven draws of demonstrations in their order",
        "هفت قرعهٔ نمونه‌های حل‌شده و ترتیبشان",
    ),
    # Training.
    Text(
        "Enough to level off on small data, too few to memorise it",
        "با دادهٔ اندک برای رسیدن به ثبات بس است و برای از بر کردن کم",
    ),
    Text(
        "The smaller of the two that the source searches",
        "کوچک‌ترِ دو مقداری که منبع جست‌وجو می‌کند",
    ),
    Text(
        "The whole batch at once when memory allows",
        "اگر حافظه بس باشد، کل دسته یکجا",
    ),
    Text(
        "Covers nearly all items; the context of longer ones is cut and counted",
        "کمابیش همهٔ نمونه‌ها در آن جا می‌شوند؛ متن نمونه‌های بلندتر بریده و شمرده می‌شود",
    ),
    Text(
        "Small steps, since every pretrained weight moves; compact models take larger ones",
        "گام‌های کوچک، زیرا همهٔ وزن‌های پیش‌آموخته جابه‌جا می‌شوند؛ مدل‌های کوچک گام بزرگ‌تر می‌خواهند",
    ),
    Text(
        "The same as for the method: one knob fewer to tune unequally",
        "همان مقدار خود روش: یک تنظیم کمتر برای تنظیمِ نابرابر",
    ),
    Text("Mild; not on biases and norms", "ملایم؛ نه روی بایاس‌ها و نرمال‌سازها"),
    Text(
        "Adam's second moment needs some steps to settle",
        "گشتاور دوم Adam برای آرام گرفتن چند گام می‌خواهد",
    ),
    Text(
        "Falls to zero, so that the last epoch settles",
        "تا صفر کم می‌شود تا دور آخر آرام بگیرد",
    ),
    Text(
        "Keeps one odd batch from wrecking the weights",
        "نمی‌گذارد یک دستهٔ نامعمول وزن‌ها را خراب کند",
    ),
    Text(
        "Chosen on validation loss only; the test split plays no part",
        "تنها با زیان اعتبارسنجی برگزیده می‌شود؛ بخش آزمون نقشی ندارد",
    ),
    Text(
        "Enough for a trend; the loss is over all of them",
        "برای دیدن روند بس است؛ زیان روی همهٔ آن‌ها حساب می‌شود",
    ),
    Text(
        "The prompt is given, so learning to say it is wasted and hides the loss that counts",
        "پرسش داده شده است؛ آموختنِ بازگفتن آن بیهوده است و زیانی را که مهم است پنهان می‌کند",
    ),
    Text(
        "Every pretrained weight moves: above it training falls apart, below it stands still",
        "همهٔ وزن‌های پیش‌آموخته جابه‌جا می‌شوند: بالاتر از آن آموزش از هم می‌پاشد و پایین‌تر از "
        "آن درجا می‌زند",
    ),
    Text(
        "Small data want more updates; adapters suffer from large batches",
        "دادهٔ اندک به‌روزرسانی بیشتری می‌خواهد؛ آداپتورها از دسته‌های بزرگ زیان می‌بینند",
    ),
    # The last layers.
    Text(
        "Upper layers carry most of what is specific to a task",
        "بیشترِ آنچه ویژهٔ هر کار است در لایه‌های بالاست",
    ),
    Text("The last k are the usual choice", "انتخاب معمول، k لایهٔ پایانی است"),
    Text(
        "Fewer weights move than in full fine-tuning, so each may move further",
        "وزن‌های کمتری از تنظیم کامل جابه‌جا می‌شوند، پس هر کدام می‌تواند دورتر برود",
    ),
    Text(
        "Twice full fine-tuning's: fewer weights move, so each may move further",
        "دو برابر تنظیم کامل: وزن‌های کمتری جابه‌جا می‌شوند، پس هر کدام می‌تواند دورتر برود",
    ),
    Text(
        "From one layer to half of them; with all it would be full fine-tuning",
        "از یک لایه تا نیمی از آن‌ها؛ با همهٔ لایه‌ها همان تنظیم کامل است",
    ),
    # Adapters.
    Text(
        "Quality hardly changes with rank in the source; 8 is its usual choice",
        "در منبع، کیفیت با رتبه کمابیش تغییری نمی‌کند و انتخاب معمول آن ۸ است",
    ),
    Text(
        "Scale α/r = 2; fixed, since changing it is like changing the learning rate",
        "مقیاس \u2066α/r = ۲\u2069؛ ثابت، زیرا تغییر آن مانند تغییر نرخ یادگیری است",
    ),
    Text(
        "Small data over-fit; 0.1 on the adapter's input",
        "دادهٔ اندک بیش‌برازش می‌آورد؛ ۰٫۱ روی ورودی آداپتور",
    ),
    Text(
        "Best quality for a fixed number of parameters in the source",
        "در منبع، بهترین کیفیت با شمار ثابتی از پارامترها",
    ),
    Text(
        "About ten times full fine-tuning's: few parameters, started at zero",
        "نزدیک ده برابر تنظیم کامل: پارامترها کم‌اند و از صفر آغاز می‌شوند",
    ),
    Text(
        "Ten times full fine-tuning's, whatever the rank",
        "ده برابر تنظیم کامل، با هر رتبه‌ای",
    ),
    Text(
        "Quality is said to hardly change with rank: to be seen here",
        "می‌گویند کیفیت با رتبه کمابیش تغییری نمی‌کند: اینجا دیده می‌شود",
    ),
    Text(
        "Small data over-fit, but short training may not",
        "دادهٔ اندک بیش‌برازش می‌آورد، ولی آموزش کوتاه شاید نه",
    ),
    Text(
        "Query and value are the paper's choice; adapters in the MLP are said to matter more",
        "پرسمان و مقدار انتخاب مقاله است؛ می‌گویند آداپتورهای MLP مهم‌ترند",
    ),
    Text(
        "Adapters on every linear layer are what makes up for 4-bit weights",
        "آنچه کاستیِ وزن‌های چهاربیتی را جبران می‌کند آداپتور روی همهٔ لایه‌های خطی است",
    ),
    Text(
        "The source's choice for models up to 13B",
        "انتخاب منبع برای مدل‌های تا ۱۳ میلیارد پارامتر",
    ),
    # Virtual tokens.
    Text("Gains level off near 20 tokens", "پیشرفت نزدیک ۲۰ توکن به ثبات می‌رسد"),
    Text("As wide as the model's embeddings", "به پهنای جاسازی‌های مدل"),
    Text(
        "As stable as the paper's LSTM and much cheaper",
        "به پایداری LSTM مقاله و بسیار ارزان‌تر",
    ),
    Text(
        "Soft prompts look broken at LoRA's usual 1e-4; from 1e-3 upwards they learn",
        "پرسش نرم با نرخ معمول لورا (\u20661e-4\u2069) خراب به نظر می‌رسد و از \u20661e-3\u2069 به "
        "بالا می‌آموزد",
    ),
    Text(
        "Soft prompts look broken at LoRA's learning rates: they need ten times more and upwards",
        "پرسش نرم با نرخ‌های یادگیری لورا خراب به نظر می‌رسد: ده برابر و بیشتر لازم دارد",
    ),
    Text(
        "Soft prompts look broken below it: up to a thousand times full fine-tuning's",
        "پرسش نرم پایین‌تر از آن خراب به نظر می‌رسد: تا هزار برابر تنظیم کامل",
    ),
    Text(
        "A head's scale, which is far below a soft prompt's",
        "مقیاس سر، که بسیار پایین‌تر از مقیاس پرسش نرم است",
    ),
    Text(
        "From very few to where gains have levelled off",
        "از بسیار کم تا جایی که پیشرفت به ثبات رسیده است",
    ),
    # Without a neural model.
    Text(
        "Pairs of words catch 'not good'; longer ones are too rare in small data",
        "جفت‌واژه‌ها «خوب نیست» را می‌گیرند؛ دنباله‌های بلندتر در دادهٔ اندک کمیاب‌اند",
    ),
    Text(
        "No tuning: a baseline should be reproducible at sight",
        "بی تنظیم: روش پایه باید به یک نگاه بازساختنی باشد",
    ),
    Text(
        "Covers most answers that lie within one sentence; longer spans are mostly noise",
        "بیشتر پاسخ‌هایی را که در یک جمله‌اند در بر می‌گیرد؛ بازه‌های بلندتر بیشتر نوفه‌اند",
    ),
    Text(
        "Nearly all candidates are wrong, so a sample tells nearly as much; twice as many gain "
        "one point of F1 for twice the memory",
        "کمابیش همهٔ نامزدها نادرست‌اند، پس بخشی از آن‌ها کمابیش همان‌قدر می‌آموزد؛ دو برابرِ آن "
        "با دو برابر حافظه یک واحد درصد به F1 می‌افزاید",
    ),
    Text(
        "The field that annotators wrote, where giveaways are found",
        "متنی که برچسب‌زنان نوشته‌اند و نشانه‌های لودهنده در آن است",
    ),
    Text(
        "Two orders of magnitude to both sides of the default",
        "از هر دو سوی پیش‌فرض تا صد برابر",
    ),
    Text("Words, pairs, triples", "واژه‌ها، جفت‌ها، سه‌تایی‌ها"),
    Text(
        "Longer candidates reach more answers, and bring more wrong ones",
        "نامزدهای بلندتر پاسخ‌های بیشتری را در بر می‌گیرند و نامزد نادرست بیشتری هم می‌آورند",
    ),
)

SOURCES = (
    Text("study", "پروندهٔ مطالعه"),
    Text("entry", "روش در پروندهٔ مطالعه"),
    Text("command line", "خط فرمان"),
    Text("this study's tuning, seed {seed}", "تنظیم همین مطالعه، بذر {seed}"),
    Text("See each parameter", "نگاه کنید به هر پارامتر"),
    Text("tarazu's design", "طراحی ترازو"),
    Text(
        "tarazu's design: decided before any test item is scored",
        "طراحی ترازو: پیش از سنجیدن هر نمونهٔ آزمون تعیین شده است",
    ),
    Text("`Task.max_answer_tokens`", "\u2068Task.max_answer_tokens\u2069 در خود کار"),
    Text("trap {number}", "دام {number}"),
    Text("traps {number}", "دام {number}"),
    Text("{project} documentation, {page} (default)", "مستندات {project}: {page} (پیش‌فرض)"),
    Text(
        "{project} documentation, {page} (logarithmic grid)",
        "مستندات {project}: {page} (شبکهٔ لگاریتمی)",
    ),
    Text("{project} documentation, {page}", "مستندات {project}: {page}"),
    Text("Length distribution of MultiNLI", "توزیع درازای متن در MultiNLI"),
    Text("Lengths of answers in SQuAD v1.1", "درازای پاسخ‌ها در \u2068SQuAD v1.1\u2069"),
    Text(
        "{share} % of {count} SQuAD v1.1 training answers have at most {words} words (measured)",
        "{share} ٪ از {count} پاسخ آموزش \u2068SQuAD v1.1\u2069 دست‌بالا {words} واژه دارد "
        "(اندازه‌گیری)",
    ),
    Text(
        "Measured: {count} SQuAD training questions, {others} from other articles "
        "({one} % against {other} %)",
        "اندازه‌گیری: {count} پرسش آموزش SQuAD و {others} پرسش از مقاله‌های دیگر ({one} ٪ در برابر "
        "{other} ٪)",
    ),
)

# Remarks on a work, in brackets after it.
REMARKS = (
    Text("default", "پیش‌فرض"),
    Text("what goes wrong otherwise", "آنچه وگرنه به خطا می‌رود"),
    Text("no sampling on closed answers", "بی نمونه‌برداری در پاسخ‌های بسته"),
    Text("choice and order matter a lot", "انتخاب و ترتیب بسیار اثر دارد"),
    Text(
        "accuracy moves by tens of points with the format",
        "دقت با قالب پرسش ده‌ها واحد درصد جابه‌جا می‌شود",
    ),
    Text(
        "a quarter of the layers gives {share} % of quality",
        "یک‌چهارم لایه‌ها {share} ٪ کیفیت را می‌دهد",
    ),
    Text("{value} up to 13B", "{value} تا ۱۳ میلیارد پارامتر"),
    Text("{low} to {high} on base models", "{low} تا {high} روی مدل‌های پایه"),
    Text("{low} to {high} for compact models", "{low} تا {high} برای مدل‌های کوچک"),
    Text(
        "dropout 0, 0.05, 0.1; ranks 8 to 256 alike",
        "حذف تصادفی ۰، ۰٫۰۵ و ۰٫۱؛ رتبه‌های ۸ تا ۲۵۶ یکسان",
    ),
    Text("{low} to {high}", "{low} تا {high}"),
    Text("{one}, {other}", "{one} و {other}"),
)
