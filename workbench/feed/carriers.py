"""The carriers of the feed, their places and the steps of their shipments.

The carriers are invented. Their codes are real:

- air freight: status codes of IATA Cargo-IMP (message FSU), as airlines and Cargo iQ use them: ``FWB``
  electronic air waybill received, ``RCS`` received from shipper, ``DEP`` departed, ``RCF`` received from
  flight, ``CCD`` cleared by customs, ``NFD`` consignee notified, ``DLV`` delivered, ``DIS`` discrepancy;
- post: event codes of the UPU's EMSEVT messages: ``EMA`` posting, ``EMC`` and ``EMD`` departure from and
  arrival at an office of exchange, ``EDB``, ``EME`` and ``EDC`` presented to, held by and returned from
  customs, ``EMG`` arrival at the delivery office, ``EDG`` out for delivery, ``EMH`` attempted delivery,
  ``EMI`` final delivery, ``EDX`` import ended;
- road freight in North America: ANSI X12, transaction set 214, data elements 1650 (status: ``AF`` departed
  pick-up, ``X4`` arrived at terminal, ``P1`` departed terminal, ``X6`` en route to delivery, ``AH`` attempted
  delivery, ``D1`` completed unloading, ``A3`` returned to shipper, ``SD`` delayed) and 1651 (reason);
- post and parcels: reasons of UN/EDIFACT code list 9013 (message IFTSTA: ``6`` attempt unsuccessful, ``7``
  business closed, ``9`` complementary address needed, ``13`` customs refusal, ``14`` damaged, ``16``
  destination incorrect, ``19`` discrepancy).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from workbench.feed.spelling import ASCII, PLAIN, SPACED


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A place where something happens to a shipment.

    Attributes:
        code: IATA's code of the airport, or of the nearest one.
        offset: offset of local time from UTC in ISO 8601. It is standard time all year: the moments are
            correct, but local times in summer may be an hour off.
    """

    city: str
    country: str
    code: str
    offset: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Milestone:
    """One step of a journey.

    Attributes:
        event: the event type without its prefix.
        where: the place of the journey.
        after: shortest and longest time since the step before, in minutes.
        chance: share of journeys that have it.
    """

    event: str
    where: Literal["origin", "hub", "destination"]
    after: tuple[int, int]
    chance: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """A carrier and its habits.

    Attributes:
        tracking_number: makes the tracking number from a shipment's serial number.
        places: where it picks up, transfers and delivers.
        way: the steps of every journey before its ending.
        endings: how journeys end. The first is the most frequent.
        codes: the carrier's own code and words for each type of event.
        reasons: code and words for each type of event that needs an explanation.
        resolution: resolution of its clocks in microseconds.
        local_time: whether it writes times with the place's offset instead of in UTC with ``Z``.
        event_ids: ``leg`` (tracking number, step and code), ``uuid``, ``sequence`` (1, 2, … within a
            shipment), ``sometimes`` (a UUID or null) or ``none``.
        estimates: whether it says when it expects to deliver, and changes that on the way.
        extra: further fields: exact numbers, nested objects, counts, or none.
        spaced: whether it writes a space after commas and colons.
        ascii_only: whether it writes other characters than ASCII as ``\\u`` escapes.
    """

    name: str
    shipment_prefix: str
    tracking_number: Callable[[int], str]
    places: tuple[Place, ...]
    way: tuple[Milestone, ...]
    endings: tuple[tuple[Milestone, ...], ...]
    codes: Mapping[str, tuple[str, str]]
    reasons: Mapping[str, tuple[tuple[str, str], ...]]
    resolution: int
    local_time: bool
    event_ids: Literal["leg", "uuid", "sequence", "sometimes", "none"]
    extra: Literal["numbers", "nested", "counts", "none"]
    estimates: bool = False
    spaced: bool = False
    ascii_only: bool = False

    def encode(self, value: object) -> str:
        """Encode a value as JSON in the carrier's spelling."""
        return (ASCII if self.ascii_only else SPACED if self.spaced else PLAIN)(value)

    def members(self, fields: Mapping[str, str]) -> str:
        """Join names and JSON texts to members of an object. Each member begins with a comma."""
        comma, colon = (", ", ": ") if self.spaced else (",", ":")
        return "".join([f'{comma}"{name}"{colon}{value}' for name, value in fields.items()])


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


