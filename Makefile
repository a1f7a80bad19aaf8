# Two commands do all the set-up: `make demo` runs the main job, `make test` passes the tests.
# Every target creates and reuses .venv in this folder, with the versions of constraints.txt.

PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
INSTALLED := .venv/.installed
FETCHED := .venv/.fetched

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"trivium needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is {v[0]}.{v[1]}: run  make PYTHON=python3.12 ...")'
	@echo "1 of 3: making .venv"
	@$(PYTHON) -m venv .venv
	@echo "2 of 3: installing the packages of constraints.txt into .venv; three to four minutes the first time"
	@while sleep 30 >/dev/null && kill -0 $$$$; do echo "        still installing: $$(du -sm .venv | cut -f1) MB so far"; done 2>/dev/null & \
	beat=$$!; trap 'kill $$beat 2>/dev/null' EXIT INT TERM; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(FETCHED): $(INSTALLED) src/trivium/upstream/catalogue.py
	@echo "3 of 3: fetching the frozen models, 180 MB, unless they are there"
	@$(BIN)/trivium upstream fetch
	@touch $@

demo: $(FETCHED)  ## a corpus and a raw clip become vectors, answers and one HTML report (CLIP=your.mp4 for your own)
	$(BIN)/python demo/run.py $(if $(CLIP),--clip "$(CLIP)")

test: export OMP_NUM_THREADS = 1
test: $(FETCHED)  ## all tests, doctests included
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

check: $(INSTALLED)  ## style, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src/trivium tests benchmarks

bench: $(FETCHED)  ## speed: alignment, store, embedding, extraction (JSON on the screen)
	$(BIN)/python benchmarks/align.py
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/embed.py
	$(BIN)/python benchmarks/extract.py

docs: $(INSTALLED)  ## regenerate the pages that are made from the code
	$(BIN)/python docs/generate.py

clean:  ## remove the environment and everything that was generated
	rm -rf .venv demo-output runs
