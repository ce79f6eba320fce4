"""Runs one of our executables and writes to the log what its start-up took.

It stands where the executable stood in Dovecot's configuration, under Dovecot's own interpreter line, and is
told in its first lines which executable it runs.  Only what it hooks is slower than in life: imports, the reading
of settings, and readiness, which is when the process begins to serve.
"""

HEAD = """\
#!/usr/bin/python3 -IBS
import builtins, os, sys, time
EXECUTABLE = {executable!r}
MARK = {mark!r}
"""

BODY = """
BEGUN = time.perf_counter()
SETTINGS = "dovecot_urlauth.config.read"
PROCESS = "dovecot_urlauth.service.process"
spent = {"imports": 0.0, "settings": 0.0}
modules = {}
nested = []
plain_import = builtins.__import__


def timed_import(name, globals=None, locals=None, fromlist=(), level=0):
    if level or name in sys.modules:
        return plain_import(name, globals, locals, fromlist, level)
    nested.append(0.0)
    begun = time.perf_counter()
    try:
        return plain_import(name, globals, locals, fromlist, level)
    finally:
        took = time.perf_counter() - begun
        modules[name] = took - nested.pop()
        if nested:
            nested[-1] += took
        else:
            spent["imports"] += took
        if name in HOOKS:
            HOOKS[name](sys.modules[name])


def hook_settings(module):
    for name in ("read_settings", "receive_config_fd", "read_config_file"):
        setattr(module, name, timed_settings(getattr(module, name)))


def timed_settings(function):
    def call(*arguments):
        inner = sum(spent.values())
        begun = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            spent["settings"] += time.perf_counter() - begun - (sum(spent.values()) - inner)

    return call


def hook_process(module):
    serve = module.ServiceProcess.serve

    def ready(*arguments):
        report()
        return serve(*arguments)

    module.ServiceProcess.serve = ready


def report():
    total = time.perf_counter() - BEGUN
    builtins.__import__ = plain_import
    slowest = sorted(modules.items(), key=lambda item: -item[1])[:12]
    words = [total, spent["imports"], spent["settings"], len(modules)]
    said = " ".join([MARK, *map(str, words), *(f"{name}={took}" for name, took in slowest)])
    os.write(2, said.encode() + b"\\n")


HOOKS = {SETTINGS: hook_settings, PROCESS: hook_process}
builtins.__import__ = timed_import
__file__ = EXECUTABLE
exec(compile(open(EXECUTABLE).read(), EXECUTABLE, "exec"))
"""


def probe(executable: str, mark: str) -> str:
    """The program that runs `executable` and begins its line in the log with `mark`."""
    return HEAD.format(executable=executable, mark=mark) + BODY
