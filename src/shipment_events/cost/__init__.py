"""What a stage costs a month at AWS's list prices, by item, and what other designs would cost.

Knows neither AWS SDKs nor CDK: the numbers of a stage are those of :mod:`shipment_events.stages`.
"""
