"""What several Lambda functions share: context, log lines, pauses, the client of DynamoDB."""
