"""The old place of the publisher, for one version more."""

import warnings

from shipment_events.publishing.entries import *  # noqa: F403
from shipment_events.publishing.publisher import *  # noqa: F403

warnings.warn(
    "shipment_events.publisher goes with the next version: import Publisher from shipment_events",
    DeprecationWarning,
    stacklevel=2,
)
