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

from typing import Final

from workbench.feed.carrier import Carrier, Milestone, Place
from workbench.feed.tracking_numbers import (
    air_waybill,
    japanese_slip,
    postal_item,
    progressive_number,
    serial_shipping_container,
)

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
