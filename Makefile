# What people and CI call. `make` builds the program.

GO      ?= go
# A release gives its version; anything else is told apart by its commit (internal/version).
VERSION ?=
LDFLAGS  = $(if $(VERSION),-ldflags "-X github.com/stokerd/stoker/internal/version.override=$(VERSION)")

# PKG narrows test, test-real and bench: make test PKG=./watcher
PKG      ?= ./...
REPEAT   ?= 20
FUZZTIME ?= 30s
# -race makes the longest package some ten times slower than it is.
TIMEOUT  ?= 20m

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build test test-real bench lint fuzz demo packages clean labctl

build:
	$(GO) build $(LDFLAGS) -o bin/stoker ./cmd/stoker

labctl:
	@$(GO) build -o bin/labctl ./internal/lab/labctl

# One buildkitd serves all packages. It needs Linux and root: see internal/lab/README.md. Vetting with
# -race shares what the tests compile.
test: labctl
	$(GO) vet -race ./...
	bin/labctl run -- $(GO) test -race -timeout $(TIMEOUT) $(PKG)

# The same again and again, to find what fails now and then.
test-real: labctl
	bin/labctl run -- $(GO) test -race -count $(REPEAT) -timeout 10h $(PKG)

bench: labctl
	bin/labctl run -- $(GO) test -run '^$$' -bench . -benchmem -timeout 1h $(PKG)

lint:
	@test -z "$$(gofmt -l cmd cache context internal watcher | tee /dev/stderr)"
	$(GO) vet ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; \
	else echo "golangci-lint is not here; staticcheck alone:"; $(GO) run $(STATICCHECK) -checks inherit,-SA1019 ./...; fi

# Each fuzz target for FUZZTIME, one after the other.
fuzz:
	@grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" || exit 1; \
		done; \
	done

# A tour on a sample repository, with a BuildKit of its own where none is found.
demo:
	@testdata/demo/demo.sh

# What the lab, the tests and the demo need from Debian or Ubuntu, where it is missing.
packages:
	@missing=; for p in git:git runc:runc busybox:busybox-static; do \
		command -v $${p%:*} >/dev/null || missing="$$missing $${p#*:}"; \
	done; \
	if [ -n "$$missing" ]; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; \
	fi

clean:
	rm -rf bin dist
