"""Twenty sentences that no part of the product has seen, for tests by ear."""

HELD = (
    "The harbour was quiet when the last boat came in.",
    "She keeps her letters in a small wooden box.",
    "Nobody remembered where the garden gate led to.",
    "We should leave before the rain begins.",
    "My brother repairs old clocks in the evening.",
    "There were seven lamps along the narrow street.",
    "Please put the kettle on and sit down with me.",
    "The teacher asked why the sky looks blue.",
    "He carried the heavy basket up the hill alone.",
    "They sold fresh bread and honey at the market.",
    "A cold wind blew across the empty square.",
    "I would rather walk than wait for the bus.",
    "The music stopped and everyone turned around.",
    "Her answer was short, but it was kind.",
    "Could you tell me how far the station is?",
    "The children built a bridge out of stones.",
    "After dinner we talked about the journey.",
    "Somebody had painted the door bright green.",
    "It takes a long time to learn a language.",
    "The river freezes every winter in January.",
)
