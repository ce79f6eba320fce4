"""What start-up costs, and how it is saved: the one folder to read before moving to another Python.

Under stock service settings three interpreters start for each request, each of which needs 10 ms to start at
all.  What is saved of the rest, measured with Python 3.11 on Debian 12:

frozen.py      stands in for dataclasses (14 ms) and enum (7 ms)
cpython.py     CPython's own modules in place of socket (6 ms), signal (5 ms), ctypes (1 ms)
digest.py      and in place of hashlib and hmac (3 ms each)
immortal.py    not time but memory: what children of the worker share stays shared
preconnect.py  master starts the next stage while we import: 10 to 20 ms of each request

Modules whose names begin with an underscore are imported in this folder only.  Two things stand elsewhere: the
bundle, one file of byte code instead of a hundred searches in folders (15 ms), is in the package's own
``__init__.py``, since nothing of ours can be imported before it; the worker's warm-up is in the worker's room.
"""
