"""What the template writer builds posts of: voices with their openings, sentences, endings and hashtags.

Data only. `{topic}` is what a post is about, `{Topic}` the same at the start of a sentence, and of `[this|that]` one is
chosen.
"""

from __future__ import annotations

import msgspec


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """One way to sound.

    Args:
        words: What a tone has in it that asks for this voice, in lower case.
        hooks: First lines.
        sentences: What the body is made of, besides the sentences that all voices have.
        endings: Last sentences.
        hashtags: What is added to the hashtags asked for.
        emoji: What a line may end with, where emoji are asked for.
    """

    words: tuple[str, ...]
    hooks: tuple[str, ...]
    sentences: tuple[str, ...]
    endings: tuple[str, ...]
    hashtags: tuple[str, ...]
    emoji: tuple[str, ...]


PLAIN = Voice(
    words=("neutral", "plain", "simple"),
    hooks=(
        "A [quick|short|small] [note|word] on {topic}",
        "{Topic}: [what is new|what has changed|where we stand]",
        "[Today|This week] it is [all|mostly] about {topic}",
        "[Three|Two|A few] things about {topic}",
        "What we [learned|noticed|tried] about {topic}",
        "{Topic}, [as it is|in a few lines|up close]",
        "[Looking|Looking again] at {topic}",
        "Why {topic} [matters|counts] [to us|right now|this season]",
        "[A closer look|Another look] at {topic}",
        "{Topic}, [step by step|one thing at a time]",
    ),
    sentences=(
        "[It takes|It took] [time|care|practice], and [it shows|that is fine].",
        "[Here is|This is] what it [looks|feels] like [up close|from our side|today].",
        "The [details|basics] are [worth|well worth] a [look|minute].",
        "[Nothing fancy|No tricks]: [good work, done well|one thing done properly].",
        "We [keep|kept] it [simple|clear] on purpose.",
    ),
    endings=(
        "[More|More on this] [soon|next week|in the next post].",
        "[Tell us|Let us know] what you think.",
        "[Questions|Anything to add]? [Write to us|Leave a comment].",
        "[Thank you|Thanks] for reading.",
        "[See you|Until] next time.",
    ),
    hashtags=("today", "insight", "worthknowing", "thisweek", "upclose"),
    emoji=("\U0001f4dd", "\u2728", "\U0001f440"),
)

FRIENDLY = Voice(
    words=("friendly", "warm", "casual", "kind", "conversational", "welcoming", "cosy", "cozy", "caring"),
    hooks=(
        "[Hello|Hi] [there|you]! [Let us talk|Let's talk] about {topic}",
        "[Come in|Pull up a chair]: {topic} is [on the table|our theme today]",
        "[Ever wondered|Have you ever wondered] about {topic}?",
        "We [love|really love|cannot stop loving] {topic}, and [here is why|you might, too]",
        "{Topic}? [Yes, please|Count us in|We are all ears]!",
        "A [little|small] [hello|story] about {topic}",
        "[Good news|Lovely news] for [everyone|all] who [likes|enjoys] {topic}",
        "[You asked|So many of you asked] about {topic}",
        "[Our|A] favourite [part of the week|moment today]: {topic}",
        "[Let us|Let's] make {topic} [easy|a joy|yours]",
    ),
    sentences=(
        "[You are|You're] [always|very] welcome to [ask|join in|drop by].",
        "We [made|prepared] this with [you|all of you] in mind.",
        "[It is|It's] the [little|small] things that [make|made] our day.",
        "Bring a friend; [it is|it's] better [together|shared].",
        "Your [ideas|stories|messages] keep us going.",
    ),
    endings=(
        "[Tell us|We would love to hear] [yours|your story] in the comments!",
        "[Say hello|Drop us a line] any time.",
        "[Hugs|Warm wishes] from [all of us|the whole team].",
        "[See you|Catch you] [soon|around]!",
        "What would you [add|try first]?",
    ),
    hashtags=("together", "goodvibes", "community", "smallmoments", "welcome"),
    emoji=("\U0001f60a", "\U0001f49b", "\U0001f44b"),
)

