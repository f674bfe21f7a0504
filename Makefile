# Every target sets up what it needs in .venv, in addition to what is there, and does nothing twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := -m pip install --quiet --disable-pip-version-check
SETUP := pyproject.toml constraints.txt
PYTEST := -m pytest -n logical --maxprocesses 8 --dist worksteal
SKLEARN_VERSIONS := 1.6 1.7 1.8 1.9
SKLEARN_TESTS := $(SKLEARN_VERSIONS:%=test-sklearn-%)
# Of its time: later releases of SciPy make these versions of scikit-learn warn about themselves.
SCIPY_1.6 := <1.16
SCIPY_1.7 := <1.16

# Two installers must never work on one environment at the same time, not even under `make -j`.
.NOTPARALLEL:
.PRECIOUS: %/.created $(VENV)/.ready-%
.PHONY: help demo test test-sklearn-versions $(SKLEARN_TESTS) test-site browser lint docs dist bench clean

help:
	@echo "make demo   judge, train, save and load a mixture on the bundled clips, and write a report page"
	@echo "            (about a minute, after some minutes of installing the first time)"
	@echo "make test   run the whole test suite"
	@echo "make lint   formatting, lint and types"
	@echo "make docs   build the documentation into docs/_build/html"
	@echo "make test-site  build the documentation and look at its pages in a browser (headless Chromium)"
	@echo "make dist   build wheel and sdist, and run the quickstart from the installed wheel"
	@echo "make bench  run the programs behind the figures of the performance page"
	@echo "make test-sklearn-versions  run the tests against scikit-learn $(SKLEARN_VERSIONS)"
	@echo "make clean  remove the environments and everything that was built"

# A stamp is touched last, so whatever was interrupted is done again.
%/.created:
	@echo "Creating $* ..."
	@$(PYTHON) -m venv $*
	@touch $@

$(VENV)/.ready-%: $(SETUP) | $(VENV)/.created
	@echo "Installing the requirements of '$*' into $(VENV) (minutes the first time) ..."
	@$(BIN)/python $(INSTALL) -c constraints.txt -e '.[$*]'
	@touch $@

demo: $(VENV)/.ready-report
	$(BIN)/python examples/plot_quickstart.py

test: $(VENV)/.ready-test
	$(BIN)/python $(PYTEST)

test-sklearn-versions: $(SKLEARN_TESTS)

# Each version in an environment of its own, .venv-sklearn-1.6 and so on.
$(SKLEARN_TESTS): test-sklearn-%: .venv-sklearn-%/.ready
	.venv-sklearn-$*/bin/python $(PYTEST)

$(SKLEARN_VERSIONS:%=.venv-sklearn-%/.ready): .venv-sklearn-%/.ready: $(SETUP) | .venv-sklearn-%/.created
	@echo "Installing the requirements of 'test' with scikit-learn $* (minutes the first time) ..."
	@grep -vE '^(scikit-learn|scipy)==' constraints.txt > .venv-sklearn-$*/constraints.txt
	@.venv-sklearn-$*/bin/python $(INSTALL) -c .venv-sklearn-$*/constraints.txt \
		-e '.[test]' 'scikit-learn==$*.*' 'scipy$(SCIPY_$*)'
	@touch $@

lint: $(VENV)/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.ready-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

test-site: $(VENV)/.ready-site browser docs
	@echo "Screenshots of the main pages will be in docs/_build/screenshots."
	$(BIN)/python -m pytest docs/test_site.py

browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
		echo "Installing Debian's chromium and chromium-driver by apt-get ..."; \
		become=$$(test "$$(id -u)" = 0 || echo sudo); \
		$$become apt-get update -qq && $$become apt-get install -y -qq --no-install-recommends \
			chromium chromium-driver; \
	}

# The wheel is tried where nothing of the checkout can be imported.
dist: $(VENV)/.ready-test
	rm -rf dist .venv-dist
	$(BIN)/python $(INSTALL) build
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python $(INSTALL) -c constraints.txt "$$(ls dist/*.whl)[report]"
	mkdir -p .venv-dist/try && cp examples/plot_quickstart.py .venv-dist/try
	cd .venv-dist/try && MPLBACKEND=agg ../bin/python plot_quickstart.py

bench: $(VENV)/.ready-test
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf $(VENV) .venv-sklearn-* docs/_build docs/auto_examples docs/api/generated docs/sg_execution_times.rst
	rm -rf build dist *.egg-info .venv-dist
