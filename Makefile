# Everything a person or CI runs. `make` alone lists it.

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench idle-gaps slow-clients manifests e2e compose systemd guides image dist reproducible arm64 profile bench-instructions bench-requests bench-peers probe-peers bench-features bench-cores fuzz attack soak fresh simulate

# Building the binary together with the demo gives Cargo the same features as `cargo test`, so nothing is built twice.
DEMO := cargo build --quiet --bin callgate --example demo

# What `make attack` and `make soak` run; CI has no time for the image's own profile.
BUILT_PROFILE := $(or $(CALLGATE_PROFILE),release)

help: ## List the targets.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/make \1|\2/' | \
	    while IFS='|' read -r target sentence; do printf '%-23s %s\n' "$$target" "$$sentence"; done

setup: ## Install what the build needs and this machine lacks.
	@./scripts/setup.sh

demo: setup ## Run the acceptance scenarios, then keep running for your own curl (ONCE=1: end after the scenarios).
	@echo 'Building Callgate and the demo; the first time takes some minutes.'
	@$(DEMO)
	@ONCE=$(ONCE) ./target/debug/examples/demo

test: ## Check format, lints, documentation and behaviour, and play the demo.
	@./scripts/setup.sh tests
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	./scripts/deny.sh
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps
	cargo test
	./target/debug/callgate check --config sidecar.toml
	ONCE=1 ./target/debug/examples/demo
	./scripts/fuzz.sh 5

fuzz: ## Fuzz every parser, ten minutes each (needs a nightly toolchain and cargo-fuzz).
	CALLGATE_SEQUENCES=100000 CALLGATE_SEED=$$(date +%s) cargo test --test http http2_sequences -- --nocapture
	FUZZ_REQUIRED=1 ./scripts/fuzz.sh 600

attack: setup ## Attack the program within a pod's memory while good callers go on (SECONDS=5 for the short form, ONLY=part of a name, UPDATE=1: renew the table in docs).
	@cargo build --quiet --profile $(BUILT_PROFILE) --bin callgate
	@cargo build --quiet --example peers_tokens
	@CALLGATE=target/$(BUILT_PROFILE)/callgate ./scripts/tools.sh run python3 -- \
	    python3 -B tests/attack --seconds $(or $(SECONDS),25) --only '$(ONLY)' \
	    $(if $(UPDATE),--document docs/security-model.md)

soak: setup ## Run the program under mixed traffic while everything changes, and judge every answer and record (MINUTES=60, UPDATE=1: renew docs/soak.md).
	@cargo build --quiet --profile $(BUILT_PROFILE) --bin callgate
	@cargo build --quiet --example soak
	@CALLGATE=target/$(BUILT_PROFILE)/callgate MINUTES=$(or $(MINUTES),3) UPDATE=$(if $(UPDATE),docs) \
	    ./target/debug/examples/soak

simulate: setup ## Play worlds in which issuers, clocks and operators misbehave, and check the promises of docs/keys.md (SEEDS=10000; SEED=n: one, told in full).
	@SEEDS=$(or $(SEEDS),1000) SEED=$(SEED) cargo test --profile quick --lib simulation::$(if $(SEED),no_world) -- --nocapture

bench: setup ## Measure what a request costs.
	cargo bench

idle-gaps: setup ## Send 100,000 requests with gaps around Node's five seconds (20 minutes).
	cargo test --release --test http -- --ignored --nocapture idle_gaps

slow-clients: setup ## Hold 5,000 slow and idle connections and time a good client beside them.
	cargo test --release --test http -- --ignored --nocapture slow_clients

manifests: setup ## Check the Dockerfiles, the rendered manifests, the alerts and the scripts.
	@$(DEMO)
	@./scripts/check-manifests.sh

image: setup ## Build the images callgate:0.1.0 and email-service:latest with buildah, and measure the first.
	@./scripts/images.sh
	@./scripts/measure-image.sh

dist: setup ## Pack the static program with completions, manual pages, licences, bill of materials and checksums into target/dist (PROGRAM=FILE: pack this one).
	@tarball=$$(./scripts/dist.sh $(PROGRAM)) && ./scripts/tools.sh run-or-skip 'the check of make dist' cyclonedx -- \
	    ./target/tools/venv/bin/python scripts/check_dist.py "$$tarball" && echo "$$tarball"

reproducible: setup ## Build the tarball of make dist in two clean clones, and compare (a quarter of an hour; CALLGATE_PROFILE=quick: half of that).
	@./scripts/reproducible.sh

arm64: setup ## Build the static program for arm64, and run the acceptance tests against it in emulation (TEST=part of a name).
	@./scripts/arm64.sh $(TEST)

profile: setup ## Measure which ways a load takes, for the image's build to lay the program out by (15 minutes).
	@./scripts/profile.sh

e2e: ## Play with the email service behind Callgate in a real pod, with podman.
	@./tests/e2e/run.sh

compose: ## Play examples/compose as its README says, with podman and with Docker, and images that are made here.
	@./tests/compose/run.sh podman
	@./tests/compose/run.sh docker

systemd: setup ## Play deploy/systemd/README.md in a systemd of its own.
	@$(DEMO)
	@./tests/systemd/run.sh

fresh: ## Do all that CI does in a minimal Debian root that is made for it (an hour; as root).
	@./scripts/fresh.sh

guides: setup ## Run every command of the guides in docs/.
	@$(DEMO)
	@./scripts/tools.sh run-or-skip 'make guides' python3 git node npm curl openssl ip unshare kubectl -- ./scripts/test_guides.py

bench-instructions: setup ## Count the instructions of each step and compare them with the committed ones (UPDATE=1: commit to these).
	@./scripts/tools.sh run-or-skip 'make bench-instructions' python3 valgrind -- \
	    python3 benches/instructions/compare.py $(if $(UPDATE),--update)

bench-requests: setup ## Count the instructions of whole requests (CALLGATE_BEFORE=FILE: beside another build).
	@cargo build --quiet --example peers_tokens
	@./scripts/tools.sh run python3 valgrind -- python3 benches/instructions/requests.py

bench-peers: setup ## Compare with other proxies on this machine, about an hour (ROUNDS=1 SECONDS=2 to try).
	@./scripts/tools.sh run python3 git -- python3 benches/peers --rounds $(or $(ROUNDS),5) --seconds $(or $(SECONDS),5) \
	    --products '$(PRODUCTS)' --workloads '$(WORKLOADS)'

probe-peers: setup ## Run `callgate probe` against other products, each as its own documentation says (UPDATE=1: renew the table in docs).
	@cargo build --quiet --bin callgate --example peers_tokens
	@./target/debug/examples/peers_tokens target/probe-peers 10
	@./scripts/tools.sh run python3 envoy haproxy nginx njs apache2 mod_auth_openidc -- \
	    python3 -B tests/probe/peers --tokens target/probe-peers $(if $(UPDATE),--document docs/comparison.md)

bench-features: ## Measure what the optional parts cost, switched off and on (after bench-peers, two minutes).
	@./scripts/tools.sh run python3 -- python3 benches/peers/features.py --rounds $(or $(ROUNDS),5) --seconds $(or $(SECONDS),3)

bench-cores: ## Measure what a request costs on one core and on all, and its wake-ups (after bench-peers, two minutes).
	@./scripts/tools.sh run python3 -- python3 benches/peers/cores.py --rounds $(or $(ROUNDS),5) --seconds $(or $(SECONDS),3)