PROFESSIONAL = Voice(
    words=("professional", "formal", "corporate", "serious", "business", "authoritative", "trustworthy"),
    hooks=(
        "[Our perspective|A perspective] on {topic}",
        "{Topic}: [key considerations|priorities] for the [quarter|months] ahead",
        "[How we approach|Our approach to] {topic}",
        "[Three|Four] [principles|lessons] from our work on {topic}",
        "{Topic} [demands|deserves] [clear standards|a considered approach]",
        "[What leaders should know|What decision-makers ask us] about {topic}",
        "[Raising|Setting] the standard for {topic}",
        "The case for [investing in|rethinking] {topic}",
        "{Topic}: [progress and next steps|an update|findings from the field]",
        "[Reliable|Measurable] results in {topic}",
    ),
    sentences=(
        "Our [team|specialists] [reviewed|assessed] the [evidence|process] [carefully|in detail].",
        "[Consistency|Transparency] remains the [basis|foundation] of [lasting results|trust].",
        "The [results|figures] [support|confirm] a [steady|structured] approach.",
        "We [document|measure] each step, so that [progress|quality] can be [verified|relied upon].",
        "[Clients|Partners] [value|expect] [clarity|accountability], and so do we.",
    ),
    endings=(
        "[Contact us|Get in touch] to [discuss|explore] what this means for [you|your organisation].",
        "We [welcome|look forward to] your [questions|perspective].",
        "[Further details|A full summary] will [follow|be shared shortly].",
        "[Read more|Learn more] on our [website|page].",
        "How does your [team|organisation] approach this?",
    ),
    hashtags=("leadership", "strategy", "quality", "industryinsights", "bestpractice"),
    emoji=("\U0001f4c8", "\u2705", "\U0001f4cc"),
)

PLAYFUL = Voice(
    words=("playful", "fun", "funny", "humorous", "witty", "cheeky", "quirky", "silly", "lively"),
    hooks=(
        "{Topic} [walked into a bar|entered the chat|called. It misses you]",
        "[Plot twist|Breaking news]: {topic}!",
        "[Roses are red|Knock, knock]... {topic}!",
        "We [tried|swore] to keep calm about {topic}. [We failed|It did not work]",
        "[Warning|Careful]: may contain [traces of|a lot of] {topic}",
        "{Topic}, [but make it fun|but better|now with extra sparkle]",
        "[Nobody|Literally nobody]: ... Us: {topic}!",
        "[Raise your hand|Blink twice] if {topic} is your thing",
        "On a scale from one to {topic}, [how are you|where are you today]?",
        "[Keep calm|Stop scrolling] and [enjoy|behold] {topic}",
    ),
    sentences=(
        "[No|Zero] [regrets|apologies].",
        "[Scientists|Our neighbours] [call it|suspect] [magic|a miracle]; we call it [Tuesday|work].",
        "[Side effects|Symptoms] include [grinning|spontaneous dancing].",
        "We [laughed|giggled], we [cried|snacked], we did it again.",
        "[Your inner child|Your dog] would approve.",
    ),
    endings=(
        "[Tag|Poke] [somebody|the friend] who needs [this|it].",
        "[Go on|Admit it], you [smiled|want it, too].",
        "Wrong answers only in the comments!",
        "[Mic drop|Over and out].",
        "[Your move|Beat that].",
    ),
    hashtags=("justforfun", "mood", "weekendmode", "sorrynotsorry", "goodtimes"),
    emoji=("\U0001f389", "\U0001f61c", "\U0001f92a"),
)

BOLD = Voice(
    words=(
        *("bold", "energetic", "confident", "urgent", "exciting", "excited", "inspir", "motivat", "strong"),
        *("daring", "enthusias"),
    ),
    hooks=(
        "{Topic}. [Now|No excuses|All in]",
        "[Stop waiting|Stop guessing]. Start with {topic}",
        "[Think|Dream] bigger: {topic}",
        "[This is|Here comes] the year of {topic}",
        "{Topic} [changes everything|is your edge|starts today]",
        "[Ready|Are you ready] for {topic}?",
        "[Go|Aim] further with {topic}",
        "[Forget|Never mind] [the rules|yesterday]: {topic} [wins|is here]",
        "[Own|Take on] {topic}",
        "[Big|Huge] [goals|plans]? Begin with {topic}",
    ),
    sentences=(
        "[Push|Reach] [further|past good enough].",
        "[Every|Each] step [counts|moves you forward].",
        "[Courage|Momentum] [beats|outlasts] [perfection|talent].",
        "You [have|already have] what it takes.",
        "[Big|Great] things [start|begin] [small|with one decision].",
    ),
    endings=(
        "[Make|Take] the first move [today|now].",
        "[Join|Follow] us and [see|feel] the difference.",
        "[Who|Who else] is in?",
        "[Let's go|Let us begin]!",
        "Your turn.",
    ),
    hashtags=("makeithappen", "nolimits", "thinkbig", "momentum", "goforit"),
    emoji=("\U0001f680", "\U0001f525", "\U0001f4aa"),
)

