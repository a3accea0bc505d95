"""What every Lambda function of this package needs: its context, its log lines, its pauses."""
