"""Accounts and their paid plans: sign-ups, profiles, trials, upgrades, late payments, churn."""

import json
from datetime import date, timedelta
from decimal import Decimal

from smug_platform.local.activity import words
from smug_platform.local.activity.sql import Value
from smug_platform.local.activity.turn import Turn
from smug_platform.local.activity.world import Account, Subscription

_FLAGS = ("", "", "", "", "verified", "verified", "adult", "verified,adult", "staff,verified")
_LOCALES = ("en-US", "de-DE", "pt-BR", "ja-JP")
# From a status, what comes next and how often; a cancelled one is over.
_NEXT = {
    "trial": (("active", 55), ("cancelled", 25)),
    "active": (("past_due", 12), ("upgrade", 12), ("cancelled", 9)),
    "past_due": (("active", 60), ("cancelled", 40)),
}


def sign_up(turn: Turn) -> None:
    """A new account; four in ten take a plan at once, most of those on trial."""
    rng, now = turn.rng, turn.clock.tick()
    country = words.country(rng)
    account = Account(turn.ticket(), country)
    handle = f"{words.name(rng).split()[0].lower()}{account.id % 100_000}"
    turn.transaction.insert(
        "accounts",
        {
            "id": account.id,
            "screen_name": handle,
            "display_name": rng.choice((None, "", words.name(rng), words.name(rng))),
            "email": f"{handle}@example.com",
            "password_hash": rng.randbytes(32),
            "country": country,
            "city": rng.choice((None, *words.COUNTRIES[country][3])),
            "plan": account.plan,
            "flags": rng.choice(_FLAGS),
            "preferences": _preferences(turn),
            "storage_bytes": 0,
            "born_on": _born_on(turn),
            "signup_ip": rng.choice((None, rng.randbytes(4), rng.randbytes(16))),
            "created_at": now,
            "updated_at": now,
        },
    )
    turn.town.settle(account)
    turn.did("sign_up")
    if rng.random() < 0.4:
        subscribe(turn, account)


def subscribe(turn: Turn, account: Account | None = None) -> None:
    """A paid plan for an account that has none that runs."""
    account = account or turn.town.accounts.pick(turn.rng)
    if account is None or any(held.status != "cancelled" for held in account.subscriptions):
        return
    rng, now = turn.rng, turn.clock.tick()
    status = "trial" if rng.random() < 0.7 else "active"
    held = Subscription(turn.ticket(), account, words.paid_plan(rng), status)
    turn.transaction.insert(
        "subscriptions",
        {
            "id": held.id,
            "account_id": account.id,
            "plan": held.plan,
            "status": status,
            "price": Decimal(0) if rng.random() < 0.02 else Decimal(words.PLANS[held.plan][0]),
            "currency": words.COUNTRIES[account.country][1],
            "started_at": now,
            "cancelled_at": None,
        },
    )
    account.subscriptions.add(held)
    turn.town.subscriptions.add(held)
    turn.did(f"subscription_{status}")
    if status == "active":
        _set_plan(turn, account, held.plan)


def subscription_step(turn: Turn) -> None:
    """The next step in the life of some subscription."""
    held = turn.town.subscriptions.pick(turn.rng)
    if held is None or held.status == "cancelled":
        return
    steps = _NEXT[held.status]
    step = turn.rng.choices([name for name, _ in steps], [share for _, share in steps])[0]
    change: dict[str, Value]
    if step == "upgrade":
        plans = [plan for plan in words.PLANS if plan != held.plan]
        held.plan = turn.rng.choice(plans)
        change = {"plan": held.plan, "price": Decimal(words.PLANS[held.plan][0])}
    else:
        held.status = step
        change = {"status": step}
    if step == "cancelled":
        change["cancelled_at"] = turn.clock.tick()
    turn.transaction.update("subscriptions", change, {"id": held.id})
    turn.did(f"subscription_{step}")
    _set_plan(turn, held.account, "free" if step == "cancelled" else held.plan)


def edit_profile(turn: Turn) -> None:
    """A member, most often one of the busy ones, changes the profile."""
    rng = turn.rng
    account = turn.hot_account() if rng.random() < 0.6 else turn.member()
    if account is None:
        return
    changes: tuple[dict[str, Value], ...] = (
        {"display_name": words.name(rng)},
        {"display_name": None},
        {"preferences": _preferences(turn)},
        {"flags": rng.choice(_FLAGS)},
        {"city": rng.choice((None, *words.COUNTRIES[account.country][3]))},
    )
    change = rng.choice(changes) | {"updated_at": turn.clock.tick()}
    turn.transaction.update("accounts", change, {"id": account.id})
    turn.did("edit_profile")


def _set_plan(turn: Turn, account: Account, plan: str) -> None:
    if account.plan != plan:
        account.plan = plan
        turn.transaction.update(
            "accounts", {"plan": plan, "updated_at": turn.clock.tick()}, {"id": account.id}
        )


def _preferences(turn: Turn) -> str | None:
    rng = turn.rng
    if rng.random() < 0.3:
        return rng.choice((None, "{}", "null", '{"theme": "dark",  "theme": "dark"}'))
    chosen = {
        "locale": rng.choice(_LOCALES),
        "mail": {"weekly": rng.random() < 0.5, "since": 1.5e3},
        "motto": words.title(rng),
        "max": 2**53 + 1,
    }
    return json.dumps(chosen, ensure_ascii=rng.random() < 0.3)


def _born_on(turn: Turn) -> date | None:
    """A third says nothing; the oldest was born in 1921, long before 1970."""
    if turn.rng.random() < 0.33:
        return None
    return date(1921, 3, 1) + timedelta(days=int(turn.rng.betavariate(4, 2) * 31_700))
