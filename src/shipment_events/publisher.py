"""The old module of the publisher. It will be removed in the next version."""

import warnings

from shipment_events.publishing.entries import *  # noqa: F403
from shipment_events.publishing.publisher import *  # noqa: F403

warnings.warn(
    "shipment_events.publisher will be removed in the next version: import Publisher from shipment_events",
    DeprecationWarning,
    stacklevel=2,
)
