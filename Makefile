# Three commands do everything: `make demo`, `make test` and `make faults`. All install what they need first.

# Outside the checkout, so that another clean checkout does not compile the world again.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/counterfoil/target

CLIENTS := tests/clients
PYTHON  := $(CLIENTS)/python/.venv/bin/python

.PHONY: demo test faults lint setup setup-node setup-clients setup-examples help

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: setup-node ## Run the main job on a local chain; stays up until Ctrl-C
	cargo build --locked --quiet
	$(CARGO_TARGET_DIR)/debug/counterfoil demo $(DEMO_FLAGS)

test: setup ## Run every test
	cargo test --locked

faults: setup-node ## Buy two thousand times while everything fails, and reckon up (COUNTERFOIL_FAULTS_PURCHASES, …_SEED)
	COUNTERFOIL_FAULTS_PURCHASES=$${COUNTERFOIL_FAULTS_PURCHASES:-2000} cargo test --locked --test faults

lint: ## Formatting, lints, docs and the licences of what is built in
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
	@if command -v cargo-deny >/dev/null; then cargo deny --log-level error check licenses bans sources; \
	else echo "cargo-deny is not installed: licences and bans are not checked"; fi

setup: setup-node setup-clients setup-examples ## Install what tests and demo need

setup-node: contracts/node_modules/.package-lock.json

setup-clients: $(CLIENTS)/typescript/node_modules/.package-lock.json $(CLIENTS)/python/.venv/.installed
	cargo build --locked --quiet --manifest-path $(CLIENTS)/rust/Cargo.toml

setup-examples: examples/typescript/node_modules/.package-lock.json examples/python/.venv/.installed \
	examples/curl/.venv/.installed

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

%/.venv/.installed: %/requirements.txt
	cd $* && python3 -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@
