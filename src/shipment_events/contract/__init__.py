"""The public contract: event, envelope, exact JSON, outcomes, names, schema. It does not use the AWS SDK."""
