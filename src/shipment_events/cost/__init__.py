"""What a stage costs a month at AWS's list prices, by item, and what other designs would cost.

Knows neither AWS SDKs nor CDK: the numbers of a stage come in through the protocol ``BilledSettings``.
"""