_LODZ = Place("Łódź", "PL", "LCJ", "+01:00", 51.7769, 19.4547)
_KRAKOW = Place("Kraków", "PL", "KRK", "+01:00", 50.0614, 19.9366)
_ZURICH = Place("Zürich", "CH", "ZRH", "+01:00", 47.3769, 8.5417)
_KOELN = Place("Köln", "DE", "CGN", "+01:00", 50.9375, 6.9603)
_ATHENS = Place("Αθήνα", "GR", "ATH", "+02:00", 37.9838, 23.7275)
_CAIRO = Place("القاهرة", "EG", "CAI", "+02:00", 30.0444, 31.2357)
_KYIV = Place("Київ", "UA", "KBP", "+02:00", 50.4501, 30.5234)
_REYKJAVIK = Place("Reykjavík", "IS", "KEF", "+00:00", 64.1466, -21.9426)
_TOKYO = Place("東京", "JP", "NRT", "+09:00", 35.6762, 139.6503)
_OSAKA = Place("大阪", "JP", "KIX", "+09:00", 34.6937, 135.5023)
_SEOUL = Place("서울", "KR", "ICN", "+09:00", 37.5665, 126.978)
_KATHMANDU = Place("काठमाडौं", "NP", "KTM", "+05:45", 27.7172, 85.324)
_DELHI = Place("नई दिल्ली", "IN", "DEL", "+05:30", 28.6139, 77.209)
_SAO_PAULO = Place("São Paulo", "BR", "GRU", "-03:00", -23.5505, -46.6333)
_CHICAGO = Place("Chicago", "US", "ORD", "-06:00", 41.8781, -87.6298)
_MONTREAL = Place("Montréal", "CA", "YUL", "-05:00", 45.5019, -73.5674)
_ST_JOHNS = Place("St. John's", "CA", "YYT", "-03:30", 47.5615, -52.7126)
_CANCUN = Place("Cancún", "MX", "CUN", "-05:00", 21.1619, -86.8515)

_HOUR: Final = 60
_DAY: Final = 24 * _HOUR

_DELIVERED = (
    Milestone("out_for_delivery", "destination", (1 * _HOUR, 14 * _HOUR)),
    Milestone("delivered", "destination", (20, 8 * _HOUR)),
)
_SECOND_ATTEMPT = (
    Milestone("out_for_delivery", "destination", (1 * _HOUR, 14 * _HOUR)),
    Milestone("delivery_failed", "destination", (20, 8 * _HOUR)),
    Milestone("out_for_delivery", "destination", (12 * _HOUR, 1 * _DAY)),
    Milestone("delivered", "destination", (20, 8 * _HOUR)),
)
_RETURNED = (
    Milestone("out_for_delivery", "destination", (1 * _HOUR, 14 * _HOUR)),
    Milestone("delivery_failed", "destination", (20, 8 * _HOUR)),
    Milestone("returned", "origin", (1 * _DAY, 4 * _DAY)),
)
_COLLECTED_AT_AIRPORT = (
    Milestone("notified", "destination", (10, 3 * _HOUR)),
    Milestone("delivered", "destination", (2 * _HOUR, 3 * _DAY)),
)

