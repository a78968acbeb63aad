"""Hand-written scene material for the inference corpus, one block per genre.

Every string here was written for this project. Fields inside a string are
separated by ``|``; ``{A}``, ``{B}`` stand for people who are drawn later.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Genre:
    """Everything the claim builders need to know about one genre.

    Attributes:
        name: Genre label written into each row.
        group: Collective that the people of the scene belong to.
        roles: Job titles that may stand in for a first name.
        actions: ``base|past|gerund`` of things any one person may do.
        statements: ``claim|complement`` pairs, exactly one of which holds.
        counts: ``verb|plural noun`` for quantities.
        events: ``subject|past|participle`` of one-time events.
        sets: ``plural noun|holds|does not hold`` for quantified statements.
        scales: ``comparative|inverse|thing;thing;...`` for transitive chains.
        relations: ``form|form|form`` then ``open|open`` for directed relations.
        contrasts: Three equal-length groups: claim holds, claim fails, left open.
        fillers: Sentences that bear on no claim.
    """

    name: str
    group: str
    roles: tuple[str, ...]
    actions: tuple[str, ...]
    statements: tuple[str, ...]
    counts: tuple[str, ...]
    events: tuple[str, ...]
    sets: tuple[str, ...]
    scales: tuple[str, ...]
    relations: tuple[tuple[str, str], ...]
    contrasts: tuple[tuple[str, str, str], ...]
    fillers: tuple[str, ...]


TRAVEL = Genre(
    name="travel",
    group="the walking party",
    roles=("the guide", "the driver", "the porter", "the interpreter", "the photographer"),
    actions=(
        "book a bunk in the hut|booked a bunk in the hut|booking a bunk in the hut",
        "pack a raincoat|packed a raincoat|packing a raincoat",
        "buy a map of the valley|bought a map of the valley|buying a map of the valley",
        "change some money|changed some money|changing some money",
        "send a postcard home|sent a postcard home|sending a postcard home",
        "climb the bell tower|climbed the bell tower|climbing the bell tower",
        "try the salted plums|tried the salted plums|trying the salted plums",
        "fill the water bottles|filled the water bottles|filling the water bottles",
        "write down the bus times|wrote down the bus times|writing down the bus times",
        "swim across the lake|swam across the lake|swimming across the lake",
    ),
    statements=(
        "the pass was open to cars|the pass was closed to cars",
        "the night train had a dining car|the night train had no dining car",
        "the hostel accepted dogs|the hostel turned dogs away",
        "the island had running water|the island was without running water",
        "the last cabin was taken|the last cabin was still free",
        "the border post was staffed|the border post was deserted",
        "the entrance ticket was valid for two days|the entrance ticket was not valid for two days",
    ),
    counts=(
        "visited|chapels",
        "took|photographs",
        "walked|kilometres",
        "collected|stamps",
        "filled|diary pages",
        "crossed|bridges",
    ),
    events=(
        "the ferry|left|left",
        "the fog|lifted|lifted",
        "the hut|closed|closed",
        "the road|flooded|flooded",
        "the second bus|broke down|broken down",
        "the guide's radio|went silent|gone silent",
        "the market|ended|ended",
        "the lighthouse lamp|came on|come on",
    ),
    sets=(
        "tents|were dry|were wet",
        "passports|were returned|were kept back",
        "rooms|had a balcony|lacked a balcony",
        "cabins|were heated|were unheated",
        "signposts|were readable|were unreadable",
    ),
    scales=(
        "longer|shorter|the coast path;the ridge path;the mill path;the forest path",
        "cheaper|dearer|the red inn;the corner hostel;the station hotel;the farm stay",
        "older|younger|the north tower;the south tower;the gatehouse;the cloister",
    ),
    relations=(
        (
            "{A} followed {B} up the gorge|{B} went up the gorge ahead of {A}|"
            "{A} climbed the gorge behind {B}",
            "{A} and {B} both went up the gorge|"
            "{A} and {B} were seen in the gorge, one behind the other",
        ),
        (
            "{A} paid for {B}'s ticket to the fort|{B}'s ticket to the fort was paid for by {A}|"
            "{B} got into the fort with a ticket that {A} had paid for",
            "{A} and {B} both had a ticket to the fort|"
            "{A} and {B} went into the fort on paid tickets",
        ),
        (
            "{A} reached the summit sooner than {B}|{B} reached the summit later than {A}|"
            "{A} was already on the summit when {B} got there",
            "{A} and {B} both reached the summit|{A} reached the summit in daylight, as did {B}",
        ),
    ),
    contrasts=(
        (
            "{A} slept badly in the hut|{A} had a bad night in the hut|"
            "{A} lay awake in the hut from midnight until dawn",
            "{A} slept well in the hut|{A} had a good night in the hut|"
            "{A} slept in the hut like a stone from nine until breakfast",
            "{A} spent the night in the hut|{A} has told nobody about the night in the hut|"
            "{A} went to bed in the hut at nine",
        ),
        (
            "the crossing was rough|the sea was rough during the crossing|"
            "high waves threw the boat about for the whole crossing",
            "the crossing was calm|the sea was calm during the crossing|"
            "the boat slid over water as flat as glass for the whole crossing",
            "the crossing took two hours|the crossing was made by a small boat|"
            "before the crossing everyone wondered about the sea",
        ),
        (
            "{A} travelled alone to the coast|{A} had no companion on the way to the coast|"
            "{A} made the whole trip to the coast without any company",
            "{A} travelled to the coast with somebody|{A} had a companion on the way to the coast|"
            "{A} shared the whole trip to the coast with an old friend",
            "{A} travelled to the coast in May|{A} enjoyed the way to the coast|"
            "{A} made the whole trip to the coast in a single day",
        ),
        (
            "the guest house was expensive|a night in the guest house cost a lot|"
            "a single night in the guest house swallowed half of the travel money",
            "the guest house was cheap|a night in the guest house cost little|"
            "a bed in the guest house was had for less than the price of a sandwich",
            "the guest house had green shutters|a night in the guest house was arranged by letter|"
            "the guest house asked to be paid in advance",
        ),
        (
            "{A} arrived at the harbour early|{A} was early at the harbour|"
            "{A} stood on the harbour wall a full hour before the agreed time",
            "{A} arrived at the harbour late|{A} was late at the harbour|"
            "{A} came to the harbour a full hour after the agreed time",
            "{A} arrived at the harbour on foot|{A} was met at the harbour|"
            "{A} came to the harbour with two suitcases",
        ),
        (
            "{A} knew the old town well|the old town was familiar to {A}|"
            "{A} had grown up in the old town and could have walked it blindfolded",
            "{A} did not know the old town|the old town was strange to {A}|"
            "{A} had never before set foot in the old town",
            "{A} had dinner in the old town|the old town was near {A}'s hotel|"
            "{A} talked about the old town with the waiter",
        ),
    ),
    fillers=(
        "The sky was pale that morning.",
        "Somebody was humming an old tune.",
        "There was a smell of tar in the air.",
        "A cat watched from a window sill.",
        "It was the third day of the tour.",
        "The notes were written in pencil.",
        "Gulls were calling overhead.",
        "Nobody minded the heat.",
        "Bells rang somewhere in the distance.",
        "The coffee tasted of smoke.",
    ),
)

KITCHEN = Genre(
    name="kitchen",
    group="the kitchen crew",
    roles=("the head cook", "the baker", "the apprentice", "the dishwasher", "the butcher"),
    actions=(
        "taste the broth|tasted the broth|tasting the broth",
        "sharpen a knife|sharpened a knife|sharpening a knife",
        "wear a clean apron|wore a clean apron|wearing a clean apron",
        "label the leftovers|labelled the leftovers|labelling the leftovers",
        "bake a trial loaf|baked a trial loaf|baking a trial loaf",
        "copy the new menu|copied the new menu|copying the new menu",
        "bring a jar of honey|brought a jar of honey|bringing a jar of honey",
        "peel a sack of potatoes|peeled a sack of potatoes|peeling a sack of potatoes",
        "weigh the flour|weighed the flour|weighing the flour",
        "eat the cold pie|ate the cold pie|eating the cold pie",
    ),
    statements=(
        "the oven was switched on|the oven was switched off",
        "the dough contained egg|the dough was free of egg",
        "the cellar was locked|the cellar was unlocked",
        "the soup was made without meat|the soup was made with meat",
        "the milk had turned sour|the milk was still fresh",
        "the big pot had a lid|the big pot had no lid",
        "the fish had been paid for|the fish was still unpaid",
    ),
    counts=(
        "peeled|onions",
        "baked|rolls",
        "washed|plates",
        "rolled|dumplings",
        "filled|jars",
        "cracked|eggs",
    ),
    events=(
        "the milk|boiled over|boiled over",
        "the fish|arrived|arrived",
        "the oven door|jammed|jammed",
        "the first guests|sat down|sat down",
        "the bread|came out|come out",
        "the gas bottle|ran empty|run empty",
        "the fridge|stopped humming|stopped humming",
        "the smoke alarm|sounded|sounded",
    ),
    sets=(
        "jars|were sealed|were left open",
        "knives|were clean|were dirty",
        "dishes|contained nuts|were free of nuts",
        "lemons|were ripe|were unripe",
        "plates|were warmed|were left cold",
    ),
    scales=(
        "heavier|lighter|the copper pan;the clay pot;the iron kettle;the steel tray",
        "sweeter|less sweet|the plum jam;the pear cake;the fig tart;the oat biscuit",
        "hotter|cooler|the top shelf;the bread oven;the grill plate;the warming drawer",
    ),
    relations=(
        (
            "{A} taught {B} the trick with the pastry|{B} learned the trick with the pastry from {A}|"
            "it was {A} who showed {B} the trick with the pastry",
            "{A} and {B} both knew the trick with the pastry|"
            "{A} and {B} talked about the trick with the pastry",
        ),
        (
            "{A} borrowed the whisk from {B}|{B} lent {A} the whisk|"
            "the whisk that {A} used was on loan from {B}",
            "{A} and {B} quarrelled about the whisk|"
            "{A} stood beside {B} and the whisk lay between them",
        ),
        (
            "{A} ran a bigger kitchen than {B}|{B} ran a smaller kitchen than {A}|"
            "the kitchen that {A} ran was larger than the one {B} ran",
            "{A} ran a kitchen, and so did {B}|{A} and {B} each ran a kitchen in the same street",
        ),
    ),
    contrasts=(
        (
            "the stew was too salty|there was too much salt in the stew|"
            "one spoonful of the stew tasted like sea water to everybody at the table",
            "the stew was not salty enough|there was too little salt in the stew|"
            "the stew was so bland that the salt cellar went round the table twice",
            "the stew was served at noon|there was barley in the stew|"
            "before the stew was served somebody asked how much salt was in it",
        ),
        (
            "the cake was burnt|the cake had been baked too long|"
            "the cake came out of the tin black and hard as coal",
            "the cake was underdone|the cake had not been baked long enough|"
            "the cake came out of the tin pale, with raw batter in the middle",
            "the cake had been baked in a square tin|the cake was cut into eight pieces|"
            "the cake was meant for the neighbours",
        ),
        (
            "{A} loved the garlic soup|the garlic soup was to {A}'s taste|"
            "{A} emptied three bowls of the garlic soup and praised each of them",
            "{A} disliked the garlic soup|the garlic soup was not to {A}'s taste|"
            "{A} pushed the garlic soup away in disgust after one spoonful",
            "{A} was offered the garlic soup|the garlic soup was put in front of {A}|"
            "{A} has never said a word about the garlic soup",
        ),
        (
            "the pantry was full|there was plenty of food in the pantry|"
            "every shelf of the pantry was packed with food right up to the edge",
            "the pantry was empty|there was no food in the pantry|"
            "not even a crust of bread was left in the pantry",
            "the pantry had a stone floor|there was a lamp in the pantry|"
            "somebody was sent to see how much food was in the pantry",
        ),
        (
            "{A} cooked by the recipe|{A} kept to the recipe|"
            "{A} carried out each step of the recipe exactly as it was printed",
            "{A} cooked without the recipe|{A} ignored the recipe|"
            "{A} left the recipe in the drawer and made everything up",
            "{A} owned a copy of the recipe|{A} had got the recipe from an aunt|"
            "{A} thought the recipe was rather old",
        ),
        (
            "the butter was hard|the butter could not be spread|"
            "the butter was frozen solid when the toast was ready",
            "the butter was soft|the butter was easy to spread|"
            "the butter had half melted in the sun when the toast was ready",
            "the butter was on the table|the butter came from a farm|"
            "the butter lay in a blue dish when the toast was ready",
        ),
    ),
    fillers=(
        "The radio was playing quietly.",
        "Steam covered the windows.",
        "It was raining in the yard.",
        "The clock above the door ticked loudly.",
        "A tea towel hung from the rail.",
        "Nobody had slept much.",
        "It was an ordinary Thursday.",
        "The stools were stacked in a corner.",
        "Someone laughed in the next room.",
        "The floor had just been swept.",
    ),
)

OFFICE = Genre(
    name="office-mail",
    group="the sales team",
    roles=("the bookkeeper", "the trainee", "the receptionist", "the project lead", "the auditor"),
    actions=(
        "sign the attendance sheet|signed the attendance sheet|signing the attendance sheet",
        "answer the survey|answered the survey|answering the survey",
        "update the contact list|updated the contact list|updating the contact list",
        "renew a parking permit|renewed a parking permit|renewing a parking permit",
        "read the safety leaflet|read the safety leaflet|reading the safety leaflet",
        "hand in a timesheet|handed in a timesheet|handing in a timesheet",
        "attend the budget meeting|attended the budget meeting|attending the budget meeting",
        "clear the desk by the window|cleared the desk by the window|"
        "clearing the desk by the window",
        "order new business cards|ordered new business cards|ordering new business cards",
        "change the login password|changed the login password|changing the login password",
    ),
    statements=(
        "the contract had been signed|the contract was still unsigned",
        "the lift was working|the lift was out of order",
        "the meeting room was free|the meeting room was occupied",
        "the invoice included tax|the invoice left out tax",
        "the printer was in colour mode|the printer was not in colour mode",
        "the client had replied|the client had not replied",
        "the canteen was open on Friday|the canteen was shut on Friday",
    ),
    counts=(
        "answered|emails",
        "signed|contracts",
        "scanned|receipts",
        "called|customers",
        "booked|rooms",
        "filed|reports",
    ),
    events=(
        "the server|went down|gone down",
        "the client|called|called",
        "the contract|was signed|been signed",
        "the fire drill|started|started",
        "the new chairs|were delivered|been delivered",
        "the budget|was approved|been approved",
        "the heating|failed|failed",
        "the newsletter|went out|gone out",
    ),
    sets=(
        "invoices|were paid|were unpaid",
        "desks|were occupied|were vacant",
        "files|were backed up|were not backed up",
        "parcels|were opened|were unopened",
        "visitors|wore a badge|went without a badge",
    ),
    scales=(
        "longer|shorter|the spring report;the audit memo;the price list;the hiring plan",
        "larger|smaller|the east office;the copy room;the archive;the board room",
        "busier|quieter|the help desk;the front desk;the mail room;the export desk",
    ),
    relations=(
        (
            "{A} reports to {B}|{B} is {A}'s manager|in the office chart {A} sits directly under {B}",
            "{A} works closely with {B}|{A} and {B} are on the same page of the office chart",
        ),
        (
            "{A} forwarded the complaint to {B}|{B} got the complaint passed on by {A}|"
            "the complaint reached {B} by way of {A}",
            "{A} and {B} both read the complaint|{A} and {B} each have a copy of the complaint",
        ),
        (
            "{A} joined the firm later than {B}|{B} joined the firm sooner than {A}|"
            "{B} was already on the payroll when {A} joined the firm",
            "{A} and {B} joined the firm in the same year|{A} joined the firm, and so did {B}",
        ),
    ),
    contrasts=(
        (
            "the offer was accepted|the customer said yes to the offer|"
            "the customer was happy with the offer and countersigned it the same day",
            "the offer was rejected|the customer said no to the offer|"
            "the customer sent the offer back with a firm refusal",
            "the offer was six pages long|the customer has received the offer|"
            "the customer will go through the offer next week",
        ),
        (
            "the meeting was shortened|the meeting ended ahead of schedule|"
            "the meeting was over half an hour sooner than the agenda had foreseen",
            "the meeting was extended|the meeting ended behind schedule|"
            "the meeting ran half an hour past the end foreseen in the agenda",
            "the meeting was held upstairs|the meeting was chaired by a guest|"
            "the schedule of the meeting was printed on yellow paper",
        ),
        (
            "sales rose in March|March brought an increase in sales|"
            "the sales figure for March was well above the one for February",
            "sales fell in March|March brought a drop in sales|"
            "the sales figure for March was well below the one for February",
            "sales were discussed in March|March was the topic of the sales memo|"
            "the sales figure for March will be known next week",
        ),
        (
            "{A} is on leave this week|{A} has taken leave this week|"
            "{A} is on holiday this week and lies on a beach",
            "{A} is at work this week|{A} is not on leave this week|"
            "{A} is at the usual desk every day this week",
            "{A} was on leave last week|{A} has not told us about this week|"
            "{A} would like to be on leave this week",
        ),
        (
            "the new software is slow|people have to wait for the new software|"
            "the new software takes minutes to open a single page",
            "the new software is fast|nobody has to wait for the new software|"
            "the new software opens every page in the blink of an eye",
            "the new software is blue|people were told about the new software|"
            "the new software was bought from a firm abroad",
        ),
        (
            "{A} agrees with the plan|{A} is in favour of the plan|"
            "{A} backs the plan without any reservation",
            "{A} disagrees with the plan|{A} is against the plan|"
            "{A} thinks the plan is a bad idea and has voted it down",
            "{A} has a copy of the plan|{A} is reading the plan|{A} has yet to comment on the plan",
        ),
    ),
    fillers=(
        "Dear all, here is the update.",
        "Hello everyone.",
        "Please keep this short note on file.",
        "Best wishes from the second floor.",
        "Thanks for your patience.",
        "More will follow soon.",
        "Coffee is in the usual place.",
        "Good morning to you all.",
        "I am writing this from the train.",
        "Just a few words before lunch.",
    ),
)

SPORTS = Genre(
    name="sports-report",
    group="the relay squad",
    roles=("the sprinter", "the goalkeeper", "the hurdler", "the veteran", "the newcomer"),
    actions=(
        "finish the hill run|finished the hill run|finishing the hill run",
        "pass the fitness test|passed the fitness test|passing the fitness test",
        "wear the striped jersey|wore the striped jersey|wearing the striped jersey",
        "thank the referee|thanked the referee|thanking the referee",
        "stretch before the race|stretched before the race|stretching before the race",
        "attend the press evening|attended the press evening|attending the press evening",
        "use the new racket|used the new racket|using the new racket",
        "watch the replay|watched the replay|watching the replay",
        "train on the sand track|trained on the sand track|training on the sand track",
        "shake hands with the opponents|shook hands with the opponents|"
        "shaking hands with the opponents",
    ),
    statements=(
        "the pitch was fit for play|the pitch was unfit for play",
        "the match was sold out|there were seats left for the match",
        "the goal stood|the goal was disallowed",
        "the record was broken|the record was left standing",
        "the roof of the arena was closed|the roof of the arena was open",
        "the start was delayed|the start was on time",
        "the ball was over the line|the ball was not over the line",
    ),
    counts=(
        "scored|points",
        "won|matches",
        "ran|laps",
        "made|saves",
        "took|corners",
        "hit|targets",
    ),
    events=(
        "the floodlights|failed|failed",
        "the home side|scored|scored",
        "the rain|began|begun",
        "the captain|was injured|been injured",
        "the visitors|took a time-out|taken a time-out",
        "the drummer|fell silent|fallen silent",
        "the referee|lost the whistle|lost the whistle",
        "the keeper|was replaced|been replaced",
    ),
    sets=(
        "penalties|were scored|were missed",
        "runners|crossed the line|dropped out",
        "tickets|were sold|were unsold",
        "matches|were played outdoors|were played indoors",
        "players|were fit|were unfit",
    ),
    scales=(
        "faster|slower|the inner lane;the outer lane;the clay court;the grass court",
        "steeper|gentler|the first climb;the last climb;the stadium ramp;the forest bend",
        "taller|shorter|the goalkeeper;the sweeper;the left winger;the centre half",
    ),
    relations=(
        (
            "{A} beat {B} in the final|{B} lost the final to {A}|"
            "the final ended with {A} on top and {B} defeated",
            "{A} and {B} met in the final|"
            "the final between {A} and {B} was decided in the last minute",
        ),
        (
            "{A} finished ahead of {B}|{B} crossed the line behind {A}|"
            "when {B} came in, {A} was already past the line",
            "{A} and {B} both crossed the line|{A} finished in the first ten, and so did {B}",
        ),
        (
            "{A} replaced {B} at half-time|{B} made way for {A} at half-time|"
            "at half-time {A} came on and {B} went off",
            "{A} and {B} spoke at half-time|"
            "at half-time either {A} or {B} was taken off for the other",
        ),
    ),
    contrasts=(
        (
            "{A}'s team won the derby|the derby was won by {A}'s team|"
            "{A}'s team left the derby with a three to one victory",
            "{A}'s team lost the derby|{A}'s team was beaten in the derby|"
            "{A}'s team left the derby with a three to one defeat",
            "{A}'s team played in the derby|{A}'s team trained hard for the derby|"
            "{A}'s team scored first in the derby",
        ),
        (
            "the stadium was crowded|the stadium was full of people|"
            "every last seat in the stadium was taken and people stood on the stairs",
            "the stadium was nearly empty|there were hardly any people in the stadium|"
            "fewer than twenty people were scattered over the huge stadium",
            "the stadium was freshly painted|there was a band in the stadium|"
            "the seats in the stadium are numbered",
        ),
        (
            "{A} played while injured|{A} carried an injury during the game|"
            "{A} took part in the whole game with a broken finger",
            "{A} played free of injury|{A} carried no injury during the game|"
            "{A} took part in the whole game without so much as a scratch",
            "{A} was praised after the game|{A} played on the left|"
            "{A} took part in the whole game in white socks",
        ),
        (
            "the coach was pleased with {A}|the coach praised {A}|"
            "the coach had nothing but kind words for {A}",
            "the coach was angry with {A}|the coach scolded {A}|"
            "the coach had nothing but harsh words for {A}",
            "the coach sat next to {A}|the coach had a word with {A}|"
            "the coach was asked by the press about {A}",
        ),
        (
            "{A} had a strong start|{A} started the race well|"
            "{A} shot out of the blocks and led from the first step of the race",
            "{A} had a poor start|{A} started the race badly|"
            "{A} stumbled out of the blocks and was last after the first step of the race",
            "{A} had a start number pinned on|{A} started the race in lane four|"
            "{A} was out of breath in the middle of the race",
        ),
        (
            "the young striker stayed at the club|the young striker did not leave the club|"
            "the young striker extended the deal with the club by three years",
            "the young striker left the club|the young striker did not stay at the club|"
            "the young striker packed up and moved to the club's main rival",
            "the young striker praised the club|the young striker lived near the club|"
            "the young striker has yet to decide about the future at the club",
        ),
    ),
    fillers=(
        "The wind was light.",
        "It was the second round of the season.",
        "The crowd sang in the drizzle.",
        "A brass band played at the break.",
        "Dusk was falling.",
        "The mood was friendly.",
        "Flags hung from the stand.",
        "Sausages were sold at the gate.",
        "The evening was mild.",
        "Two reporters took notes.",
    ),
)

SCIENCE = Genre(
    name="science-note",
    group="the field team",
    roles=("the botanist", "the diver", "the technician", "the geologist", "the doctoral student"),
    actions=(
        "calibrate a probe|calibrated a probe|calibrating a probe",
        "count the seedlings|counted the seedlings|counting the seedlings",
        "wear gloves in the lab|wore gloves in the lab|wearing gloves in the lab",
        "repeat the measurement|repeated the measurement|repeating the measurement",
        "tag a beetle|tagged a beetle|tagging a beetle",
        "draw the leaf under the lens|drew the leaf under the lens|drawing the leaf under the lens",
        "freeze a blood sample|froze a blood sample|freezing a blood sample",
        "record the wind speed|recorded the wind speed|recording the wind speed",
        "visit the crater|visited the crater|visiting the crater",
        "rinse the filter|rinsed the filter|rinsing the filter",
    ),
    statements=(
        "the sample was contaminated|the sample was uncontaminated",
        "the liquid conducted electricity|the liquid did not conduct electricity",
        "the cave was inhabited by bats|the cave was free of bats",
        "the sensor was plugged in|the sensor was unplugged",
        "the fossil was complete|the fossil was incomplete",
        "the seeds were alive|the seeds were dead",
        "the bottle was airtight|the bottle let air in",
    ),
    counts=(
        "counted|moths",
        "collected|soil samples",
        "measured|shells",
        "tagged|toads",
        "logged|tremors",
        "drew|sketches",
    ),
    events=(
        "the crystal|cracked|cracked",
        "the eggs|hatched|hatched",
        "the pump|stopped|stopped",
        "the solution|turned red|turned red",
        "the river|froze|frozen",
        "the larvae|moulted|moulted",
        "the fuse|blew|blown",
        "the first swallows|flew in|flown in",
    ),
    sets=(
        "samples|were frozen|were unfrozen",
        "seedlings|survived|died",
        "nests|were occupied|were abandoned",
        "sensors|were working|were broken",
        "specimens|were female|were male",
    ),
    scales=(
        "denser|less dense|the blue crystal;the grey powder;the oil layer;the resin",
        "deeper|shallower|the north pond;the quarry lake;the spring pool;the ditch",
        "brighter|dimmer|the first star;the second star;the far nebula;the moonlet",
    ),
    relations=(
        (
            "{A} trained {B} at the station|{B} was trained by {A} at the station|"
            "at the station {A} was the instructor and {B} the pupil",
            "{A} and {B} both worked at the station|"
            "at the station {A} and {B} shared a bench during the training",
        ),
        (
            "{A} corrected {B}'s tables|{B}'s tables were put right by {A}|"
            "{B} drew up tables that {A} then had to correct",
            "{A} and {B} sat over the tables|{A} and {B} both spent a day on tables",
        ),
        (
            "{A} dived deeper than {B}|{B} stayed closer to the surface than {A} while diving|"
            "{A} dived to a depth that {B} did not reach",
            "{A} and {B} both dived that day|{A} dived to a great depth, and so did {B}",
        ),
    ),
    contrasts=(
        (
            "the plant grew well in shade|the plant thrived in shade|"
            "kept in shade, the plant doubled in height and put out healthy leaves",
            "the plant grew badly in shade|the plant withered in shade|"
            "kept in shade, the plant lost its leaves one by one and shrank",
            "the plant was put in shade|the plant was found near a patch of shade|"
            "the plant will be kept in shade from next week on",
        ),
        (
            "the temperature rose overnight|it got warmer overnight|"
            "the thermometer showed four degrees in the evening and nine at dawn after a steady climb",
            "the temperature fell overnight|it got colder overnight|"
            "the thermometer showed nine degrees in the evening and four at dawn after a "
            "steady decline",
            "the temperature was logged overnight|the thermometer was left outside overnight|"
            "the thermometer showed nine degrees in the evening and was then read no more",
        ),
        (
            "the experiment was a success|the experiment worked|"
            "the experiment gave exactly the result that had been hoped for",
            "the experiment was a failure|the experiment did not work|"
            "the experiment collapsed and gave none of the results that had been hoped for",
            "the experiment was a long one|the experiment took place indoors|"
            "the result of the experiment was put in a sealed envelope",
        ),
        (
            "the rock was hard|the rock was difficult to scratch|"
            "even a steel file left no mark on the rock",
            "the rock was soft|the rock was easy to scratch|"
            "a mere fingernail was enough to leave a groove in the rock",
            "the rock was grey|the rock was found near a stream|"
            "a label was tied to the rock with a thread",
        ),
        (
            "the fox was active by day|the fox hunted in daylight|"
            "the fox hunted between noon and sunset and lay asleep all night",
            "the fox was active only at night|the fox never hunted in daylight|"
            "the fox hunted from midnight until shortly before dawn and slept all day",
            "the fox had a thick coat|the fox hunted voles|"
            "the fox was caught on the camera and lay on its side",
        ),
        (
            "the island was rich in birds|many birds lived on the island|"
            "on the island thousands of birds nested on every cliff",
            "the island was poor in birds|few birds lived on the island|"
            "on the island a single pair of birds was all that could be found",
            "the island was surveyed for birds|a book on birds was left on the island|"
            "on the island a hut was put up for watching birds",
        ),
    ),
    fillers=(
        "This note belongs to the summer file.",
        "The page has a coffee stain.",
        "The generator hummed all day.",
        "It was the fifth week of the survey.",
        "The handwriting is hard to read.",
        "The tent smelled of moss.",
        "These lines were typed up later.",
        "The air was dry and still.",
        "A copy went to the archive.",
        "The kettle was always warm.",
    ),
)

HISTORY = Genre(
    name="village-history",
    group="the village band",
    roles=("the miller", "the schoolmaster", "the blacksmith", "the midwife", "the ferryman"),
    actions=(
        "sign the petition|signed the petition|signing the petition",
        "pay the bridge toll|paid the bridge toll|paying the bridge toll",
        "plant a lime tree|planted a lime tree|planting a lime tree",
        "give money for the bell|gave money for the bell|giving money for the bell",
        "keep bees|kept bees|keeping bees",
        "learn to read|learned to read|learning to read",
        "sell a field to the mill|sold a field to the mill|selling a field to the mill",
        "speak at the harvest supper|spoke at the harvest supper|speaking at the harvest supper",
        "dig a second well|dug a second well|digging a second well",
        "see the great comet|saw the great comet|seeing the great comet",
    ),
    statements=(
        "the mill was in debt|the mill was free of debt",
        "the school had a stove|the school was without a stove",
        "the bridge belonged to the parish|the bridge did not belong to the parish",
        "the well was poisoned|the well was not poisoned",
        "the road was paved|the road was unpaved",
        "the priest could write|the priest could not write",
        "the inn had a licence|the inn had no licence",
    ),
    counts=(
        "owned|cows",
        "planted|apple trees",
        "rented|fields",
        "raised|geese",
        "built|barns",
        "gave|silver coins",
    ),
    events=(
        "the mill|burned down|burned down",
        "the bell|was cast|been cast",
        "the railway|arrived|arrived",
        "the old priest|died|died",
        "the bridge|collapsed|collapsed",
        "the school|opened|opened",
        "the quarry|closed|closed",
        "the great oak|fell|fallen",
    ),
    sets=(
        "houses|were thatched|were not thatched",
        "farms|were inherited|were bought",
        "wells|were dry|held water",
        "families|stayed in the village|left the village",
        "cottages|had a chimney|lacked a chimney",
    ),
    scales=(
        "older|younger|the chapel;the inn;the tithe barn;the smithy",
        "richer|poorer|the mill farm;the hill farm;the brook farm;the abbey farm",
        "wider|narrower|the church lane;the market street;the drove road;the mill track",
    ),
    relations=(
        (
            "{A} worked for {B}|{B} was {A}'s employer|every week {A} was paid a wage by {B}",
            "{A} and {B} worked in the same mill|every week {A} worked beside {B}",
        ),
        (
            "{A} inherited the orchard from {B}|{B} left the orchard to {A}|"
            "by {B}'s last will the orchard passed to {A}",
            "{A} and {B} were both seen in the orchard|the will named {A}, {B} and the orchard",
        ),
        (
            "{A} was born earlier than {B}|{B} was born later than {A}|"
            "{A} could already walk when {B} was born",
            "{A} was born in the village, and so was {B}|{A} and {B} were born under one roof",
        ),
    ),
    contrasts=(
        (
            "the harvest was good|the harvest was plentiful|"
            "the harvest was so rich that the barns could not hold it",
            "the harvest was bad|the harvest was meagre|"
            "the harvest was so thin that people went hungry until spring",
            "the harvest was brought in by carts|the harvest was blessed by the priest|"
            "the harvest began with a song",
        ),
        (
            "the villagers liked the new lord|the new lord was popular with the villagers|"
            "the villagers cheered the new lord wherever he rode and drank to his health",
            "the villagers hated the new lord|the new lord was unpopular with the villagers|"
            "the villagers cursed the new lord and threw mud at his coach",
            "the villagers awaited the new lord|the new lord was introduced to the villagers|"
            "the villagers were told that the new lord had a black horse",
        ),
        (
            "the winter was mild|it was a warm winter|"
            "that winter not a single frost was noted and roses bloomed in January",
            "the winter was harsh|it was a bitterly cold winter|"
            "that winter the birds fell frozen from the trees and ice covered the wells until April",
            "the winter was the first after the war|it was a busy winter for the carpenter|"
            "that winter a new roof was put on the chapel",
        ),
        (
            "{A} died young|{A} did not live to be old|"
            "{A} was carried to the grave at the age of nineteen",
            "{A} died at a great age|{A} lived to be very old|"
            "{A} was carried to the grave at the age of ninety-one",
            "{A} died on a Sunday|{A} lived beside the churchyard|"
            "{A} was carried to the grave by six neighbours",
        ),
        (
            "{A} was wealthy|{A} had a lot of money|"
            "{A} could have bought half the county and still had gold to spare",
            "{A} was poor|{A} had hardly any money|{A} could not afford shoes and begged for bread",
            "{A} was tall|{A} had a share in a boat|"
            "{A} was often asked about money and just smiled",
        ),
        (
            "the quarrel over the meadow was settled|peace was made over the meadow|"
            "both sides of the quarrel over the meadow shook hands for good",
            "the quarrel over the meadow was never settled|no peace was ever made over the meadow|"
            "both sides took the quarrel over the meadow with them to the grave",
            "the quarrel over the meadow was famous|a song was made about the meadow|"
            "both sides of the quarrel over the meadow had a lawyer",
        ),
    ),
    fillers=(
        "So it says in the parish book.",
        "The page is torn at the edge.",
        "The chronicle was kept by a clerk.",
        "Little else is known of that decade.",
        "The ink has faded to brown.",
        "The story is told to this day.",
        "It was a time of change.",
        "The book lies in the town hall now.",
        "These were quiet years.",
        "An old song mentions it.",
    ),
)

WORKSHOP = Genre(
    name="workshop-log",
    group="the repair crew",
    roles=("the welder", "the electrician", "the foreman", "the locksmith", "the upholsterer"),
    actions=(
        "oil a hinge|oiled a hinge|oiling a hinge",
        "wear safety goggles|wore safety goggles|wearing safety goggles",
        "test the brake cable|tested the brake cable|testing the brake cable",
        "return the torque key|returned the torque key|returning the torque key",
        "sand a table top|sanded a table top|sanding a table top",
        "read the wiring plan|read the wiring plan|reading the wiring plan",
        "empty the dust bag|emptied the dust bag|emptying the dust bag",
        "mend a bicycle tyre|mended a bicycle tyre|mending a bicycle tyre",
        "lock the tool chest|locked the tool chest|locking the tool chest",
        "varnish a drawer|varnished a drawer|varnishing a drawer",
    ),
    statements=(
        "the motor was under warranty|the motor was out of warranty",
        "the valve was open|the valve was shut",
        "the battery was charged|the battery was uncharged",
        "the crane was in use|the crane was idle",
        "the paint was dry|the paint was still wet",
        "the spare part fitted|the spare part did not fit",
        "the alarm was armed|the alarm was disarmed",
    ),
    counts=(
        "mended|chairs",
        "tightened|bolts",
        "cut|planks",
        "replaced|bulbs",
        "drilled|holes",
        "tested|batteries",
    ),
    events=(
        "the drill|overheated|overheated",
        "the delivery van|left|left",
        "the main fuse|blew|blown",
        "the saw blade|snapped|snapped",
        "the compressor|started|started",
        "the owner|phoned|phoned",
        "the glue|set|set",
        "the roof|leaked|leaked",
    ),
    sets=(
        "screws|were rusty|were free of rust",
        "ladders|were safe|were unsafe",
        "drawers|were locked|were unlocked",
        "lamps|were repaired|were left unrepaired",
        "tyres|were flat|were full of air",
    ),
    scales=(
        "stronger|weaker|the nylon rope;the wire cable;the leather strap;the chain",
        "louder|quieter|the band saw;the lathe;the planer;the air pump",
        "thicker|thinner|the oak board;the pine board;the steel sheet;the glass pane",
    ),
    relations=(
        (
            "{A} handed the job over to {B}|{B} took the job over from {A}|"
            "the job that {A} had begun was passed to {B}",
            "{A} and {B} argued about the job|{A} and {B} were both paid for the job",
        ),
        (
            "{A} sold the old lathe to {B}|{B} bought the old lathe from {A}|"
            "the old lathe left {A}'s hands for good when {B} paid the price",
            "{A} and {B} agreed on a price for the old lathe|"
            "{A} and {B} both had used the old lathe",
        ),
        (
            "{A} needed more time for the gearbox than {B}|"
            "{B} was quicker with the gearbox than {A}|"
            "{A} and {B} began on the gearbox at nine, and {B} was done while {A} was still busy",
            "{A} and {B} each needed time for the gearbox|"
            "{A} was busy with the gearbox, and so was {B}",
        ),
    ),
    contrasts=(
        (
            "the engine ran smoothly|there was nothing wrong with the engine|"
            "the engine purred all afternoon and passed each test",
            "the engine ran roughly|there was something wrong with the engine|"
            "the engine coughed, stalled and failed each test all afternoon",
            "the engine was heavy|there was a green cover on the engine|"
            "the engine was lifted onto the bench for a test in the afternoon",
        ),
        (
            "the repair was cheap|the repair cost next to nothing|"
            "the owner paid for the repair with a few coins from a trouser pocket",
            "the repair was expensive|the repair cost a fortune|"
            "the owner had to take out a loan to pay for the repair",
            "the repair was urgent|the repair was paid for by card|"
            "the owner asked what the repair would cost",
        ),
        (
            "{A} fixed the clock|the clock was put right by {A}|"
            "thanks to {A} the clock, silent for years, ticked again and kept good time",
            "{A} was unable to fix the clock|the clock defeated {A}|"
            "{A} gave up on the clock and handed it back as broken as before",
            "{A} looked at the clock|the clock was left with {A}|"
            "{A} took the clock apart on Monday to see about the trouble",
        ),
        (
            "the table was stable|the table stood firm|"
            "the table did not move at all when three people sat down on it",
            "the table was wobbly|the table stood unsteadily|"
            "the table rocked to and fro as soon as a cup was put down on it",
            "the table was round|the table stood in a corner|"
            "the table was brought in by three people",
        ),
        (
            "{A} was careful with the tools|{A} treated the tools with care|"
            "{A} cleaned and wrapped the tools after every single use",
            "{A} was careless with the tools|{A} treated the tools badly|"
            "{A} threw the tools about and let them rust in the rain",
            "{A} was responsible for buying the tools|{A} had paid for the tools|"
            "{A} counted the tools twice",
        ),
        (
            "the customer was satisfied|the customer was happy with the work|"
            "the customer beamed, praised the work and left a large tip",
            "the customer was dissatisfied|the customer was unhappy with the work|"
            "the customer swore at the work and wanted the money back",
            "the customer was a dentist|the customer had yet to see the work|"
            "the customer asked when the work would be ready",
        ),
    ),
    fillers=(
        "The log was kept in a red binder.",
        "Sawdust lay everywhere.",
        "It was the last week of the month.",
        "The entry is smudged with grease.",
        "A bus rumbled past outside.",
        "The kettle stood by the vice.",
        "The door was left ajar for air.",
        "The calendar showed a steam engine.",
        "The entry was written in capital letters.",
        "The morning was grey.",
    ),
)

THEATRE = Genre(
    name="theatre-diary",
    group="the cast",
    roles=("the director", "the prompter", "the understudy", "the tailor", "the stage hand"),
    actions=(
        "learn the second act|learned the second act|learning the second act",
        "try on a wig|tried on a wig|trying on a wig",
        "bow to the audience|bowed to the audience|bowing to the audience",
        "bring a pair of boots|brought a pair of boots|bringing a pair of boots",
        "sing the closing song|sang the closing song|singing the closing song",
        "return the borrowed script|returned the borrowed script|returning the borrowed script",
        "wait behind the curtain|waited behind the curtain|waiting behind the curtain",
        "put on make-up|put on make-up|putting on make-up",
        "join the fencing lesson|joined the fencing lesson|joining the fencing lesson",
        "write a note to the author|wrote a note to the author|writing a note to the author",
    ),
    statements=(
        "the curtain was fireproof|the curtain was not fireproof",
        "the stage door was locked|the stage door was unlocked",
        "the author was in the audience|the author was absent from the audience",
        "the trapdoor was bolted|the trapdoor was unbolted",
        "the costume was lined|the costume was unlined",
        "the first night was sold out|there were tickets left for the first night",
        "the ending had been rewritten|the ending had been left as it was",
    ),
    counts=(
        "learned|lines",
        "sewed|costumes",
        "painted|masks",
        "sold|programmes",
        "received|bouquets",
        "sang|verses",
    ),
    events=(
        "the curtain|rose|risen",
        "the critic|left|left",
        "the trapdoor|jammed|jammed",
        "the hero's wig|fell off|fallen off",
        "the lights|flickered|flickered",
        "the orchestra|tuned up|tuned up",
        "the bell|rang|rung",
        "the backdrop|tore|torn",
    ),
    sets=(
        "seats|were taken|were empty",
        "costumes|were finished|were unfinished",
        "actors|knew the text|did not know the text",
        "posters|were printed|were unprinted",
        "masks|were painted|were unpainted",
    ),
    scales=(
        "funnier|less funny|the tavern scene;the duel;the letter scene;the wedding dance",
        "longer|shorter|the first act;the second act;the prologue;the interval",
        "more famous|less famous|the court play;the sea play;the ghost play;the shepherd play",
    ),
    relations=(
        (
            "{A} wrote the play about {B}|the play was about {B} and was written by {A}|"
            "{B} was the subject of the play that {A} wrote",
            "{A} and {B} both appear in the notes on the play|{A} and {B} talked about the play",
        ),
        (
            "{A} stood in for {B} on Friday|{B} was replaced by {A} on Friday|"
            "on Friday {B} stayed at home and {A} played the part instead",
            "{A} and {B} have both learned the part for Friday|"
            "on Friday either {A} or {B} stayed at home",
        ),
        (
            "{A} got louder applause than {B}|{B} got fainter applause than {A}|"
            "the applause for {A} drowned out the applause that {B} had got",
            "{A} and {B} both got applause|there was applause for {A}, and then for {B}",
        ),
    ),
    contrasts=(
        (
            "the audience enjoyed the play|the play went down well with the audience|"
            "the audience rose to its feet and cheered the play for ten minutes",
            "the audience disliked the play|the play went down badly with the audience|"
            "the audience booed and threw cushions at the end of the play",
            "the audience had read about the play|the play was new to the audience|"
            "the audience got a booklet about the play at the door",
        ),
        (
            "{A} was nervous before the show|{A} felt anxious before the show|"
            "{A} trembled and felt sick with fear before the show",
            "{A} was calm before the show|{A} felt at ease before the show|"
            "{A} dozed without a worry in the world before the show",
            "{A} was in the dressing room before the show|{A} ate a roll before the show|"
            "{A} was asked by a friend how the minutes before the show felt",
        ),
        (
            "{A} knew the part by heart|{A} had memorised the part|"
            "{A} spoke the whole part from memory without a slip",
            "{A} did not know the part by heart|{A} had not memorised the part|"
            "{A} had to read every line of the part from the script",
            "{A} had got the part in March|{A} was proud of the part|"
            "{A} copied the whole part into a notebook",
        ),
        (
            "the costumes were colourful|there was a lot of colour in the costumes|"
            "the costumes blazed in scarlet, gold and turquoise",
            "the costumes were colourless|there was no colour in the costumes|"
            "the costumes were plain grey from collar to hem, one and all",
            "the costumes were heavy|there was a great deal of work in the costumes|"
            "the costumes were sewn by hand from collar to hem",
        ),
        (
            "the review was favourable|the critic wrote kindly about the show|"
            "in the review the critic called the show a triumph from start to finish",
            "the review was unfavourable|the critic wrote harshly about the show|"
            "in the review the critic called the show a disgrace from start to finish",
            "the review was printed on page six|the critic wrote about the show in a small notebook|"
            "the critic saw the show from start to finish and the review is due on Sunday",
        ),
        (
            "the hall was hot|it was too warm in the hall|"
            "the hall was like a furnace and people fanned themselves with their programmes",
            "the hall was cold|it was too chilly in the hall|"
            "the hall was like an ice house and people sat there in their winter coats",
            "the hall was red|it was noisy in the hall|"
            "the hall was small and people hung their coats over the seats",
        ),
    ),
    fillers=(
        "Dust danced in the lamp light.",
        "The piano was out of tune.",
        "It was the second week of rehearsals.",
        "Someone had left a fan on a chair.",
        "The diary skips a line here.",
        "There was tea in paper cups.",
        "The clock in the foyer was slow.",
        "A ladder leaned against the wall.",
        "It rained on the skylight.",
        "The boards creaked.",
    ),
)

GENRES: tuple[Genre, ...] = (
    TRAVEL,
    KITCHEN,
    OFFICE,
    SPORTS,
    SCIENCE,
    HISTORY,
    WORKSHOP,
    THEATRE,
)
