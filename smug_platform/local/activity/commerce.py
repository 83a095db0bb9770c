"""Print orders: placed with one to five lines, on their way, refunded in part or whole.

An order's total is the sum of its lines plus tax, rounded half up to cents, unless it was refunded
whole; a discount and a part that was refunded are lines with a negative price.
"""

from decimal import ROUND_HALF_UP, Decimal

from smug_platform.local.activity import words
from smug_platform.local.activity.turn import Turn
from smug_platform.local.activity.world import Order

_CENT = Decimal("0.01")
_NEXT = {"placed": "printed", "printed": "shipped"}


def place_order(turn: Turn) -> None:
    """A member orders prints of photos of this shard."""
    account = turn.town.accounts.pick(turn.rng, lean=2)
    if account is None or not turn.town.photos:
        return
    rng, now = turn.rng, turn.clock.tick()
    _, currency, tax, cities = words.COUNTRIES[account.country]
    order = Order(turn.ticket(), account, "placed", Decimal(tax))
    coupon = rng.choice((None, None, None, b"", b"SPRING", rng.randbytes(24)))
    for _ in range(rng.randint(1, 5)):
        product = rng.choice(list(words.PRODUCTS))
        _add_line(turn, order, product, Decimal(words.PRODUCTS[product]))
    if coupon:
        _add_line(turn, order, "discount", -(order.net / 10).quantize(_CENT), quantity=1)
    turn.transaction.insert(
        "orders",
        {
            "id": order.id,
            "account_id": account.id,
            "status": order.status,
            "total": _total(order),
            "tax_rate": order.tax_rate,
            "currency": currency,
            "ship_to": rng.choice((None, "", f"{rng.choice(cities)}, Straße {rng.randint(1, 99)}")),
            "coupon": coupon,
            "placed_at": now,
            "updated_at": now,
        },
    )
    account.orders.add(order)
    turn.town.orders.add(order)
    turn.did("place_order")


def order_step(turn: Turn) -> None:
    """An order is printed, or shipped."""
    order = _open_order(turn)
    if order is not None:
        order.status = _NEXT[order.status]
        _update(turn, order)
        turn.did(f"order_{order.status}")


def refund(turn: Turn) -> None:
    """A whole order is given back, or one line of it goes as a negative price."""
    order = turn.town.orders.pick(turn.rng)
    if order is None or order.status == "refunded":
        return
    if turn.rng.random() < 0.5 and order.net > 0:
        _add_line(turn, order, "refund", -(order.net / 2).quantize(_CENT), quantity=1)
        turn.did("refund_part")
    else:
        order.status = "refunded"
        turn.did("refund")
    _update(turn, order)


def _add_line(
    turn: Turn, order: Order, product: str, price: Decimal, *, quantity: int | None = None
) -> None:
    photo = turn.photo()
    quantity = quantity or turn.rng.choice((1, 1, 1, 2, 3, 10))
    order.lines += 1
    order.net += quantity * price
    turn.transaction.insert(
        "order_items",
        {
            "order_id": order.id,
            "line_number": order.lines,
            "photo_id": photo.id if photo else 0,
            "product": product,
            "quantity": quantity,
            "unit_price": price,
        },
    )


def _update(turn: Turn, order: Order) -> None:
    turn.transaction.update(
        "orders",
        {"status": order.status, "total": _total(order), "updated_at": turn.clock.tick()},
        {"id": order.id},
    )


def _total(order: Order) -> Decimal:
    return (order.net * (1 + order.tax_rate)).quantize(_CENT, ROUND_HALF_UP)


def _open_order(turn: Turn) -> Order | None:
    looks = (turn.town.orders.pick(turn.rng) for _ in range(8))
    return next((order for order in looks if order and order.status in _NEXT), None)
