# make            release build                 make test    everything CI runs
# make demo       the main job, for real         make serve   a node that stays
# make demo-cluster   the same with three zones of Ceph, and machines that die
# make bench      against kernel TCP             make soak    what takes longer
# make lint       format and clang-tidy          make format  clang-format
BUILD := build/release
FLAGS ?= -DHOLDFAST_WERROR=OFF
CMAKE_FLAGS := -DHOLDFAST_PRECOMPILE=ON $(FLAGS)

.PHONY: all build program deps test demo demo-cluster serve bench soak lint format clean

all: build

deps:
	@scripts/install-deps

build: deps
	@cmake --preset release $(CMAKE_FLAGS) > $(BUILD).cmake.log 2>&1 || { cat $(BUILD).cmake.log; exit 1; }
	@cmake --build --preset release

$(shell mkdir -p build)

# The program alone: what the demo needs, in half a minute or a few, by what the processors have to do.
program: deps
	@cmake --preset release $(CMAKE_FLAGS) > $(BUILD).cmake.log 2>&1 || { cat $(BUILD).cmake.log; exit 1; }
	@cmake --build --preset release --target holdfast

test: build
	@scripts/run-tests $(BUILD)

demo: program
	@scripts/demo.py $(DEMO)

demo-cluster: program
	@scripts/demo_cluster.py $(DEMO)

serve: program
	@scripts/serve $(SERVE)

bench: deps build
	@scripts/install-deps bench
	@bench/run.py $(BENCH)

soak: build
	@scripts/soak $(SOAK)

lint:
	@scripts/install-deps lint
	@scripts/lint

format:
	@scripts/install-deps lint
	@scripts/lint --format

clean:
	rm -rf $(BUILD)
