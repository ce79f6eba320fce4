"""What every Dovecot service process does, whatever it serves.

environment.py  what master says in the environment
process.py      the life of a process: start, accept, reload, stop
slots.py        how many more clients it takes, and when it has served enough
master.py       the pipes to and from master: status, death, login-notify
log.py          the log pipe
debugfilter.py  log_debug
loop.py         tasks that wait, with deadlines
signals.py      signals as events, with who sent them
sockets.py      connecting, accepting, peer credentials
connection.py   one connection of the loop, owner of its descriptor
descriptor.py   file descriptors in messages
options.py      command-line options
run.py          from the start-up line to the exit status
privileges.py   giving root up for good, and proving it
libc.py         the system calls that Python has no name for
title.py        the process title
"""
