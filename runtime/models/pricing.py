"""What an answer costs, and how long one may be for a given cost (pure): integers of micro-dollars, never rounded down.

Prices are per million tokens (rows.py); tokens of the cache without a price of their own cost what other input does. If a
price is not known, neither is the cost: None, and nothing can be reserved for it.
"""

from typing import Final

from runtime.models.messages import Usage
from runtime.models.rows import Model

MILLION: Final = 1_000_000


def cost(usage: Usage, model: Model | None) -> int | None:
    """Return the micro-dollars of an answer, rounded up once for all of it; None if a price that it needs is not known."""
    if model is None:
        return None
    priced = model.priced(usage.input + usage.cached + usage.cache_written)
    other = priced.input_price
    rows = (
        (usage.input, other),
        (usage.cached, other if priced.cached_price is None else priced.cached_price),
        (usage.cache_written, other if priced.cache_written_price is None else priced.cache_written_price),
        (usage.output, priced.output_price),
    )
    total = 0
    for tokens, price in rows:
        if tokens and price is None:
            return None
        total += tokens * (price or 0)
    return -(-total // MILLION)


def longest_answer(prompt: int, model: Model | None, tokens: int, micro_dollars: int) -> int | None:
    """Return the most tokens that an answer may have, so that with its prompt it keeps to both bounds; None without a bound.

    prompt: its tokens, each counted at the dearest price it may have. tokens, micro_dollars: the bounds, 0 for none. Below 0:
    not even the prompt fits. If a price is not known, money is no bound.
    """
    bounds: list[int] = []
    if tokens:
        bounds.append(tokens - prompt)
    if micro_dollars and model is not None:
        priced = model.priced(prompt)
        if priced.input_price is not None and priced.output_price is not None:
            dearest = max(priced.input_price, priced.cache_written_price or 0)
            left = micro_dollars * MILLION - prompt * dearest
            if priced.output_price:
                bounds.append(left // priced.output_price)
            elif left < 0:
                bounds.append(-1)
    return min(bounds) if bounds else None
