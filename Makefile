# Every target is a line or two; what is longer lives in scripts/.
.DEFAULT_GOAL := help
.PHONY: help install test-deps demo up test test-unit test-fault check test-cluster test-kubelets audit fix bench docs clean

help: ## show this list
	@echo "Pierhead: self-hosted model serving that speaks PAI-EAS and ZStack AIOS on the wire"
	@echo
	@echo "Start here:   make demo     (first time about two minutes, most of it downloads)"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "Pass options with ARGS, e.g.  make demo ARGS=--keep   make test ARGS='-k planner'"

install: ## make .venv with everything, the console and the compiled gateway (quick when nothing changed)
	@PYTHON="$(PYTHON)" sh scripts/install.sh

demo: ## start the platform, serve a small model through the official SDK, ask it, stop
	@since=$$(date +%s.%N) && $(MAKE) --no-print-directory install && PIERHEAD_DEMO_SINCE=$$since .venv/bin/pierhead demo $(ARGS)

up: install ## start the platform in the foreground
	@.venv/bin/pierhead up $(ARGS)

test-deps: install ## install what only the tests need (PostgreSQL, Node clients)
	@sh scripts/install-test-deps.sh

test: test-deps ## run all tests
	@sh scripts/test.sh $(ARGS)

test-unit: install ## run the unit tests only (seconds)
	@.venv/bin/pytest -q -n 2 tests/unit $(ARGS)

test-fault: test-deps ## play every fault, a line for each at the end (ARGS=--record-faults writes the docs' table)
	@env -u PYTHONDONTWRITEBYTECODE PYTHONPATH=tests .venv/bin/pytest -q -n 3 --dist loadfile -p fault_record \
		$$(.venv/bin/python tests/fault_list.py) $(ARGS)

test-cluster: install ## test against a real Kubernetes control plane (first: .venv/bin/python scripts/cluster build)
	@.venv/bin/pytest -q -n 3 --dist worksteal -o faulthandler_timeout=300 tests/cluster $(ARGS)

test-kubelets: install ## test with containers on two real kubelets (root, cgroup v1; first as for test-cluster)
	@PIERHEAD_TEST_KUBELETS=$${PIERHEAD_TEST_KUBELETS:-1} .venv/bin/pytest -q -o faulthandler_timeout=600 tests/kubelets $(ARGS)

check: install ## lint, types, layers, generated pages, change fragments, dependencies (lock, licences)
	@sh scripts/check.sh

audit: install ## ask the OSV database about known vulnerabilities of the locked packages (needs the internet)
	@.venv/bin/uv audit --frozen --preview-features audit-command $(ARGS)

fix: install ## mend format, simple lint and the generated pages
	@.venv/bin/ruff check --fix --quiet . || true
	@.venv/bin/ruff format --quiet .
	@.venv/bin/python scripts/generate_docs.py

bench: install ## measure start, memory, CPU per call, create-to-Running, install size
	@.venv/bin/python -m bench $(ARGS)

docs: install ## build the documentation into site/ (English and Chinese)
	@sh scripts/docs.sh

clean: ## remove what can be made again (keeps .venv and data folders)
	@rm -rf site build dist web/dist src/pierhead/web/static src/pierhead/_compiled .pytest_cache .ruff_cache .import_linter_cache .hypothesis .cache bench/out
	@find src tests scripts bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
