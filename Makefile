# The commands of this repository. `make` alone says what there is.

.DEFAULT_GOAL := help
.PHONY: help run test interop check bench clean

# Which build `make run` runs: `make run PROFILE=dev` is built sooner and runs slower.
PROFILE ?= release
# Flags for `keyward serve`: make run ARGS='--ephemeral'
ARGS ?=

help:
	@echo 'make run     install what is missing, build, serve     ARGS="--ephemeral"  PROFILE=dev'
	@echo 'make test    install what is missing, run all tests    ARGS="name_of_a_test"'
	@echo 'make interop try grpcurl, Python, proxies and more   ARGS="docs"  INTEROP_REQUIRE=all'
	@echo 'make check   format, lints, documentation: what must be clean before a commit'
	@echo 'make bench   install what is missing, build, measure    ARGS="unary"  ARGS="--help"'
	@echo 'make clean   remove what was built; data and settings stay'

# Sets PGBIN only if PostgreSQL lies where keyward does not look by itself.
postgres = PGBIN=$$(scripts/ensure-postgres) && export PGBIN || exit; [ -n "$$PGBIN" ] || unset PGBIN

# PostgreSQL is needed on this machine only if no other one is named.
run:
	@if [ -z "$${DATABASE_URL-}$${DATABASE_URL_FILE-}" ]; then $(postgres); fi; \
	exec cargo run --locked --profile $(PROFILE) -- serve $(ARGS)

# The search for tokens needs what a whole run leaves behind.
test:
	@$(postgres); \
	bouncer=$$(scripts/ensure-pgbouncer) && PATH="$$PATH$${bouncer:+:$$bouncer}" && export PATH && \
	redis=$$(scripts/ensure-redis) && PATH="$$PATH$${redis:+:$$redis}" && export PATH && \
	nginx=$$(scripts/ensure-nginx) && PATH="$$PATH$${nginx:+:$$nginx}" && export PATH && \
	promtool=$$(scripts/ensure-promtool) && PATH="$$PATH$${promtool:+:$$promtool}" && export PATH && \
	KEYWARD_TEST_ENVOYS=$$(scripts/ensure-envoy) && export KEYWARD_TEST_ENVOYS && \
	helm=$$(scripts/ensure-helm) && PATH="$$PATH$${helm:+:$$helm}" && export PATH && \
	hadolint=$$(scripts/ensure-hadolint) && PATH="$$PATH$${hadolint:+:$$hadolint}" && export PATH && \
	rm -rf "$${CARGO_TARGET_DIR:-target}/tmp/logs" && \
	cargo test --locked $(ARGS)
	$(if $(ARGS),,@if [ -e scripts/no-token ]; then scripts/no-token; fi)

# Uses Keyward with the tools that people have, and runs what the documents print. What could not be run is said in the table.
interop:
	@$(postgres); cargo build --locked && exec tests/interop/run $(ARGS)

check:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

# Builds with all optimisations, which takes minutes, and then wants the machine for itself.
bench:
	@$(postgres); exec cargo run --locked --release --example keyward-bench -- $(or $(ARGS),--help)

clean:
	cargo clean
