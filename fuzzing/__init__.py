"""Coverage-guided fuzzing of every parser, and of whole dialogues with a real Dovecot.

    make fuzz SECONDS=60                        each target for a minute, and a table
    python -m fuzzing imapurl --seconds 3600    one target for an hour
    python -m fuzzing --inputs 10000000         all targets in turns, until there were so many inputs
    python -m fuzzing.dialogues --seconds 60    mutated dialogues over the three sockets of a running Dovecot

Each file of `targets/` has one target: its invariant in a sentence on top, `seeds()`, the inputs to begin with,
taken from the data of the tests, and `check(data)`, which raises for an input that breaks the invariant.  What is
found becomes a unit test.
"""