_AIR_WAY = (
    Milestone("manifested", "origin", (0, 5)),
    Milestone("picked_up", "origin", (2 * _HOUR, 20 * _HOUR)),
    Milestone("departed", "origin", (30, 5 * _HOUR)),
    Milestone("arrived", "hub", (2 * _HOUR, 12 * _HOUR)),
    Milestone("exception", "hub", (5, 4 * _HOUR), chance=0.06),
    Milestone("departed", "hub", (3 * _HOUR, 30 * _HOUR)),
    Milestone("arrived", "destination", (2 * _HOUR, 14 * _HOUR)),
    Milestone("customs_released", "destination", (1 * _HOUR, 1 * _DAY), chance=0.7),
)
_POSTAL_WAY = (
    Milestone("picked_up", "origin", (0, 5)),
    Milestone("departed", "origin", (4 * _HOUR, 1 * _DAY)),
    Milestone("arrived", "hub", (6 * _HOUR, 3 * _DAY)),
    Milestone("customs_presented", "hub", (30, 6 * _HOUR), chance=0.6),
    Milestone("customs_held", "hub", (1 * _HOUR, 12 * _HOUR), chance=0.08),
    Milestone("customs_released", "hub", (1 * _HOUR, 2 * _DAY), chance=0.6),
    Milestone("arrived_at_delivery_office", "destination", (3 * _HOUR, 1 * _DAY)),
)
_PARCEL_WAY = (
    Milestone("picked_up", "origin", (0, 5)),
    Milestone("arrived", "hub", (1 * _HOUR, 6 * _HOUR)),
    Milestone("exception", "hub", (5, 2 * _HOUR), chance=0.05),
    Milestone("departed", "hub", (20, 5 * _HOUR)),
    Milestone("arrived", "destination", (2 * _HOUR, 10 * _HOUR)),
)
_FREIGHT_WAY = (
    Milestone("picked_up", "origin", (0, 5)),
    Milestone("arrived", "hub", (2 * _HOUR, 14 * _HOUR)),
    Milestone("departed", "hub", (1 * _HOUR, 16 * _HOUR)),
    Milestone("exception", "hub", (1 * _HOUR, 10 * _HOUR), chance=0.1),
    Milestone("arrived", "destination", (6 * _HOUR, 2 * _DAY)),
)

