# For an administrator: demo, install, uninstall, deb.  For a developer: dev, test and the targets below it.
PYTHON = /usr/bin/python3
PREFIX = /usr/local
DESTDIR =

DEBIAN_PACKAGES = dovecot-core dovecot-imapd dovecot-submissiond python3-venv python3-setproctitle procps
BUILDING_PACKAGES = debhelper lintian
SYSTEM_DOVECOT = /run/dovecot/master.pid
PIP = .venv/bin/pip install --quiet --disable-pip-version-check
TOX = .venv/bin/tox run

.PHONY: help install uninstall deb demo dev compiled test style types unit packaging limits dovecot next bench differential
.PHONY: sbom mutants fuzz faults soak debian building clean

help:
	@echo 'make demo                   fetch a message across users through a private Dovecot; as root,'
	@echo '                            installs Debian packages that it lacks, unless a Dovecot runs'
	@echo 'make install PREFIX=/dir    a self-contained installation and its conf.d'
	@echo 'make uninstall PREFIX=/dir  away with it, if Dovecot does not need it'
	@echo 'make deb                    a package for Debian 12, 13 and testing, in dist/'
	@echo 'make sbom                   what it is made of, as CycloneDX, in dist/'
	@echo 'make test                   the whole suite, against real Dovecots too'
	@echo 'make dev                    tools in .venv; compat/ then runs in place'
	@echo 'make next DOVECOT=/folder   the suite against a Dovecot that you built'
	@echo 'make style types unit packaging limits dovecot'
	@echo 'make bench differential mutants fuzz faults soak clean'

install:
	$(PYTHON) -IB install.py --prefix '$(PREFIX)' --destdir '$(DESTDIR)'

uninstall:
	$(PYTHON) -IB install.py --uninstall --prefix '$(PREFIX)' $(if $(CONFIG),-c '$(CONFIG)')

deb: building
	$(PYTHON) -B -m testing.packages dist

sbom:
	$(PYTHON) -B -m testing.sbom dist/dovecot-urlauth.cdx.json

# apt restarts a Dovecot that runs, dovecot-submissiond lets it listen for submission: its administrator decides
demo: RUNNING = $(SYSTEM_DOVECOT)
demo: debian
	$(PYTHON) -B demo.py

dev: .venv/tools compiled

# as Dovecot starts them, the executables never write byte code themselves
compiled: .venv/ready
	@$(PYTHON) -m compileall -q dovecot_urlauth

# what only a test needs: a dictionary behind Dovecot's dict service, errors at system calls
test dovecot next faults: DEBIAN_PACKAGES += dovecot-sqlite strace

test: dev building
	$(TOX)

packaging dovecot: building
style types unit packaging limits dovecot: dev
	$(TOX) -e $@

NEXT_TESTS = $(addprefix tests/,dovecot admin config message store/engine url)
# DOVECOT is the folder that a Dovecot of any version was installed into, with DESTDIR; nothing is built here
next: dev
	@test -x '$(DOVECOT)/usr/sbin/dovecot' || { echo 'make next DOVECOT=/folder, with /folder/usr/sbin/dovecot'; exit 2; }
	DOVECOT_URLAUTH_NEXT='$(DOVECOT)' DOVECOT_URLAUTH_VERSIONS=next .venv/bin/pytest -m dovecot -n 3 --dist loadgroup $(NEXT_TESTS)

bench: dev
	.venv/bin/python -m bench

differential: dev
	.venv/bin/python -m tests.dovecot.differential

SECONDS = 60
fuzz: dev
	$(PIP) --group fuzz
	.venv/bin/python -m fuzzing --seconds $(SECONDS)
	.venv/bin/python -m fuzzing.dialogues --seconds $(SECONDS)

MINUTES = 10
soak: dev
	.venv/bin/python -m testing.soak --minutes $(MINUTES)

faults: dev
	.venv/bin/python -m testing.faults

mutants: dev
	.venv/bin/python -m testing.mutants --dovecot $(MUTANTS)

# what the executables need: .venv/run is the one folder that those in compat/ and bin/ import from
.venv/ready: requirements.txt | debian
	$(PYTHON) -m venv --clear .venv
	$(PIP) --requirement requirements.txt
	mkdir .venv/run
	cd .venv/run && ln -s ../../dovecot_urlauth ../lib/python3*/site-packages/setproctitle .
	touch $@

# what developers need on top, and Debian's python3 for the installations that they test
.venv/tools: DEBIAN_PACKAGES += python3-zstandard python3-lz4 python3-cryptography
.venv/tools: .venv/ready pyproject.toml
	$(PIP) --upgrade 'pip>=25.1'
	$(PIP) --group dev
	touch $@

debian: WANTED = $(DEBIAN_PACKAGES)
building: WANTED = $(BUILDING_PACKAGES)
debian building:
	@missing=; for package in $(WANTED); do \
	  dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || missing="$$missing $$package"; \
	done; \
	test -z "$$missing" || { \
	  test "$$(id -u)" = 0 || { echo "these packages are missing:$$missing; run this as root" >&2; exit 2; }; \
	  ! kill -0 "$$(cat $(or $(RUNNING),/dev/null) 2>/dev/null)" 2>/dev/null || { \
	    echo "a Dovecot runs here, and these packages are missing:$$missing" >&2; \
	    echo "Installing them restarts it, and dovecot-submissiond adds submission to its protocols." >&2; \
	    echo "If that is well: apt-get install$$missing" >&2; exit 2; }; \
	  echo "installing$$missing"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get -q update && apt-get -q -y --no-install-recommends install $$missing </dev/null; }

clean:
	rm -rf .venv .tox build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis bench-results
	find . -name __pycache__ -prune -exec rm -rf {} +
