"""What the benchmarks have spoken: texts as a language model would answer, and the tokens they come in."""

import re

_PIECE = re.compile(r"\s*[^\W\d_]+(?:['’][^\W\d_]+)*|\s*\d{1,3}|\s*[^\w\s]+|\s*_+|\s+")
_WHOLE_WORD = 7  # letters up to which a word is one token
_PART = 4

NO_COMMA = (
    "The harbour master told the visitors that the old lighthouse at the end of the northern pier had guided "
    "ships through fog and storm for two hundred years before the electric lamp was installed by a "
    "young engineer from town."
)
"""One sentence of 40 words without a comma: acceptance case 1."""

TEXTS = (
    NO_COMMA,
    "Thanks for calling. I can see your order from Tuesday, and it left our warehouse this morning. The driver "
    "should reach you between two and four. Would you like a message when he is close?",
    "Sure, let me explain that again. A cache keeps what you asked for last time, so the next request can be "
    "answered at once. The hard part is knowing when the kept answer is no longer true.",
    "Your flight to Lisbon has been moved to gate twelve. Boarding begins in twenty minutes. If you need help "
    "with your bags, a colleague is waiting beside the lift on the left.",
    "There are three good ways to cook rice. You can steam it, you can boil it in plenty of water, or you can "
    "let it soak up a measured amount. I would start with the last one.",
    "I looked at the weather for your walk on Saturday. The morning will be bright and cold, clouds arrive "
    "around noon, and there may be light rain before the evening. Take a warm jacket with you.",
    "Well, that is a fair question. Most people need between seven and nine hours of sleep, but how well you "
    "rest matters as much as how long. Try to go to bed at the same time each night.",
    "The museum opens at ten and closes at six. Tickets can be bought at the entrance or on our website. On "
    "the first Sunday of each month everybody gets in for free, so come early.",
    "Okay, I found the problem in your code. The loop starts counting at one, while the list begins at zero, "
    "so the first entry is always skipped. Change that number and run the tests again.",
    "Good evening, and welcome back. Your kitchen lights are on, the front door is locked, and the heating is "
    "set to nineteen degrees. Shall I switch everything off when you go to bed tonight?",
    "To reset the device, hold the small button on the back for ten seconds until the lamp turns blue. Then "
    "open the application on your phone and follow the steps that it shows you.",
    "Bees tell each other where flowers are by dancing. The angle of the dance points the way, and its length "
    "gives the distance. It took a patient scientist many years to work out the meaning.",
    "I am sorry to hear that your parcel was damaged. Please keep the box and take two photographs of it. We "
    "will send a new one today, and a courier will collect the old one tomorrow.",
    "Your next appointment is with Doctor Alvarez on the fourteenth of March at half past nine. She asks you "
    "not to eat anything after midnight. Please bring the letter from your clinic and a list of medicines.",
    "Once upon a time a fox lived beside a railway line. Every night she watched the golden windows pass, and "
    "every night she wondered who was inside. One winter evening the train stopped in the snow.",
    "Of course! In Italian you would say that the bill, please, is il conto, per favore. Say it with a smile, "
    "and nobody will mind your accent. Do you want to practise ordering a coffee as well?",
    "The short answer is yes, but it depends on the size of the room. For anything below twenty square metres "
    "one small heater will do. A larger space needs two, placed on opposite walls.",
    "Let us take it step by step. Subtract four from both sides, which leaves three times x equal to twelve. "
    "Now divide both sides by three. What do you get for x, and how could you check it?",
    "My favourite thing about this town is the market. On Saturdays the square fills with farmers selling "
    "cheese, honey and flowers, and somebody always plays the accordion. Go before eleven if you dislike crowds.",
    "Before we begin, may I ask for your customer number? You will find it at the top right of every bill. If "
    "you do not have one at hand, your name and postcode are enough for me.",
    "Running shoes wear out sooner than they look. After roughly eight hundred kilometres the foam no longer "
    "springs back, and your knees start to pay for it. Write the date of purchase inside the tongue.",
    "Here is today's summary. Sales rose by four percent, mostly in the north. Two stores reported late "
    "deliveries. The new website handled the weekend without trouble, and customers seem to like the simpler "
    "search.",
    "If the alarm goes off, stay calm and leave by the nearest stairs. Do not use the lift. Meet at the oak "
    "tree behind the car park, where somebody with a yellow vest will count heads.",
    "You asked me about black holes. Imagine a star so heavy that it falls into itself when its fuel is gone. "
    "What remains pulls so strongly that even light cannot leave, and that is why we see nothing.",
    "That sounds like a wonderful plan. A week in the mountains gives you enough time for the long loop around "
    "the lake. Book the huts early, though, because in August they are often full by noon.",
    "Nothing is wrong with your engine. The light you saw belongs to the tyre pressure, which drops a little "
    "when the nights get cold. Add some air at the next station and it will go out.",
    "Tomato plants like warmth and hate wet leaves. Water them at the root in the morning, tie the stems to a "
    "stick, and pinch out the side shoots. By July you should have more fruit than you can eat.",
    "Right, here we go. First question, for one point: which river flows through both Vienna and Budapest? You "
    "have ten seconds, and no looking at your phone. The team by the window may answer first.",
    "The contract runs for twelve months and renews itself unless you cancel four weeks before the end. There "
    "is no fee for leaving early if you move to a place that we cannot reach.",
    "Mix the flour, the sugar and a pinch of salt. Rub in the cold butter until it looks like sand. Add one "
    "egg, press everything together gently, and let the dough rest in the fridge for an hour.",
    "We are now crossing the old border. On your right you can see the watchtower, which today is a tiny cafe. "
    "People who grew up here remember when nobody was allowed to walk in these woods.",
    "No worries at all. I have moved your meeting with the design team to Thursday at eleven and told everyone "
    "about it. Lena wrote back that she would rather meet in person, so I booked the small room.",
    "Your account is safe. Somebody tried to sign in from a new computer, and we stopped it because the code "
    "was missing. Still, choose a new password today, ideally a long one made from four random words that you "
    "can picture together. After that, look through the list of devices and remove any that you do not know.",
    "When the tide goes out, the bay turns into a plain of wet sand that shines like glass. Children run ahead "
    "with buckets while their parents look for the safe path marked with poles. Never walk there alone; the "
    "water returns faster than a horse, the locals say, and every summer a careless visitor proves them right.",
    "Electric cars feel quick because the motor gives its full force from the very first moment. There is no "
    "gearbox to work through and no need to wait for the engine to speed up. On a motorway the difference "
    "fades, since air resistance grows with speed, and the battery empties sooner than most drivers expect.",
    "Let me read that back to you. One large pizza with mushrooms and olives, one small green salad without "
    "onions, two bottles of sparkling water and a slice of lemon cake. The total comes to thirty one euros. We "
    "deliver within forty minutes, and you can pay in cash or by card at the door.",
    "The violin is older than it looks. Its belly was carved from spruce that grew slowly in a cold valley, and "
    "the back is maple from the other side of the Alps. Nobody knows who built it, but the label inside names "
    "a workshop in Cremona that burned down nearly three hundred years ago.",
    "I would not worry about one bad grade. What matters is that you know where the mistakes came from. Two of "
    "them are slips, which practice will cure. The third shows that fractions still feel strange to you, so "
    "let us spend today's lesson on those, with apples, coins and a little patience.",
    "Hold on, I am checking the connections for you. The direct train leaves at seven minutes past five and "
    "takes a little under three hours. There is a cheaper one at six, but you would have to change twice, and "
    "the second change leaves only four minutes to cross the whole station with your luggage.",
    "Breathe in slowly through your nose and let your shoulders sink. Hold it for a moment. Now breathe out as "
    "if you wanted to fog a mirror. Notice the floor under your feet and the sounds outside the window. When "
    "your thoughts wander off, simply bring them back without blaming yourself.",
)
"""Texts of 30 to 60 words, no two alike."""

