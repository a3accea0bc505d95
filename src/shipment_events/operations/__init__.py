"""What people do with the pipeline: publish files, read timelines, run a feed, reconcile."""
