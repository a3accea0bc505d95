"""Shipment events: publish, store once and in order, find, repair."""
