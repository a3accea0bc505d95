"""What is public: the event and its envelope, exact JSON, outcomes, names, the schema. No AWS SDK."""