SHORT = (
    "The parrot sat on the tall mast and told the whole harbour what it had heard.",
    "Please leave your message after the tone, and we will call you back tomorrow.",
    "It is a quarter to nine, and the first train to the coast leaves in ten minutes.",
    "Your table is ready, so follow me to the window on the other side of the room.",
    "Every evening the old man fed the ducks and counted them twice before going home.",
)
"""Sentences of less than 9 s, which the server speaks without holding back."""

LONG = " ".join(TEXTS[-8:])
"""More than two minutes of speech."""


def tokens(text: str) -> list[str]:
    """The text in pieces such as a language model writes: about 4 characters, spaces before the words."""
    pieces = []
    for match in _PIECE.finditer(text):
        piece = match[0]
        space = len(piece) - len(piece.lstrip())
        while len(piece) - space > _WHOLE_WORD:
            pieces.append(piece[: space + _PART])
            piece, space = piece[space + _PART :], 0
        pieces.append(piece)
    return pieces


WRITTEN = (
    "## What you owe\n\n- **Rent**: $1,250.00, due on 3/1/2026\n- **Power**: €86.40 for 312 kWh\n- Water: £19, "
    "see https://example.com/bills?id=42\n\nThat is $1,402.17 in all, 3.5% more than in 2025.",
    "[excited] Great news! Flight LH 1234 leaves at 14:35 from gate B12, seat 21C. [pause 0.5s] Boarding ends at "
    "2:15 p.m.; call +49 30 1234567 or write to help@example.com if you are late.",
    "1. Install version 3.11.7 with `pip install parrotfish`.\n2. Open http://192.168.0.10:8080/ready.\n3. It "
    "takes about 1/2 h, 2.4 GB of disk and 16 °C less patience, e.g. on Dr. Miller's old PC.",
    "| Day | High | Low |\n|---|---|---|\n| Mon | 21 °C | 9 °C |\n| Tue | 18 °C | -2 °C |\n\n*Rain* is "
    "likely (70%) on the 22nd, with winds of 45 km/h from 6 am. (whispering) Take the 2nd exit, 350 m ahead.",
)
"""What a language model writes when nobody tells it that it will be heard."""

UNSPACED = (
    "今天天气很好，我和朋友们一起去了公园。孩子们在草地上奔跑，老人在树下下棋，大家都很高兴。",
    "人工智能正在改变我们的生活方式，2024年全球市场规模约为1840亿美元，比上一年增长了23.5%。",
    "请在下午3点半以前把文件发到我的邮箱，如果有问题，可以打电话或者直接来办公室找我。",
    "今日は天気がとても良いので、友達と一緒に公園へ散歩に行きたいと思っています。",
    "新しい製品は来月5日に発売され、価格は1,980円です。詳しいことは店員にお尋ねください。",
)
"""Chinese and Japanese, which put no space between words."""
