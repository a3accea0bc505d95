.DEFAULT_GOAL := help
SHELL := /bin/bash -o pipefail

# The stage: dev, staging or prod.
ENV ?= dev
# A file of events for 'make run'; without it a feed is generated.
FEED ?=
PYTHON ?= python3

VENV := .venv
ENGINE_VENV := .venv-engine
AUDIT_VENV := .venv-audit
BENCH_VENV := .venv-bench
BIN := $(VENV)/bin
# jsii and the CDK CLI run on the Node that the Python environment brings along.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export ENV
# npm trusts what this machine trusts, a company's own certificates for one.
export NODE_USE_SYSTEM_CA := 1

# uv takes seconds, pip a minute and a half; pip knows the proxies and certificates of pip's own configuration.
define install
$(BIN)/uv pip install --quiet --system-certs --python $(1)/bin/python --require-hashes -r $(2) \
  || { echo "uv could not install $(2); pip tries." >&2; \
       $(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(2); }
endef

# A package that was interrupted half installed counts as installed, so what did not get ready begins anew.
define begin
@if [ -e $(1)/.unfinished ]; then rm -rf $(1); fi
@mkdir -p $(1) && touch $(1)/.unfinished
@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
endef

# Anything but empty: a deploy also sets table and queues back to what the template says.
REVERT_DRIFT ?=

# A protected stage cannot be rolled back, so a stage is made without protection and gets it once it stands.
define deploy_to_aws
first="$$(python -m infrastructure.first_deploy)" || exit 1; \
  if [ -n "$$first" ]; then npx --no-install cdk deploy --require-approval never --context first_deploy=true || exit 1; fi; \
  npx --no-install cdk deploy --require-approval never $(if $(REVERT_DRIFT),--revert-drift)
endef

.PHONY: help
help: ## Show this help
	@if [ -t 1 ] && [ -z "$$NO_COLOR" ]; then bold="$$(printf '\033[1m')"; plain="$$(printf '\033[0m')"; fi; \
	awk -v bold="$$bold" -v plain="$$plain" 'BEGIN {FS = ":.*## "} \
	  /^[a-z-]+:.*## / {printf "  %s%-11s%s %s\n", bold, $$1, plain, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  ENV=dev|staging|prod chooses the stage, SHIPMENTS_PORT=4566 the port of the local engine."

.PHONY: setup
setup: $(VENV)/.ready $(ENGINE_VENV)/.ready ## Install everything, pinned by hash, into this folder

.PHONY: up
up: setup ## Start the local engine and deploy the stack to it
	@shipments local up

.PHONY: down
down: $(VENV)/.ready ## Stop the local engine
	@shipments local down

.PHONY: run
run: up ## Send a feed through the pipeline and account for every event (FEED=path for your own)
	@echo
	@eval "$$(shipments local env)" && queue="$$(shipments local subscribe)" && \
	  $(if $(FEED),shipments run "$(FEED)",shipments feed | shipments run -) $${queue:+--subscriber "$$queue"}

.PHONY: console
console: up ## Open the page about the local pipeline, with changes allowed
	@eval "$$(shipments local env)" && shipments console --open --allow-changes

.PHONY: drill
drill: setup ## Run the stack under faults on its own engine, and account for every event
	@shipments drill $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

# Tests wait for engines half of their time, so three workers keep two cores busy.
.PHONY: test
test: setup ## Run all tests but the slow ones, also those on the local engine
	@$(MAKE) --no-print-directory node_modules/.ready \
	  || echo "The npm packages could not be installed: the tests of the CDK CLI and of the prose linter are skipped." >&2
	@pytest --numprocesses 3 --dist loadfile

.PHONY: test-slow
test-slow: setup node_modules/.ready ## Run the tests that take long or need a machine that is not busy
	@pytest -m slow

.PHONY: pictures
pictures: setup ## Take the pictures of the console in docs/pictures again; needs Chromium
	@python -m workbench.pictures

.PHONY: audit
audit: setup $(AUDIT_VENV)/.ready ## Run all security checks on every stage; fail on findings that are not accepted
	@python -m workbench.audit

.PHONY: check
check: lint audit test ## All that CI runs, but not the slow tests: lint, audit and tests

.PHONY: lint
lint: setup node_modules/.ready ## Lint, format, strict types and plain English
	@ruff check .
	@ruff format --check .
	@mypy
	@node_modules/.bin/textlint --format unix README.md CONTRIBUTING.md SECURITY.md docs

.PHONY: mutants
mutants: setup ## Put each known mistake back, one at a time; fail if no test fails
	@python -m workbench.mutants.run $(if $(ONLY),--only $(ONLY))

.PHONY: scale
scale: setup $(BENCH_VENV)/.ready ## Simulate the stage up to 100,000 events a second and say what breaks first
	@PYTHONPATH=src $(BENCH_VENV)/bin/python -m benchmarks.scale_model --write

.PHONY: bench
bench: setup synth $(BENCH_VENV)/.ready ## Measure it beside other designs (ONLY=processor for a part, WRITE=1 for the document)
	@PYTHONPATH=src $(BENCH_VENV)/bin/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(WRITE),--write)

