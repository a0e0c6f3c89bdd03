# One profile for running, testing and measuring, and always the whole workspace: a module loads only into a core that was
# built with the same features, and nothing is compiled twice.
CARGO   ?= cargo
ALL     := --workspace --locked
PREFIX  ?= /usr/local
DESTDIR ?=

.DEFAULT_GOAL := help
.PHONY: help build run test fmt lint unit stubs bench fuzz install

help: ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: ## compile everything
	$(CARGO) build $(ALL)

run: build ## start the server on etc/signalbox.lua
	target/debug/signalbox run etc/signalbox.lua

test: ## all that CI does: format, lints, every test, interop with real programs
	sh tests/interop/install-peers.sh
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(ALL) --all-targets -- -D warnings
	$(CARGO) build $(ALL) --all-targets
	$(MAKE) --no-print-directory unit

# nextest when it is there, for its speed and its one closing line.
unit:
	@if $(CARGO) nextest --version >/dev/null 2>&1; \
	then $(CARGO) nextest run $(ALL) --no-fail-fast; \
	else $(CARGO) test $(ALL) --lib --bins --tests --no-fail-fast; fi

stubs: ## write scripts/meta, the editor stubs of all script functions, anew
	WRITE_STUBS=1 $(CARGO) test -p signalbox-tests --test shipped editor_stubs

fmt: ## format the code
	$(CARGO) fmt --all

lint: ## the lints, warnings as errors
	$(CARGO) clippy $(ALL) --all-targets -- -D warnings

bench: build ## measure Signalbox, and Kamailio where it is installed; ARGS="--quick --only message"
	target/debug/bench $(ARGS)

fuzz: ## every fuzz target for FUZZ_SECONDS (60) in turn; needs a C++ compiler
	sh core/sip/fuzz/run.sh
	FUZZ_CRATE=tests/fuzz sh core/sip/fuzz/run.sh

# The libraries stand in lib/signalbox, where the rpath of the binary looks, with the toolchain's standard library beside them.
install: build ## install under PREFIX (/usr/local), below DESTDIR
	install -D -m 755 target/debug/signalbox $(DESTDIR)$(PREFIX)/bin/signalbox
	install -d $(DESTDIR)$(PREFIX)/lib/signalbox
	install -m 644 target/debug/libsignalbox*.so "$$(rustc --print target-libdir)"/libstd-*.so $(DESTDIR)$(PREFIX)/lib/signalbox/
	install -d $(DESTDIR)$(PREFIX)/etc/signalbox $(DESTDIR)$(PREFIX)/share/signalbox/scripts
	test -e $(DESTDIR)$(PREFIX)/etc/signalbox/signalbox.lua || \
	  sed 's,"scripts/,"$(PREFIX)/share/signalbox/scripts/,' etc/signalbox.lua > $(DESTDIR)$(PREFIX)/etc/signalbox/signalbox.lua
	cp -R scripts/. $(DESTDIR)$(PREFIX)/share/signalbox/scripts/
	install -D -m 644 etc/signalbox.service $(DESTDIR)$(PREFIX)/lib/systemd/system/signalbox.service
