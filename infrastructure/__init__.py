"""What is deployed: one construct a file.

``stack.py`` wires them. An event meets them in this order:

- ``ingestion.py``: the bus, its rules and its archive.
- ``buffering.py``: the queue and the dead-letter queue.
- ``processing.py``: the function that stores events, a ``bundled_function.py`` as all functions are.
- ``storage.py``: the table and its index.
- ``stream_source.py``: the table's stream for a function that follows it, and the queue of its failures.
- ``tracking.py``: the function that follows it and keeps the states of shipments.
- ``shipments.py``: the table of the states of shipments and its indexes.
- ``announcing.py``: the bus of their changes and its archive.
- ``watching.py``: the function that announces stalled and overdue shipments, and its schedule.
- ``api.py``: the HTTP API that reads shipments, and its function.

What watches it: ``log_metrics.py`` and ``metrics.py`` (values), ``alarms.py``, ``tracking_alarms.py`` and
``api_alarms.py`` (the table of alarms, in terms of ``alarm_spec.py``, ``function_alarms.py`` and
``stream_alarms.py``), ``monitoring.py`` and ``chat.py`` (who is told), ``dashboard.py`` (with
``console_hosts.py``), ``rollout.py`` (whether a new version stays).

What all of them share: ``encryption.py``, ``retention.py``, ``tables.py``.

How it is deployed: ``app.py`` synthesizes, ``validation.py`` refuses what would lose events,
``acknowledgements.py`` lists the findings that are accepted, ``first_deploy.py`` and ``retained.py`` help
``make deploy`` and ``make adopt``.
"""
