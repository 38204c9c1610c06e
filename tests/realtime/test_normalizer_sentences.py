"""The normaliser: whole sentences, as a language model writes them."""

import pytest

from realtime.normalizer import normalize

SENTENCES = """
Sure! Here are **3 tips** to get started with Python 3.12:
    Sure! Here are three tips to get started with Python three point twelve:

The meeting is on Tuesday, March 5th, 2024 at 9:30 a.m. in Room 204.
    The meeting is on Tuesday, March fifth, twenty twenty-four at nine thirty a.m. in Room two oh four.

Your order #48213 shipped on 11/18/2026 and should arrive in 2-3 business days.
    Your order number four eight two one three shipped on November eighteenth, twenty twenty-six and
    should arrive in two to three business days.

The total comes to $1,249.99, including 8.25% sales tax.
    The total comes to one thousand two hundred forty-nine dollars and ninety-nine cents, including
    eight point two five percent sales tax.

Revenue grew 12.5% year over year to $3.2 billion in Q3 2025.
    Revenue grew twelve point five percent year over year to three point two billion dollars in Q three
    twenty twenty-five.

You can reach us at (415) 555-0132 or support@example.com, 24/7.
    You can reach us at four one five, five five five, zero one three two or support at example dot com,
    twenty-four seven.

For more details, see https://docs.example.com/en/latest/install.html#linux.
    For more details, see docs dot example dot com slash en slash latest slash install dot html.

Preheat the oven to 375°F (190°C) and bake for 25–30 minutes.
    Preheat the oven to three hundred seventy-five degrees Fahrenheit (one hundred ninety degrees
    Celsius) and bake for twenty-five to thirty minutes.

Mix 1 1/2 cups of flour, 3/4 cup of sugar, and 2 tbsp. of butter.
    Mix one and a half cups of flour, three quarters cup of sugar, and two tablespoons of butter.

The Eiffel Tower is 330 m tall and was completed in 1889.
    The Eiffel Tower is three hundred thirty meters tall and was completed in eighteen eighty-nine.

Dr. Smith moved to St. Louis in the late 1990s, didn't he?
    Doctor Smith moved to Saint Louis in the late nineteen nineties, didn't he?

World War II ended in 1945; Henry VIII died in 1547.
    World War two ended in nineteen forty-five; Henry the eighth died in fifteen forty-seven.

Light travels at about 299,792,458 m/s, i.e., roughly 3 × 10^8 m/s.
    Light travels at about two hundred ninety-nine million seven hundred ninety-two thousand four
    hundred fifty-eight meters per second, that is, roughly three times ten to the power of eight meters
    per second.

H2O boils at 100 °C, while CO2 sublimates at -78.5 °C.
    H two O boils at one hundred degrees Celsius, while CO two sublimates at minus seventy-eight point
    five degrees Celsius.

Run `pip install requests` and then check that version 2.31.0 is installed.
    Run pip install requests and then check that version two point thirty-one point zero is installed.

The server at 192.168.1.10:8080 isn't responding (error 503).
    The server at one ninety-two dot one sixty-eight dot one dot ten port eight thousand eighty isn't
    responding (error five oh three).

Water is ~71% of Earth's surface, covering >360 million km².
    Water is about seventy-one percent of Earth's surface, covering more than three hundred sixty
    million square kilometers.

Use the formula E = mc², where c is the speed of light.
    Use the formula E equals mc squared, where c is the speed of light.

She finished 1st in 9.58 s, and he came 22nd.
    She finished first in nine point five eight seconds, and he came twenty-second.

Flight BA2490 departs at 14:05 from Gate B12.
    Flight BA two four nine zero departs at fourteen oh five from Gate B twelve.

Is 5 > 3? Yes, and 3 < 5, too.
    Is five greater than three? Yes, and three less than five, too.

The temperature dropped from 20°C to -5°C overnight!
    The temperature dropped from twenty degrees Celsius to minus five degrees Celsius overnight!

- **Option A**: costs $20/month
    Option A: costs twenty dollars per month

According to the study [1], 7 out of 10 users (≈70%) prefer dark mode.
    According to the study one, seven out of ten users (about seventy percent) prefer dark mode.

My rent is $1.5k, or 18% of a $100K salary.
    My rent is one point five thousand dollars, or eighteen percent of a one hundred thousand dollar
    salary.

A 5-year-old laptop with 16 GB of RAM and a 512 GB SSD is fine for this.
    A five-year-old laptop with sixteen gigabytes of RAM and a five hundred twelve gigabyte SSD is fine
    for this.

The U.S. population was 331.4 million in 2020, vs. 308.7 million in 2010.
    The U.S. population was three hundred thirty-one point four million in twenty twenty, versus three
    hundred eight point seven million in twenty ten.

Call me at +44 20 7946 0958 between 9am and 5pm.
    Call me at plus four four, two zero, seven nine four six, zero nine five eight between nine a.m. and
    five p.m.

I'd say it's a 50/50 chance, give or take 5%.
    I'd say it's a fifty-fifty chance, give or take five percent.

E.g., GPT-4o, Claude 3.5 and Llama 3 are all LLMs.
    For example, GPT four o, Claude three point five and Llama three are all LLMs.

He ran a 10K in under 45 min. Impressive, right? 🎉
    He ran a ten K in under forty-five minutes. Impressive, right?

The file `main_test.py` is in src/tests/ and/or lib/.
    The file main underscore test dot py is in src slash tests and or lib.

Between 2015 and 2020, sales rose by 1,500 units, i.e. 4x.
    Between twenty fifteen and twenty twenty, sales rose by one thousand five hundred units, that is
    four times.

The ratio is 16:9 at 1920x1080 and 60 fps.
    The ratio is sixteen to nine at one thousand nine hundred twenty by one thousand eighty and sixty
    frames per second.

Prof. Lee's office hours are Mon. & Wed., 2:00–3:30 p.m.
    Professor Lee's office hours are Monday and Wednesday, two o'clock to three thirty p.m.

It's the No. 1 song of the '80s, etc.
    It's the Number one song of the eighties, et cetera.

He's 6'2" and weighs 180 lbs.
    He's six foot two and weighs one hundred eighty pounds.

The deadline is 2026-12-31T23:59:00Z.
    The deadline is December thirty-first, twenty twenty-six, twenty-three fifty-nine U T C.

Follow @parrotfish on X with #VoiceAI!
    Follow at parrotfish on X with hashtag Voice AI!

Take Ave. of the Americas to 5th Ave., then turn left on Main St.
    Take Avenue of the Americas to fifth Avenue, then turn left on Main Street.

The U.S. won 3-2 in the 90th minute.
    The U.S. won three to two in the ninetieth minute.

It was founded c. 1850 and has 2,500+ employees.
    It was founded circa eighteen fifty and has two thousand five hundred plus employees.

"""
"""What is written, and below it what is said."""


@pytest.mark.parametrize("case", SENTENCES.strip().split("\n\n"))
def test_sentence(case: str) -> None:
    written, _, said = case.partition("\n")
    assert normalize(written).text == " ".join(said.split())