ELEGANT = Voice(
    words=(
        "elegant",
        "luxur",
        "refined",
        "premium",
        "sophisticated",
        "minimal",
        "exclusive",
        "classy",
        "poetic",
    ),
    hooks=(
        "{Topic}, [quietly perfected|reimagined|in its purest form]",
        "[The art|The quiet art|The grace] of {topic}",
        "An ode to {topic}",
        "[Where|There] {topic} [meets|finds] [craft|stillness]",
        "[Timeless|Considered|Understated]: {topic}",
        "[A study|A meditation] in {topic}",
        "{Topic}, [for those who notice|and nothing more]",
        "[Softly|Slowly], {topic} [unfolds|takes shape]",
        "[Discover|Rediscover] {topic}",
        "[Every detail|Each line] of {topic}",
    ),
    sentences=(
        "[Crafted|Composed] with [patience|restraint].",
        "[Light|Texture], [form|balance], and [time|silence].",
        "[Less|Nothing more] than [necessary|is needed], and nothing [missing|left to chance].",
        "[True|Real] [quality|luxury] [speaks softly|needs no words].",
        "A [moment|detail] to [linger over|keep].",
    ),
    endings=(
        "[Experience|Discover] it [in person|at your own pace].",
        "[By appointment|Now, and for a short while].",
        "[Yours|For you], [quietly|as always].",
        "[Savour|Enjoy] the [moment|season].",
        "The [collection|story] continues.",
    ),
    hashtags=("timeless", "craftsmanship", "elegance", "slowliving", "attentiontodetail"),
    emoji=("\U0001f90d", "\u2728", "\U0001f54a\ufe0f"),
)

INFORMATIVE = Voice(
    words=(
        "informative",
        "educational",
        "helpful",
        "expert",
        "technical",
        "instructive",
        "practical",
        "clear",
    ),
    hooks=(
        "{Topic}, [explained|made clear|in plain words]",
        "[How|Here is how] {topic} [works|really works]",
        "[Did you know|Worth knowing]? The [facts|basics] of {topic}",
        "[Five|Four|Three] [tips|facts] on {topic}",
        "[The most common|A common] [mistake|question] about {topic}",
        "A [short|beginner's|practical] guide to {topic}",
        "{Topic}: [myth or fact|what to look for|where to begin]?",
        "[What|Everything] you [need|ought] to know about {topic}",
        "[Ask|We asked] an expert: {topic}",
        "[Save this|Keep this] for later: {topic}",
    ),
    sentences=(
        "[First|Before anything else], [check|compare] what you have.",
        "[As a rule|In practice], [simple|small] [changes|steps] [do|achieve] the most.",
        "[Write down|Note] what [works|you try], and [repeat|keep] it.",
        "The [difference|reason] is [easy|simple] to [see|test] at home.",
        "[Good|Reliable] [sources|tools] save [time|money].",
    ),
    endings=(
        "[Save|Bookmark] this for [later|the next time].",
        "[Which|What] [tip|question] should we [cover|answer] next?",
        "[Share|Pass it on] if it [helped|was new to you].",
        "[Ask|Send] us your questions.",
        "[More tips|The next part] [to come|next week].",
    ),
    hashtags=("howto", "tips", "learnsomethingnew", "explained", "didyouknow"),
    emoji=("\U0001f4a1", "\U0001f4da", "\U0001f50d"),
)

VOICES = (FRIENDLY, PROFESSIONAL, PLAYFUL, BOLD, ELEGANT, INFORMATIVE, PLAIN)

SENTENCES = (
    "[Behind|All around] {topic} are [people|hands] who [care|know what they do].",
    "[Most of|Much of] what we know about {topic} comes from [you|years of trying].",
    "[Start|Begin] [small|with one idea], and let {topic} [grow|do the rest].",
    "[This month|These days] we give {topic} [the time it needs|a stage of its own].",
    "We [looked|took a walk] behind the scenes of {topic} and [brought back|found] a few [surprises|stories].",
    "{Topic} [is at its best|works best] when [nobody rushes|it is shared].",
    "[Good|Great] {topic} [starts|begins] long before [anybody sees it|the first photo].",
    "[Try|Picture] {topic} on a [slow|busy|rainy] [morning|afternoon|evening].",
    "[Here|On our side], {topic} is [a habit|a promise], not [a slogan|an occasion].",
    "[A year ago|Not long ago] {topic} was [only a sketch|a note on the wall].",
    "[Some|Many] things [change|come and go]; {topic} [stays|has a place here].",
    "[The best part|Our favourite part]? {Topic} [never gets old|is different each time].",
    "[Look|Listen] closely: {topic} [tells a story|has more to it].",
    "[One|Another] question we [hear|get] [often|every day]: what makes {topic} [special|work]?",
    "[Give|Lend] {topic} five minutes and [see|find out] [what happens|for yourself].",
    "[Between|Among] all the noise, {topic} [is a good place to pause|makes sense].",
    "[It is|There is] [worth doing|a right moment] for {topic}, and it is [now|this one].",
    "[We measured|We compared], [we tasted|we tested], and {topic} [came out ahead|won].",
    "[Every|Each] season [brings|shows] {topic} in [a new light|another colour].",
    "[From|Straight from] the [workshop|desk|kitchen table]: [new thoughts|fresh ideas] on {topic}.",
)
"""What every voice may say, always about the topic."""

SUBJECTS = (
    "small things done well",
    "a good start to the week",
    "life behind the scenes",
    "the people behind our work",
    "what our customers ask",
    "a fresh pair of eyes",
    "the craft we love",
    "making room for new ideas",
    "the season's best",
    "old habits and new ones",
)
"""What a post is about where no topic is given."""
