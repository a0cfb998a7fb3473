# ocinit: everything is one word after make. `make help` lists the words.

TARGET ?=

.PHONY: escape fuzz manual clients help build build-all host image packages size test unit lint demo bench clean board soak

help:
	@sed -n 's/^## //p' Makefile

## make build [TARGET=aarch64]   the static binary, at target/dist/TARGET/ocinit (no TARGET: this machine's); FEATURES=libseccomp: with it
build:
	@cross/build $(TARGET)

## make build-all                the binaries of all targets
build-all:
	@cross/build all

## make host                     ocinit-host, at target/dist/host/ocinit-host: makes bundles on the build host
host:
	@cross/host/build

## make image TARGET=aarch64 BUNDLES="web db"   a bootable folder, target/image/TARGET: kernel, initramfs, the line for QEMU (ROOT=squashfs)
image: build
	@cross/image $(or $(TARGET),$(shell uname -m)) $(BUNDLES)

## make packages                 the Debian package of TARGET, beside its binary (cross/packages has the others)
packages: build
	@cross/packages/debian/build $(TARGET)

## make size                     their sizes, against the budget
size: build-all
	@cross/size

## make test                     every suite; installs what it needs; ends with one line that counts; FEATURES=libseccomp: what that changes
test:
	@tests/run

## make unit                     the tests that need neither root nor a container: seconds
unit:
	@tests/run unit

## make lint                     the source's shape, format and lints, and what we depend on
lint:
	@tests/run tidy format clippy dependencies

## make demo                     builds, makes a bundle from busybox, runs it, shows what happened
demo: build
	@tests/demo/run

## make board [TARGET=armv7]     boots a machine whose process 1 is ocinit, with three bundles; shows the boot; switches it off; DEMO=update: updates one
board: build
	@tests/boot/board$(if $(DEMO),-$(DEMO)) $(TARGET)

## make soak SOAK=20             a storm of 500 containers; the boot tests with that percentage (100) of 1,000 crashes, 50 power cuts, 200 in updates, 1,000 flipped bits, 200 bundles: an hour or more; all races and faults, all tests of memory: hours
soak: build
	@TRY=1 tests/containers/rootless
	@AS=alone,ranges tests/vm/run
	@STORM=500 tests/containers/run storm
	@SOAK=$(or $(SOAK),100) tests/boot/run
	@tests/escape/run races
	@tests/escape/run faults
	@tests/memory/run full

## make escape [RUNTIME=runc]    every hole that container runtimes had, as a test; newer system calls refused; every race and every fault: an hour
escape: build
	@RUNTIME=$(RUNTIME) tests/escape/run
	@[ -n "$(RUNTIME)" ] || OCINIT_TEST_REFUSE_ALL=1 tests/containers/run ', without '
	@RUNTIME=$(RUNTIME) tests/escape/run races
	@RUNTIME=$(RUNTIME) tests/escape/run faults

## make fuzz [SECONDS=3600] [SEED=1]   mutated inputs for everything that reads what others wrote
fuzz:
	@tests/fuzz/run $(or $(SECONDS),3600) $(or $(SEED),1)

## make bench                    ratios against other runtimes, from one interleaved run; writes docs/bench
bench: build
	@tests/bench/run

## make clients [RUNTIME=runc]   podman, buildah, containerd and dockerd against ocinit, in a virtual machine
clients: build
	@RUNTIME=$(RUNTIME) tests/clients/run

## make manual                  the manual page and shell completions, at target/dist/share
manual: build
	@cross/manual

## make clean                    removes all that was built
clean:
	rm -rf target
