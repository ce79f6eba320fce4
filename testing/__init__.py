"""Private Dovecots of several versions, their clients, logs and processes: what tests, bench and demo share.

Nothing here is a test, and nothing here needs pytest.
"""
