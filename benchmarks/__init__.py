"""What measures, simulates and draws; nothing here is deployed or installed."""
