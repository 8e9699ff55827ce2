# Gimbal: `make build` builds it with its window, `make demo` makes a video, `make test`
# checks everything, `make app` bundles it for a Mac. All install what is missing: by
# apt on Debian and its like; on a Mac the Xcode command line tools bring all of it.

GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.0
# Says that all calls into Fyne come from the right goroutine, which then need not be
# checked; the tests build without it, to check it.
WINDOW_TAGS := migrated_fynedo
# Only what is given away leaves out where it was built: it is compiled from scratch.
TRIM        := $(if $(filter Darwin,$(shell uname)),-trimpath)
# The packages that start goroutines or are used by several at once.
RACE        := ./inference ./inference/bench ./inference/clip ./inference/cpu/... ./inference/denoise ./inference/device/... \
               ./inference/engine ./inference/hub ./inference/library ./inference/live ./inference/picture ./inference/plan ./inference/queue ./inference/runstate ./inference/service/... \
               ./inference/tokenizer ./inference/video ./inference/watch ./inference/weights ./ui/...
# A count, not a time: when a time runs out, Go 1.26 at times fails the target with "context deadline exceeded".
FUZZTIME    ?= 100000x
OUT         ?= out
VERSION     := $(shell sed -n 's/^Version = "\(.*\)"$$/\1/p' FyneApp.toml)
COMMIT      := $(shell git rev-parse --short=12 HEAD 2>/dev/null)$(if $(shell git status --porcelain 2>/dev/null),+changes)
SOURCES     := app inference metalkit ui assets

# What tests the service's page, unless there is such a browser: Debian's name for it.
BROWSER     := $(if $(shell command -v chromium || command -v chromium-browser || command -v google-chrome),,chromium-headless-shell)

export CGO_ENABLED := 1

.PHONY: build demo app test check race fuzz schemathesis bench cross metal-cpp ptx gpu-proof deps deps-window deps-test clean

build: deps-window
	$(GO) build -ldflags '-X main.version=$(VERSION) -X main.builtFrom=$(COMMIT)' -tags $(WINDOW_TAGS) -o gimbal ./app

# The demo needs no window, and a machine that has none no libraries for it.
demo: deps
	@mkdir -p $(OUT)
	$(GO) build -tags headless -o $(OUT)/gimbal ./app
	$(OUT)/gimbal demo --save_file $(OUT)/demo.mp4

# On a Mac this is Gimbal.app; elsewhere a bundle of the same structure, to check it.
app: export MACOSX_DEPLOYMENT_TARGET := 14.0
app: deps-window
	@mkdir -p $(OUT)
	$(GO) build $(TRIM) -ldflags '-s -w -X main.version=$(VERSION) -X main.builtFrom=$(COMMIT)' -tags $(WINDOW_TAGS) -o $(OUT)/gimbal-app ./app
	$(GO) run ./assets/mac/icon $(OUT)/icon.icns
	assets/mac/bundle.sh $(OUT)/gimbal-app $(OUT)/icon.icns $(OUT)
	GIMBAL_APP=$(abspath $(OUT))/Gimbal.app $(GO) test -count 1 -run TestBundle ./assets

# The program's own tests run alone: they start it and look at how soon it answers. Go
# would take them for done before when the program changed and they did not.
test: deps-test check
	$(GO) test $$($(GO) list ./... | grep -v '^gimbal/app$$')
	$(GO) test -count 1 -timeout 30m ./app
	$(GO) test -tags headless -run TestBadUsage ./app
	$(MAKE) --no-print-directory race
	$(MAKE) --no-print-directory fuzz FUZZTIME=2000x
	$(MAKE) --no-print-directory app

