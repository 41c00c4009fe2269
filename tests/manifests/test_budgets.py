"""Budgets are never overshot, in whatever order calls begin and end and the clock jumps; what is lost counts in full."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from manifests.amounts import dollars_text, parse_dollars, parse_tokens, tokens_text
from manifests.budgets import (
    HOME,
    UNITS,
    USED_UP,
    WARN_AT,
    Account,
    Reservation,
    Reservations,
    Shortage,
    allowances,
    effective_budget,
    format_amount,
    full_costs,
    is_for_good,
    least_left,
    shortage_refusal,
    used_up_until,
)  # fmt: skip
from manifests.errors import ValueInvalid
from manifests.ledger import NOTHING, Ledger, Sum, apply_entry, cost_of, minus, plus, sum_of, window_end, window_number
from manifests.schema import Allowance, Budget, Window
from wire.amounts import Cost
from wire.entries import Entry, time_micros, time_text

DAY = 86_400_000_000
HOUR = DAY // 24
START = time_micros("2026-11-26T10:30:00.000000Z")
HANDS = ("h-a", "h-b", "h-c")


def tokens(*amounts: tuple[int, Window]) -> Budget:
    return Budget(tokens=tuple(Allowance(amount=amount, window=window) for amount, window in amounts))


class AnyOrder(RuleBasedStateMachine):
    """Hands ask, are answered, die and ask within what they answer, in any order, while the clock goes where it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger, self.reservations, self.now, self.number = Ledger(), Reservations(), START, 0
        self.open: dict[int, Reservation] = {}
        self.budgets = {
            HOME: Budget(
                tokens=(Allowance(amount=300, window="day"),), dollars=(Allowance(amount=200, window="month"),)
            ),
            "h-a": tokens((100, "hour"), (150, "day")),
            "h-b": tokens((120, "month")),
            "h-c": Budget(),
        }
        self.kept: dict[tuple[str, str, int, int], int] = {}
        """By payer, window, its number and the unit: what this test itself has seen spent."""

    def accounts(self, payers: tuple[str, ...]) -> list[Account]:
        return [Account(payer, payer, self.budgets[payer]) for payer in payers]

    @rule(by=st.sampled_from(HANDS), most=st.tuples(st.integers(0, 80), st.integers(0, 60)), above=st.integers(0, 50))
    def begin(self, by: str, most: Sum, above: int) -> None:
        within = list(self.open.values())[above] if above < len(self.open) else None
        payers = (by, HOME) if within is None else tuple(dict.fromkeys((by, *within.payers)))
        self.ledger.tick(self.now)
        if self.reservations.find_shortage(self.ledger, self.accounts(payers), most, within, self.now) is None:
            self.number += 2
            self.open[self.number] = self.reservations.open(self.number, payers, most, within)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 1_000), part=st.integers(0, 100))
    def end(self, which: int, part: int) -> None:
        """A call ends, those made for it before, with a part of what it may still cost; 100: nobody could tell."""
        number = sorted(self.open)[which % len(self.open)]
        reservation = self.open[number]
        for made in [one for one in self.open if self.open[one].within is reservation]:
            self.end(sorted(self.open).index(made), part)
        tokens, micro = reservation.unspent
        self.settle(reservation, (tokens * part // 100, micro * part // 100))
        self.reservations.close(self.open.pop(number))

    def settle(self, reservation: Reservation, spent: Sum) -> None:
        self.ledger.spend(reservation.payers, cost_of(spent), "x.y", self.now)
        self.reservations.spend(reservation, spent)
        for payer in reservation.payers:
            for window in ("hour", "day", "month"):
                for place in (0, 1):
                    key = (payer, window, window_number(window, self.ledger.clock), place)
                    self.kept[key] = self.kept.get(key, 0) + spent[place]

    @rule(by=st.integers(-3 * DAY, 3 * DAY))
    def clock_jumps(self, by: int) -> None:
        self.now = max(0, self.now + by)

    @rule(by=st.integers(0, 2 * HOUR))
    def time_goes_on(self, by: int) -> None:
        self.now += by

    @rule()
    def kernel_is_killed(self) -> None:
        """Nothing is reserved any more; what was is spent."""
        most = {number: reservation.most for number, reservation in self.open.items()}
        within = {
            number: reservation.within.number
            for number, reservation in self.open.items()
            if reservation.within is not None
        }
        spent = {number: reservation.inner for number, reservation in self.open.items()}
        for number, left in full_costs(most, within, spent).items():
            self.settle(self.open[number], left)
        self.reservations, self.open = Reservations(), {}

    @invariant()
    def no_allowance_is_ever_exceeded(self) -> None:
        for (payer, window, _, place), spent in self.kept.items():
            for unit, one in allowances(self.budgets[payer]):
                assert (unit, one.window) != (place, window) or spent <= one.amount

    @invariant()
    def what_is_spent_and_reserved_fits(self) -> None:
        for account in self.accounts((HOME, *HANDS)):
            for room in self.reservations.rooms(self.ledger, account, self.now):
                assert room.spent + room.reserved <= room.amount
                assert room.left == room.amount - room.spent - room.reserved

    @invariant()
    def what_is_reserved_is_what_open_calls_may_still_cost(self) -> None:
        for account in self.accounts((HOME, *HANDS)):
            alone = (0, 0)
            for reservation in self.open.values():
                if account.payer in reservation.added_payers:
                    alone = plus(alone, reservation.unspent)
            for room in self.reservations.rooms(self.ledger, account, self.now):
                assert room.reserved == alone[UNITS.index(room.unit)]


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40)


@given(st.lists(st.integers(-400 * DAY, 400 * DAY), max_size=30))
def test_budget_time_never_goes_back_and_no_faster_than_the_clock(jumps: list[int]) -> None:
    ledger, now = Ledger(), START
    ledger.tick(now)
    for jump in jumps:
        before, seen, now = ledger.clock, now, max(0, now + jump)
        ledger.tick(now)
        assert before <= ledger.clock
        assert ledger.clock - before <= max(0, now - seen)


def test_after_the_clock_was_set_back_a_window_still_ends_and_no_window_comes_twice() -> None:
    ledger, reservations, account = Ledger(), Reservations(), Account("h-a", "a", tokens((100, "day")))
    ledger.spend(["h-a"], Cost(tokens=100, micro_dollars=0), "x.y", START)
    for now in (START - 1, START - DAY, START - 400 * DAY):
        ledger.tick(now)
        (room,) = reservations.rooms(ledger, account, now)
        assert (room.spent, room.is_used_up) == (100, True)
        assert reservations.rooms(ledger, account, room.ends - 1)[0].spent == 100
        assert reservations.rooms(ledger, account, room.ends)[0].spent == 0
        assert now < room.ends <= now + 2 * DAY


def test_windows_are_those_of_utc() -> None:
    assert window_end("hour", window_number("hour", START)) == time_micros("2026-11-26T11:00:00.000000Z")
    assert window_end("day", window_number("day", START)) == time_micros("2026-11-27T00:00:00.000000Z")
    assert window_end("month", window_number("month", START)) == time_micros("2026-12-01T00:00:00.000000Z")
    assert window_end("month", window_number("month", START + 30 * DAY)) == time_micros("2027-01-01T00:00:00.000000Z")
    for window in ("hour", "day", "month"):
        end = window_end(window, window_number(window, START))
        assert window_number(window, end) == window_number(window, end - 1) + 1 == window_number(window, START) + 1


def test_a_new_window_begins_with_nothing_spent() -> None:
    ledger, reservations = Ledger(), Reservations()
    account = Account("h-a", "a", tokens((100, "hour"), (150, "day")))
    ledger.spend(["h-a"], Cost(tokens=100, micro_dollars=0), "x.y", START)
    short = reservations.find_shortage(ledger, [account], (60, 0), None, START)
    assert short is not None
    assert short.room is not None
    assert (short.room.window, short.left, is_for_good(short)) == ("hour", 0, True)
    short = reservations.find_shortage(ledger, [account], (60, 0), None, START + HOUR)
    assert short is not None
    assert short.room is not None
    assert (short.room.window, short.left) == ("day", 50)
    assert reservations.find_shortage(ledger, [account], (50, 0), None, START + HOUR) is None
    assert reservations.find_shortage(ledger, [account], (100, 0), None, START + DAY) is None


def test_a_call_for_another_is_paid_out_of_what_that_may_cost() -> None:
    ledger, reservations = Ledger(), Reservations()
    above, home = Account("h-a", "a", tokens((100, "day"))), Account(HOME, "", tokens((100, "day")))
    provider = Account("h-b", "b", tokens((30, "day")))
    outer = reservations.open(2, ("h-a", HOME), (100, 0), None)
    payers = [provider, above, home]
    assert reservations.find_shortage(ledger, payers, (30, 0), outer, START) is None
    inner = reservations.open(4, ("h-b", "h-a", HOME), (30, 0), outer)
    short = reservations.find_shortage(ledger, [above, home], (71, 0), outer, START)
    assert short is not None
    assert (short.room, short.left) == (None, 70)
    assert "may cost 70 tokens more, and this one 71 tokens" in shortage_refusal(short).why
    assert least_left(reservations.rooms(ledger, above, START), outer) == (70, 0)
    ledger.spend(inner.payers, cost_of((20, 0)), "x.y", START)
    reservations.spend(inner, (20, 0))
    reservations.close(inner)
    assert (outer.unspent, outer.left) == ((80, 0), (80, 0))
    assert [room.reserved for room in reservations.rooms(ledger, above, START)] == [80]
    assert [room.reserved for room in reservations.rooms(ledger, provider, START)] == [0]


def test_what_is_lost_is_counted_once() -> None:
    most = {2: (100, 10), 4: (60, 10), 6: (20, 0)}
    assert full_costs(most, {4: 2, 6: 4}, {2: (30, 0), 4: (10, 0)}) == {6: (20, 0), 4: (30, 10), 2: (20, 0)}
    assert full_costs({2: (5, 5)}, {2: 0}, {2: (9, 0)}) == {2: (0, 5)}


def test_a_charge_is_taken_back_only_in_the_windows_it_was_made_in() -> None:
    ledger = Ledger()
    ledger.spend(["h-a"], Cost(tokens=50, micro_dollars=5), "x.y", START)
    at = ledger.clock
    ledger.spend(["h-a"], Cost(tokens=10, micro_dollars=1), "x.y", START + HOUR)
    ledger.give_back(["h-a", "h-gone"], Cost(tokens=40, micro_dollars=5), at)
    spent = ledger.by_window("h-a", START + HOUR)
    assert spent["hour"] == {"tokens": 10, "micro_dollars": 1}
    assert spent["day"] == spent["month"] == {"tokens": 20, "micro_dollars": 1}


def test_a_late_word_takes_back_what_was_too_much_and_counts_what_was_too_little() -> None:
    ledger = Ledger()
    ledger.spend(["h-a"], Cost(tokens=50, micro_dollars=5), "x.y", START)
    detail: dict[str, object] = {
        "payers": ["h-a"], "at": ledger.clock, "method": "x.z", "back": {"tokens": 40, "micro_dollars": 0},
        "more": {"tokens": 0, "micro_dollars": 7},
    }  # fmt: skip
    fields = {"seq": 0, "prev": "0" * 64, "time": time_text(START), "kind": "budget", "principal": "kernel"}
    apply_entry(ledger, Entry(**fields, verdict="corrected", detail=detail))  # type: ignore[arg-type]
    assert ledger.by_window("h-a", START)["day"] == {"tokens": 10, "micro_dollars": 12}
    assert ledger.costly == {"x.y", "x.z"}
    apply_entry(ledger, Entry(**fields, detail={"hand": "h-a", "unit": "tokens", "window": "day", "percent": 80}))  # type: ignore[arg-type]
    assert ledger.tally("h-a", "day", START).told == {"tokens": 80}


def test_a_call_without_most_needs_some_room() -> None:
    ledger, reservations, account = Ledger(), Reservations(), Account("h-a", "a", tokens((100, "day")))
    assert reservations.find_shortage(ledger, [account], None, None, START) is None
    held = reservations.open(2, ("h-a",), (100, 0), None)
    assert reservations.find_shortage(ledger, [account], None, None, START) is not None
    reservations.close(held)
    assert reservations.find_shortage(ledger, [account], None, None, START) is None
    assert reservations.find_shortage(
        ledger, [account], None, reservations.open(4, (), (0, 0), None), START
    ) == Shortage(None, "tokens", 1, 0)
    for some in ((1, 0), (0, 1)):
        assert reservations.find_shortage(ledger, [account], None, reservations.open(6, (), some, None), START) is None


def test_a_call_without_most_is_paid_out_of_what_is_reserved_for_what_it_is_made_for() -> None:
    """That may be all that there is: it has its room there, and needs none besides."""
    ledger, reservations = Ledger(), Reservations()
    above, home = Account("h-a", "a", tokens((100, "day"))), Account(HOME, "", tokens((100, "day")))
    whole = reservations.open(2, ("h-a", HOME), (100, 0), None)
    assert reservations.find_shortage(ledger, [above, home], None, whole, START) is None
    assert reservations.find_shortage(ledger, [above, home], None, None, START) is not None
    full = Account("h-b", "b", tokens((0, "day")))
    short = reservations.find_shortage(ledger, [full, above, home], None, whole, START)
    assert short is not None
    assert short.room is not None
    assert short.room.payer == "h-b"
    reservations.spend(whole, (100, 0))
    assert reservations.find_shortage(ledger, [above, home], None, whole, START) == Shortage(None, "tokens", 1, 0)


@pytest.mark.parametrize(("spent", "unit"), [((100, 7), "tokens"), ((7, 100), "micro_dollars"), ((99, 99), "")])
def test_a_call_without_most_needs_room_in_each_unit_that_what_it_is_made_for_may_cost(spent: Sum, unit: str) -> None:
    reservations = Reservations()
    outer = reservations.open(2, (HOME,), (100, 100), None)
    reservations.spend(outer, spent)
    short = reservations.find_shortage(Ledger(), [Account(HOME, "", Budget())], None, outer, START)
    assert short == (Shortage(None, unit, 1, 0) if unit else None)


def test_the_refusal_says_whose_budget_how_much_and_until_when() -> None:
    ledger, reservations = Ledger(), Reservations()
    ledger.spend(["h-a", HOME], Cost(tokens=150_000, micro_dollars=1_500_000), "x.y", START)
    reservations.open(2, ("h-a", HOME), (20_000, 0), None)
    mine = Account("h-a", "summariser", tokens((200_000, "day")))
    short = reservations.find_shortage(ledger, [mine], (50_000, 0), None, START)
    assert short is not None
    assert shortage_refusal(short).code == "over_budget"
    assert shortage_refusal(short).why == (
        "summariser may spend 200k tokens a day, has spent 150k tokens, and calls under way may take 20k tokens: 30k tokens "
        "are left, and this needs 50k tokens; the day ends 2026-11-27T00:00Z, and `maniple budget summariser tokens=…` "
        "allows more"
    )
    assert not is_for_good(short)
    home = Account(HOME, "", Budget(dollars=(Allowance(amount=2_000_000, window="hour"),)))
    short = reservations.find_shortage(ledger, [home], (0, 3_000_000), None, START)
    assert short is not None
    assert (
        "the home may spend 2.00 dollars an hour, has spent 1.50 dollars: 0.50 dollars are left"
        in shortage_refusal(short).why
    )
    assert "no window has room for it, and `maniple budget dollars=…` allows more" in shortage_refusal(short).why
    assert not is_for_good(short)


def test_how_far_a_window_is_used_is_told_once() -> None:
    ledger, reservations, account = Ledger(), Reservations(), Account("h-a", "a", tokens((100, "day")))

    def percent() -> int:
        return reservations.rooms(ledger, account, START)[0].percent

    ledger.spend(["h-a"], Cost(tokens=79, micro_dollars=0), "x.y", START)
    assert (percent(), used_up_until(reservations.rooms(ledger, account, START))) == (0, 0)
    ledger.spend(["h-a"], Cost(tokens=1, micro_dollars=0), "x.y", START)
    assert percent() == WARN_AT
    ledger.note_told("h-a", "tokens", "day", USED_UP, START)
    assert percent() == USED_UP
    assert used_up_until(reservations.rooms(ledger, account, START)) == time_micros("2026-11-27T00:00:00.000000Z")
    assert reservations.rooms(ledger, account, START + DAY)[0].notified == 0
    ledger.forget_told("h-a")
    assert percent() == WARN_AT
    ledger.spend(["h-a"], Cost(tokens=20, micro_dollars=0), "x.y", START)
    assert percent() == USED_UP


def test_the_operators_word_stands_over_the_hands_for_each_unit() -> None:
    own = Budget(tokens=(Allowance(amount=1, window="day"),), dollars=(Allowance(amount=2, window="day"),))
    his = tokens((5, "hour"))
    assert effective_budget(own, None) == own
    assert effective_budget(own, his) == Budget(tokens=his.tokens, dollars=own.dollars)


def test_methods_that_cost_nothing_are_not_costly() -> None:
    ledger = Ledger()
    ledger.spend(["h-a"], NOTHING, "x.free", START)
    ledger.spend(["h-a"], Cost(tokens=0, micro_dollars=1), "x.dear", START)
    assert ledger.costly == {"x.dear"}
    assert sum_of(None) == (0, 0) == minus((1, 1), (2, 3))


@given(st.integers(0, 10**15))
def test_amounts_are_read_back_as_they_are_written(amount: int) -> None:
    assert parse_tokens(f"{tokens_text(amount)}/day") == Allowance(amount=amount, window="day")
    assert parse_dollars(f"{dollars_text(amount)}/month") == Allowance(amount=amount, window="month")


@pytest.mark.parametrize(
    "text", ["", "/day", "1", "1/Day", "1/day ", "-1/day", "1.5/day", "1 k/day", "٣/day", "1e3/day"]
)
def test_what_is_no_number_of_tokens_is_refused(text: str) -> None:
    with pytest.raises(ValueInvalid):
        parse_tokens(text)


def test_amounts_for_people() -> None:
    assert format_amount("tokens", 200_000, "day") == "200k tokens a day"
    assert format_amount("tokens", 1) == "1 token"
    assert format_amount("micro_dollars", 50_000, "hour") == "0.05 dollars an hour"
