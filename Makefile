# Gimbal: `make demo` makes a video, `make test` checks everything.
# Both install what is missing (a C compiler and OpenBLAS on Linux; the Xcode
# command line tools bring both on a Mac).

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.0
# The packages that start goroutines or are used by several at once.
RACE        := ./inference ./inference/camera ./inference/checkpoint ./inference/cpu/... ./inference/picture ./inference/quant \
               ./inference/runstate ./inference/tokenizer ./inference/video
# A count, not a time: when a time runs out, Go 1.26 at times fails the target with "context deadline exceeded".
FUZZTIME    ?= 100000x
OUT         ?= out

export CGO_ENABLED := 1

.PHONY: build demo test check race fuzz bench deps clean

build: deps
	$(GO) build -o gimbal ./app

demo: build
	@mkdir -p $(OUT)
	./gimbal demo --save_file $(OUT)/demo.mp4

test: deps check
	$(GO) test ./...
	$(MAKE) --no-print-directory race
	$(MAKE) --no-print-directory fuzz FUZZTIME=2000x

check:
	@test -z "$$(gofmt -l app inference metalkit ui assets)" || { echo "not gofmt'ed:"; gofmt -l app inference metalkit ui assets; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

race:
	$(GO) test -race -short $(RACE)

# Every fuzz target for FUZZTIME runs: `make fuzz FUZZTIME=5000000x` for a long one.
fuzz: deps
	@set -e; for file in $$(grep -rl '^func Fuzz' --include='*_test.go' .); do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
	    echo "fuzz $$(dirname $$file) $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file); \
	  done; \
	done

bench: deps
	$(GO) test -run '^$$' -bench . -benchtime 2x ./inference/...

# deps installs what the build needs and this machine lacks.
deps:
	@if [ "$$(uname)" = Darwin ]; then \
	  xcode-select -p >/dev/null 2>&1 || { echo "installing the Xcode command line tools; run make again when they are there"; xcode-select --install; exit 1; }; \
	elif ! { command -v gcc && command -v g++ && ls /usr/include/cblas.h /usr/include/*/cblas.h | grep . && ls /etc/ssl/certs | grep .; } >/dev/null 2>&1; then \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -q && \
	  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ca-certificates gcc g++ libc6-dev libopenblas-dev; \
	fi

clean:
	rm -rf gimbal $(OUT)