.PHONY: docs
docs: setup ## Write the parts of documents that come from code
	@python -m workbench.documents

.PHONY: format
format: $(VENV)/.ready ## Format the code and fix what the linter can
	@ruff check --quiet --fix-only .
	@ruff format .

.PHONY: synth
synth: $(VENV)/.ready ## Write the CloudFormation template to cdk.out/
	@python -m infrastructure.app
	@echo "cdk.out/shipmentevents-$(ENV).template.json"

.PHONY: diff
diff: setup node_modules/.ready ## Show what a deploy would change; reads only
	@npx --no-install cdk diff --method=template

.PHONY: bootstrap
bootstrap: setup node_modules/.ready ## Prepare an AWS account and region for CDK, once
	@npx --no-install cdk bootstrap

.PHONY: deploy
deploy: setup node_modules/.ready ## Deploy to AWS, or to the local engine if AWS_ENDPOINT_URL names it
	@$(if $(findstring //127.0.0.1:,$(AWS_ENDPOINT_URL)),shipments local deploy,$(deploy_to_aws))

.PHONY: destroy
destroy: setup node_modules/.ready ## Take the stack down; table and queues stay
	@npx --no-install cdk destroy

.PHONY: adopt
adopt: synth node_modules/.ready ## Import the tables and queues that a destroyed stack left; then run make deploy REVERT_DRIFT=1
	@python -m infrastructure.first_deploy >/dev/null
	@python -m infrastructure.retained cdk.out/shipmentevents-$(ENV).template.json cdk.out/retained.json
	@npx --no-install cdk import --resource-mapping cdk.out/retained.json </dev/null

.PHONY: lock
lock: $(VENV)/.ready ## Resolve the dependencies again and pin them by hash
	@for group in setup dev engine audit bench; do \
	  uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
	    --group $$group --output-file requirements-$$group.lock $$([ $$group = dev ] && echo --extra console pyproject.toml) || exit 1; \
	done
	@npm install --package-lock-only

.PHONY: clean
clean: ## Stop the local engine and remove all that was installed or made
	@if [ -x $(BIN)/shipments ]; then shipments local down; fi
	@rm -rf $(VENV) $(ENGINE_VENV) $(AUDIT_VENV) $(BENCH_VENV) node_modules cdk.out .local .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.ready: requirements-setup.lock requirements-dev.lock pyproject.toml workbench/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV) …"
	$(call begin,$(VENV))
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-setup.lock
	@$(call install,$(VENV),requirements-dev.lock)
	@$(BIN)/uv pip install --quiet --offline --python $(BIN)/python --no-deps --no-build-isolation --editable . --editable workbench
	@mv $(VENV)/.unfinished $@

$(ENGINE_VENV)/.ready: requirements-engine.lock $(VENV)/.ready
	@echo "Setting up $(ENGINE_VENV), the local engine's own …"
	$(call begin,$(ENGINE_VENV))
	@$(call install,$(ENGINE_VENV),requirements-engine.lock)
	@mv $(ENGINE_VENV)/.unfinished $@

$(AUDIT_VENV)/.ready: requirements-audit.lock $(VENV)/.ready
	@echo "Setting up $(AUDIT_VENV), the auditors' own …"
	$(call begin,$(AUDIT_VENV))
	@$(call install,$(AUDIT_VENV),requirements-audit.lock)
	@mv $(AUDIT_VENV)/.unfinished $@

$(BENCH_VENV)/.ready: requirements-bench.lock pyproject.toml $(VENV)/.ready
	@echo "Setting up $(BENCH_VENV), for measuring and drawing …"
	$(call begin,$(BENCH_VENV))
	@$(call install,$(BENCH_VENV),requirements-bench.lock)
	@mv $(BENCH_VENV)/.unfinished $@

node_modules/.ready: package-lock.json $(VENV)/.ready
	@npm ci --silent
	@touch $@
