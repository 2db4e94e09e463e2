# Everything a person types. Needs Python 3.11+ and make; the rest is fetched, checked against locks, into .venv,
# .recarga and the user's Maven cache.

THIS_PYTHON := $(if $(PYTHON),--this-python)
PYTHON ?= python3
# Services are started over and over: each would compile itself anew.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
RUN := $(VENV)/bin/python
SQL := $(wildcard services/*/migrations/*.sql shared/*/migrations/*.sql)

.DEFAULT_GOAL := help
# What can be imported, and the module that does it.
IMPORT_offerings := services.catalog.offerings.imports
IMPORT_prices := services.catalog.prices.imports
IMPORT_subscriptions := services.provisioning.subscriptions.imports
IMPORT_payment-methods := services.payment.methods.imports
IMPORT_mandates := services.renewal.rules.mandate_imports
IMPORT_rules := services.renewal.rules.imports
IMPORT_buckets := services.usage.imports
IMPORT_usage := services.usage.records.imports

.PHONY: help demo up down clean status import operator-token test exhaustive simulate mutants check format bench bench-against bench-usage bench-crossing bench-import shadow outage chaos crash-usage lock local dev
.PHONY: check-format check-lint check-types check-layers check-migrations check-images check-alerts
.SUFFIXES:

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-20s %s\n", $$1, $$2}'

demo: local ## set up, start everything, run a day of renewals, check the books, stop (USAGE=path: your own usage records)
	@$(RUN) -m deploy.local.demo $(if $(USAGE),--usage "$(USAGE)")

up: local ## start the stack and leave it running
	@$(RUN) -m deploy.local up

down: local ## stop the stack; data survives
	@$(RUN) -m deploy.local down

status: local ## tell what runs
	@$(RUN) -m deploy.local status

clean: local ## stop the stack and remove its data
	@$(RUN) -m deploy.local clean

import: local ## bring in what was there before, from CSV (WHAT=subscriptions FILE=path; IMPORT=--check only judges it; docs/imports.md)
	@test -n "$(IMPORT_$(WHAT))" || { echo "WHAT says what is in the file: $(patsubst IMPORT_%,%,$(filter IMPORT_%,$(.VARIABLES)))" >&2; exit 2; }
	@test -n "$(FILE)" || { echo "FILE names the file; docs/imports.md has its columns" >&2; exit 2; }
	@$(RUN) -m $(IMPORT_$(WHAT)) "$(FILE)" $(IMPORT)

operator-token: local ## print a token that names an operator (NAME=ana, ROLE=viewer or operator, HOURS=12)
	@$(RUN) -m deploy.local operator-token "$(NAME)" $(if $(ROLE),--role "$(ROLE)") $(if $(HOURS),--hours "$(HOURS)")

# Four workers for two cores: most tests wait for a lease, a poll or a process, and use a third of a core.
test: dev ## run every test, on a Kafka and a PostgreSQL of its own
	@$(RUN) -m pytest -n 4 --dist loadgroup $(TESTS)

exhaustive: dev ## go every way that one renewal can go, and hold every promise in every state (DEEPER=1: with one deviation more)
	@$(RUN) -m tests.exhaustive $(if $(DEEPER),--deeper $(DEEPER))

simulate: dev ## run many renewals on virtual time, with faults chosen by seed (SEEDS=5000 FROM=1: how many, the first)
	@$(RUN) -m tests.simulation --seeds $(or $(SEEDS),1000) --from $(or $(FROM),1)

mutants: dev ## put deliberate and generated defects into copies of the tree and see which tests notice (MUTANTS="--only text")
	@$(RUN) -m tests.mutants $(MUTANTS)

check: check-format check-lint check-types check-layers check-migrations check-images check-alerts ## format, lint, types, layers, migrations, Dockerfile, compose file, alerts

check-format: dev
	$(VENV)/bin/ruff format --check .

check-lint: dev
	$(VENV)/bin/ruff check .

check-types: dev
	$(VENV)/bin/mypy deploy services shared tests

check-layers: dev
	$(VENV)/bin/lint-imports

check-migrations: dev
	@for file in $(SQL); do \
	  told=$$(sed '/^-- migrate:down/,$$d' $$file | $(VENV)/bin/squawk --stdin-filepath $$file) || { echo "$$told"; exit 1; }; \
	done; echo "$(words $(SQL)) migrations are safe to run"

check-images: dev
	$(VENV)/bin/hadolint deploy/compose/Dockerfile
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

check-alerts: dev
	@command -v promtool >/dev/null && command -v amtool >/dev/null || { echo "promtool or amtool is missing: install Debian's prometheus and prometheus-alertmanager packages" >&2; exit 1; }
	$(RUN) -m pytest tests/unit/compose/check_alerts.py

format: dev ## put the code into the house's format
	@$(VENV)/bin/ruff check --fix --quiet . ; $(VENV)/bin/ruff format .

bench: dev ## measure throughput, latency and CPU per renewal
	@$(RUN) -m tests.bench

bench-against: dev ## measure an older version and this one in turn, medians of five (VERSION=v0.3.0)
	@$(RUN) -m tests.bench.against $(or $(VERSION),v0.3.0)

bench-usage: dev ## measure usage records a second, from a thousand subscriptions to a million
	@$(RUN) -m tests.bench.usage

bench-crossing: dev ## measure the time from a record that crosses a threshold to its top-up
	@$(RUN) -m tests.bench.crossing

shadow: local ## last month as we would have done it, beside what was charged (USAGE= CHARGES=; docs/adoption.md)
	@$(foreach file,USAGE CHARGES,test -n "$($(file))" || { echo "$(file) names a file; docs/adoption.md says which" >&2; exit 2; };) \
	$(RUN) -m deploy.local.shadow --usage "$(USAGE)" --charges "$(CHARGES)" \
	  $(if $(SUBSCRIPTIONS),--subscriptions "$(SUBSCRIPTIONS)") $(if $(RULES),--rules "$(RULES)") \
	  $(if $(OFFERINGS),--offerings "$(OFFERINGS)") $(if $(MANDATES),--mandates "$(MANDATES)") $(if $(PRICES),--prices "$(PRICES)") \
	  $(if $(PAYMENT_METHODS),--payment-methods "$(PAYMENT_METHODS)") $(if $(BUCKETS),--buckets "$(BUCKETS)") \
	  $(if $(OUT),--out "$(OUT)") $(SHADOW)

bench-import: dev ## import a million subscriptions, until every service knows them (SUBSCRIPTIONS=1000000)
	@$(RUN) -m tests.bench.imports $(if $(SUBSCRIPTIONS),--subscriptions $(SUBSCRIPTIONS))

chaos: dev ## kill, stop and lie under load, then compare all books (SEED=7 MINUTES=10: the seed repeats a run)
	@$(RUN) -m tests.chaos --seed $(or $(SEED),7) --minutes $(or $(MINUTES),10)

crash-usage: dev ## kill what counts usage and compare every bucket with the raw file (RECORDS=1000000 KILLS=5 SEED=7)
	@$(RUN) -m tests.crash_usage --records $(or $(RECORDS),1000000) --kills $(or $(KILLS),5) --seed $(or $(SEED),7)

outage: dev ## put renewals behind a carrier's outage and see what becomes of them (OUTAGE="--renewals 10000 --rate 200 --seconds 120")
	@$(RUN) -m tests.outage $(OUTAGE)

lock: dev ## renew the locks of the Python packages and of the Maven artifacts
	@for group in services: local:local dev:local,dev; do \
	  name=$${group%%:*}; groups=$$(echo "$${group#*:}" | tr ',' '\n' | sed '/^$$/d; s/^/--group /'); \
	  $(VENV)/bin/uv pip compile --quiet --generate-hashes --universal --no-header --python-version 3.11 \
	    pyproject.toml $$groups -o requirements/$$name.lock || exit 1; \
	done
	@$(RUN) -m deploy.local.artifact_lock

# A Python that was named is taken; of those that are just there, the fastest.
ENVIRONMENT := $(PYTHON) deploy/local/environment.py $(VENV)
local: ; @$(ENVIRONMENT) requirements/local.lock $(THIS_PYTHON)
dev: ; @$(ENVIRONMENT) requirements/dev.lock $(THIS_PYTHON)