check:
	@test -z "$$(gofmt -l $(SOURCES))" || { echo "not gofmt'ed:"; gofmt -l $(SOURCES); exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags headless ./app
	$(GO) vet -tags emulated ./app
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(STATICCHECK) -tags headless ./app

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

# The service's API against its own document, with requests that schemathesis makes up.
schemathesis: deps
	$(call install,python3-venv curl)
	@mkdir -p $(OUT)
	$(GO) build -tags headless -o $(OUT)/gimbal ./app
	inference/service/schemathesis.sh $(OUT)/gimbal $(OUT)/schemathesis

bench: deps
	$(GO) test -run '^$$' -bench . -benchtime 2x ./inference/...

# The kernels for an NVIDIA GPU, on which metalkit/proof proves them.
ptx: deps-test
	$(GO) run ./metalkit/internal/driver/cuda/ptx/build clang-14 $(OUT)/ptx

# The program with and without its window, linked for Apple Silicon Macs: assets/mac/cross/README.md says
# by what and for what. It takes minutes the first time.
ZIG         ?= $(abspath $(OUT))/zig/bin/python -m ziglang
CROSS       := $(abspath $(OUT))/gimbal-darwin-arm64 $(abspath $(OUT))/gimbal-headless-darwin-arm64
cross: deps
	@mkdir -p $(OUT)
	@$(OUT)/zig/bin/python -m ziglang version >/dev/null 2>&1 || [ "$(origin ZIG)" != file ] || \
	  { python3 -m venv $(OUT)/zig && $(OUT)/zig/bin/pip install -q ziglang==0.16.0; }
	ZIG='$(ZIG)' assets/mac/cross/cross.sh $(WINDOW_TAGS) $(word 1,$(CROSS))
	ZIG='$(ZIG)' assets/mac/cross/cross.sh headless $(word 2,$(CROSS))
	$(GO) run ./assets/mac/cross/check $(CROSS)

# Holds the Objective-C to Apple's own C++ headers of Metal, which PyPI's mlx-metal brings (45 MB).
metal-cpp:
	@mkdir -p $(OUT)/metal-cpp
	@ls $(OUT)/metal-cpp/*.whl >/dev/null 2>&1 || python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 \
	  --platform macosx_15_0_arm64 -d $(OUT)/metal-cpp mlx-metal==0.32.4
	@cd $(OUT)/metal-cpp && python3 -m zipfile -e *.whl .
	GIMBAL_METAL_CPP=$(abspath $(OUT))/metal-cpp/mlx/include/metal_cpp $(GO) test -count 1 -run TestMetalCpp ./metalkit/internal/static

# What proves the kernels at real sizes on a machine with an NVIDIA GPU and no Go: .gpu is
# all that is needed there beside the working tree. See metalkit/proof/proof.sh.
gpu-proof: ptx
	@mkdir -p .gpu $(OUT)
	$(GO) build -tags cuda -ldflags '-s -w' -o $(OUT)/proof ./metalkit/proof
	$(GO) test -c -tags cuda -ldflags '-s -w' -o $(OUT)/metalkit.test ./metalkit
	$(GO) test -c -tags cuda -ldflags '-s -w' -o $(OUT)/cuda.test ./metalkit/internal/driver/cuda
	tar -C $(OUT) -cf - proof metalkit.test cuda.test ptx | xz -9 >.gpu/proof.tar.xz
	cp metalkit/proof/proof.sh .gpu

# install PACKAGES installs those that are missing. Where there is no apt, whoever
# builds sees to them.
define install
	@if [ "$$(uname)" = Darwin ]; then \
	  xcode-select -p >/dev/null 2>&1 || { echo "installing the Xcode command line tools; run make again when they are there"; xcode-select --install; exit 1; }; \
	elif command -v apt-get >/dev/null; then \
	  missing=; for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	  if [ -n "$$missing" ]; then \
	    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    $$sudo apt-get update -q && \
	    $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; \
	  fi; \
	fi
endef

# What the engine needs, the window, and the tests.
deps:
	$(call install,ca-certificates gcc g++ libc6-dev libopenblas-dev)

deps-window: deps
	$(call install,pkg-config libgl1-mesa-dev xorg-dev)

deps-test: deps-window
	$(call install,xvfb libgl1-mesa-dri dbus-daemon clang-14 fonts-wqy-microhei $(BROWSER))

clean:
	rm -rf gimbal $(OUT)
