"""Tracking numbers in the forms of their standards, made from the serial number of a shipment."""


def air_waybill(serial: int) -> str:
    """IATA air waybill number: airline prefix, seven digits, and their remainder modulo 7.

    IATA Resolution 600a defines it. No airline has the prefix 000.
    """
    number = serial % 10**7
    return f"000-{number:07d}{number % 7}"


def postal_item(serial: int) -> str:
    """UPU S10 identifier: service indicator, eight digits, check digit and country.

    The digits have the weights 8, 6, 4, 2, 3, 5, 9 and 7. The check digit is 11 minus the sum modulo 11; 10
    becomes 0 and 11 becomes 5 (UPU standard S10).
    """
    number = f"{serial % 10**8:08d}"
    weights = (8, 6, 4, 2, 3, 5, 9, 7)
    rest = 11 - sum(int(digit) * weight for digit, weight in zip(number, weights, strict=True)) % 11
    check = {10: 0, 11: 5}.get(rest, rest)
    return f"RR{number}{check}PL"


def serial_shipping_container(serial: int) -> str:
    """GS1 SSCC of 18 digits: extension digit, company prefix, serial reference and check digit.

    The weights 3 and 1 alternate from the right. The check digit makes the sum a multiple of ten (GS1 General
    Specifications 7.9.1). Company prefixes that begin with 952 are for examples.
    """
    number = f"09521234{serial % 10**9:09d}"
    weighted = sum(int(digit) * (3, 1)[index % 2] for index, digit in enumerate(reversed(number)))
    return f"{number}{-weighted % 10}"


def progressive_number(serial: int) -> str:
    """PRO number of a North American road carrier: nine digits without a common check digit."""
    return f"{serial % 10**9:09d}"


def japanese_slip(serial: int) -> str:
    """Slip number of Japanese parcel carriers: eleven digits and their remainder modulo 7 ("7DR")."""
    number = 40_000_000_000 + serial % 10**9
    return f"{number}{number % 7}"