CARRIERS: Final[tuple[Carrier, ...]] = (
    Carrier(
        name="Meridian Air Cargo",
        shipment_prefix="MAC",
        tracking_number=air_waybill,
        places=(_LODZ, _ZURICH, _TOKYO, _SAO_PAULO, _ATHENS, _CAIRO, _DELHI, _KATHMANDU, _REYKJAVIK, _SEOUL),
        way=_AIR_WAY,
        endings=(_COLLECTED_AT_AIRPORT,),
        codes={
            "picked_up": ("RCS", "Received from shipper"),
            "manifested": ("FWB", "Electronic air waybill received"),
            "departed": ("DEP", "Departed"),
            "arrived": ("RCF", "Received from flight"),
            "exception": ("DIS", "Discrepancy"),
            "customs_released": ("CCD", "Cleared by customs"),
            "notified": ("NFD", "Consignee notified"),
            "delivered": ("DLV", "Delivered"),
        },
        reasons={"exception": (("OFLD", "Offloaded"), ("MSCA", "Missing cargo"), ("SSPD", "Short-shipped"))},
        resolution=60_000_000,
        local_time=False,
        event_ids="leg",
        estimates=True,
        extra="counts",
    ),
    Carrier(
        name="Poczta Wiślana",
        shipment_prefix="PW",
        tracking_number=postal_item,
        places=(_LODZ, _KRAKOW, _ATHENS, _CAIRO, _KYIV, _ZURICH, _MONTREAL, _ST_JOHNS, _KATHMANDU),
        way=_POSTAL_WAY,
        endings=(_DELIVERED, _SECOND_ATTEMPT, _RETURNED),
        codes={
            "picked_up": ("EMA", "Nadano przesyłkę"),
            "departed": ("EMC", "Wysłano z urzędu wymiany"),
            "arrived": ("EMD", "Nadejście do urzędu wymiany"),
            "customs_presented": ("EDB", "Przekazano do urzędu celnego"),
            "customs_held": ("EME", "Zatrzymano w urzędzie celnym"),
            "customs_released": ("EDC", "Zwolniono z urzędu celnego"),
            "arrived_at_delivery_office": ("EMG", "Nadejście do placówki oddawczej"),
            "out_for_delivery": ("EDG", "Wydano do doręczenia"),
            "delivery_failed": ("EMH", "Próba doręczenia"),
            "delivered": ("EMI", "Doręczono"),
            "returned": ("EDX", "Zwrócono do nadawcy"),
        },
        reasons={
            "customs_held": (("13", "Odmowa odprawy celnej"), ("19", "Niezgodność dokumentów")),
            "delivery_failed": (("6", "Adresat nieobecny"), ("9", "Niepełny adres")),
        },
        resolution=1_000_000,
        local_time=True,
        event_ids="none",
        extra="none",
    ),
    Carrier(
        name="Rheinkurier",
        shipment_prefix="RK",
        tracking_number=serial_shipping_container,
        places=(_KOELN, _ZURICH, _LODZ, _KRAKOW, _ATHENS),
        way=_PARCEL_WAY,
        endings=(_DELIVERED, _SECOND_ATTEMPT, _RETURNED),
        codes={
            "picked_up": ("PU", "Abgeholt"),
            "departed": ("DF", "Abgang aus der Sortieranlage"),
            "arrived": ("AF", "Eingang in die Sortieranlage"),
            "exception": ("EX", "Unregelmäßigkeit"),
            "out_for_delivery": ("OD", "In Zustellung"),
            "delivery_failed": ("NH", "Zustellung nicht möglich"),
            "delivered": ("OK", "Zugestellt"),
            "returned": ("RT", "Zurück an den Absender"),
        },
        reasons={
            "exception": (("14", "Beschädigt"), ("16", "Fehlgeleitet")),
            "delivery_failed": (("6", "Empfänger nicht angetroffen"), ("7", "Geschäft geschlossen")),
        },
        resolution=1_000,
        local_time=False,
        event_ids="uuid",
        estimates=True,
        extra="nested",
    ),
    Carrier(
        name="Prairie Line Freight",
        shipment_prefix="PLF",
        tracking_number=progressive_number,
        places=(_CHICAGO, _MONTREAL, _CANCUN, _ST_JOHNS),
        way=_FREIGHT_WAY,
        endings=(_DELIVERED, _SECOND_ATTEMPT, _RETURNED),
        codes={
            "picked_up": ("AF", "Carrier departed pick-up location with shipment"),
            "departed": ("P1", "Departed terminal location"),
            "arrived": ("X4", "Arrived at terminal location"),
            "exception": ("SD", "Shipment delayed"),
            "out_for_delivery": ("X6", "En route to delivery location"),
            "delivery_failed": ("AH", "Attempted delivery"),
            "delivered": ("D1", "Completed unloading at delivery location"),
            "returned": ("A3", "Shipment returned to shipper"),
        },
        reasons={
            "exception": (("AO", "Weather or natural disaster"), ("AI", "Mechanical breakdown")),
            "delivery_failed": (("A2", "Incorrect address"), ("B1", "Consignee closed")),
        },
        resolution=1,
        local_time=True,
        event_ids="sometimes",
        estimates=True,
        extra="numbers",
        spaced=True,
    ),
    Carrier(
        name="東風便",
        shipment_prefix="TFB",
        tracking_number=japanese_slip,
        places=(_TOKYO, _OSAKA, _SEOUL),
        way=_PARCEL_WAY,
        endings=(_DELIVERED, _SECOND_ATTEMPT, _RETURNED),
        codes={
            "picked_up": ("01", "荷物受付"),
            "departed": ("02", "発送済み"),
            "arrived": ("03", "作業店通過"),
            "exception": ("08", "調査中"),
            "out_for_delivery": ("04", "配達中"),
            "delivery_failed": ("06", "持戻"),
            "delivered": ("05", "配達完了"),
            "returned": ("09", "返品"),
        },
        reasons={
            "exception": (("61", "破損"), ("62", "住所不明")),
            "delivery_failed": (("71", "ご不在"), ("72", "休業")),
        },
        resolution=1_000_000,
        local_time=True,
        event_ids="sequence",
        extra="none",
        ascii_only=True,
    ),
)
