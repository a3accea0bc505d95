"""What a stage costs a month at AWS's list prices, and what other designs would cost.

This room does not use the AWS SDK or the CDK. The settings of a stage are in :mod:`shipment_events.stages`.
"""
