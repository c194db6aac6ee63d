"""Orders of a small shop. Money is in cents, weight in grams."""


def subtotal(lines):
    """Returns the sum over pairs of price and quantity."""
    return sum(price * quantity for price, quantity in lines)


def postage(grams):
    """Returns what it costs to send a parcel of this weight."""
    if grams <= 0:
        raise ValueError("a parcel weighs something")
    return 390 if grams <= 1000 else 590
