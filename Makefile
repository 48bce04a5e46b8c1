# onggi: see README.md. The targets that users want come first.
#
#   make            build/onggi
#   make run        boot a Debian guest (CMD='...' runs one command in it)
#   make check      build and run every test (STAGE="lint unit": some of them)
#   make test-one   build and run one test (NAME=virtio_blk; no NAME: how)
#   make static     build/onggi-static, one stripped static binary
#   make install    to PREFIX (/usr/local), under DESTDIR
#   make images     build all guest images
#   make bench-start, bench-boot, bench-io   measure (JSON=FILE writes the rows,
#                            ARGS=... passes options: ARGS=--help lists them)
#   make bench-compare       onggi against containers, other VMs and a plain
#                            process, with a report (ARGS as above)
#   make format, make lint, make clean
#   make ARCH=arm64 ...   any of the above for arm64, cross-built elsewhere

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo 0.1.0)
HOST := $(patsubst aarch64,arm64,$(shell uname -m))
ARCH ?= $(HOST)
override ARCH := $(ARCH:aarch64=arm64)
PREFIX ?= /usr/local
# A cross build has its own tools and stands beside the host's.
ifeq ($(ARCH),$(HOST))
BUILD ?= build
STRIP ?= strip
else
BUILD ?= build/$(ARCH)
CROSS_COMPILE ?= $(ARCH:arm64=aarch64)-linux-gnu-
STRIP ?= $(CROSS_COMPILE)strip
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
ifeq ($(origin AR),default)
AR := $(CROSS_COMPILE)ar
endif
endif
# static (needs the libraries' .a files) or dynamic
LINK ?= static

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wcast-qual -Wvla -Wformat=2 -Wpointer-arith -Wundef -Werror
CFLAGS ?= -O2 -g
# for "..." only: a library's <fdt.h> is not boot's
INCLUDES := -iquote . -iquote vmm/config/$(ARCH) -iquote vmm/machine/$(ARCH) \
	-iquote boot/$(ARCH)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(INCLUDES) $(WARNINGS) -fstack-protector-strong \
	-fPIE -pthread -MMD -MP \
	-DONGGI_DATADIR='"$(PREFIX)/share/onggi"' $(CFLAGS) $(EXTRA_CFLAGS)
LINK_MODE_static := -static-pie
LINK_MODE_dynamic := -pie
ALL_LDFLAGS = -pthread -Wl,-z,relro,-z,now -Wl,--gc-sections $(LDFLAGS) \
	$(EXTRA_CFLAGS)
LIBS_arm64 := -lfdt -lz -lzstd
LIBS := -luring -ljansson $(LIBS_$(ARCH))

Q := $(if $(V),,@)

ARCHS := x86_64 arm64
$(if $(filter $(ARCH),$(ARCHS)),,$(error ARCH=$(ARCH): not one of $(ARCHS)))
$(if $(LINK_MODE_$(LINK)),,$(error LINK=$(LINK): neither static nor dynamic))

# What belongs to one architecture stands in folders named after it.
foreign := $(filter-out $(ARCH),$(ARCHS))
find_files = $(sort $(shell find $(1) -name $(foreign) -prune -o \
	-name '$(2)' -print))
ROOMS := abi base devices boot vmm
SOURCES := $(call find_files,$(ROOMS),*.c)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
LIBRARY := $(BUILD)/libonggi.a
LINKED = $(filter %.o %.a,$^)

all: $(BUILD)/onggi

# What things are made with, each rewritten only when it differs: a change of
# CFLAGS, PREFIX, LINK and so on rebuilds what depends on it.
remember = @mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(1))' >$@.new; \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/flags-compile: FORCE
	$(call remember,$(CC) $(ALL_CFLAGS))
$(BUILD)/flags-link: FORCE
	$(call remember,$(CC) $(LINK_MODE_$(LINK)) $(ALL_LDFLAGS) $(LIBS))
$(BUILD)/version: FORCE
	$(call remember,$(VERSION))

# With every commit another version, so only for the file that prints it.
$(BUILD)/vmm/cli/main.o: $(BUILD)/version
$(BUILD)/vmm/cli/main.o: DEFINES := -DONGGI_VERSION='"$(VERSION)"'

$(BUILD)/%.o: %.c $(BUILD)/flags-compile
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC      $<")
	$(Q)$(CC) $(ALL_CFLAGS) $(DEFINES) -c -o $@ $<

$(LIBRARY): $(filter-out $(BUILD)/vmm/cli/main.o,$(OBJECTS))
	$(if $(V),,@echo "  AR      $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/onggi: $(BUILD)/vmm/cli/main.o $(LIBRARY) $(BUILD)/flags-link
	$(if $(V),,@echo "  LINK    $@")
	$(Q)$(CC) $(LINK_MODE_$(LINK)) $(ALL_LDFLAGS) -o $@ $(LINKED) $(LIBS)

# --- one static stripped binary ---

static:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/static LINK=static \
		CFLAGS="-O2" EXTRA_CFLAGS="-ffunction-sections -fdata-sections"
	$(Q)$(STRIP) -o $(BUILD)/onggi-static $(BUILD)/static/onggi
	@echo "  STATIC  $(BUILD)/onggi-static, $$(stat -c %s $(BUILD)/onggi-static) bytes"

install: $(BUILD)/onggi
	install -Dm755 $(BUILD)/onggi '$(DESTDIR)$(PREFIX)/bin/onggi'
	install -Dm644 docs/onggi.1 '$(DESTDIR)$(PREFIX)/share/man/man1/onggi.1'
	install -Dm644 docs/onggi.bash \
		'$(DESTDIR)$(PREFIX)/share/bash-completion/completions/onggi'

# --- guests ---

run:
	$(Q)tools/install-packages run
	$(Q)$(MAKE) --no-print-directory -s
	$(Q)tools/run-debian $(if $(value CMD),'$(subst ','\'',$(value CMD))')

images:
	$(Q)guest-images/build all

# --- tests ---

UNIT_NAMES := $(basename $(call find_files,tests/unit,test_*.c))
FUZZ_NAMES := $(basename $(call find_files,tests/fuzz,fuzz_*.c))
UNIT_TESTS := $(UNIT_NAMES:%=$(BUILD)/%)
FUZZERS := $(FUZZ_NAMES:%=$(BUILD)/%)
TEST_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/*.c))

unit: $(UNIT_TESTS)
fuzzers: $(FUZZERS)

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(TEST_SUPPORT) $(LIBRARY) \
		$(BUILD)/flags-link
	$(if $(V),,@echo "  LINK    $@")
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(LINKED) $(LIBS) -lcmocka

# A cross build has no libFuzzer and only replays what one has found.
FUZZ_MAIN := $(if $(filter-out $(HOST),$(ARCH)),$(BUILD)/tests/fuzz/replay.o)

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_MAIN) $(TEST_SUPPORT) \
		$(LIBRARY) $(BUILD)/flags-link
	$(if $(V),,@echo "  LINK    $@")
	$(Q)$(CC) $(ALL_LDFLAGS) $(if $(FUZZ_MAIN),,-fsanitize=fuzzer) -o $@ \
		$(LINKED) $(LIBS)

check:
	$(Q)tools/install-packages check
	$(Q)tests/check $(STAGE)

test-one:
	$(Q)tests/one $(if $(value NAME),'$(subst ','\'',$(value NAME))')

# --- benchmarks ---

BENCH = $(Q)ONGGI=$(abspath $(BUILD)/onggi) bench/$(1) --arch $(ARCH) \
	--floor $(abspath $(BUILD)/bench/floor) $(if $(JSON),--json $(JSON)) $(ARGS)

bench-start: $(BUILD)/onggi $(BUILD)/bench/floor
	$(call BENCH,start)

bench-boot: $(BUILD)/onggi $(BUILD)/bench/floor
	$(call BENCH,boot)

bench-io: $(BUILD)/onggi $(BUILD)/bench/netload
	$(call BENCH,io) --netload $(abspath $(BUILD)/bench/netload)

# VM or container?
bench-compare: $(BUILD)/onggi load
	$(Q)ONGGI=$(abspath $(BUILD)/onggi) bench/compare $(ARGS)

bench_program = @mkdir -p $(@D); $(if $(V),,echo "  LINK    $@";) \
	$(CC) $(ALL_CFLAGS) $(LINK_MODE_$(1)) $(ALL_LDFLAGS) -o $@ $<

FLOOR := $(BUILD)/bench/floor.o $(BUILD)/bench/$(ARCH)/floor.o
$(BUILD)/bench/floor: $(FLOOR) $(BUILD)/flags-link
	$(if $(V),,@echo "  LINK    $@")
	$(Q)$(CC) $(LINK_MODE_$(LINK)) $(ALL_LDFLAGS) -o $@ $(LINKED)

# It runs in guests, too, whose initramfs has no libraries.
$(BUILD)/bench/netload: bench/netload.c bench/load/load.h \
		$(BUILD)/flags-compile $(BUILD)/flags-link
	$(call bench_program,static)

# What bench-compare runs in its subjects and, launch, beside them.
LOADS := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/load/*.c))
load: $(LOADS) $(BUILD)/bench/netload

$(BUILD)/bench/load/%: bench/load/%.c bench/load/load.h $(BUILD)/flags-compile \
		$(BUILD)/flags-link
	$(call bench_program,static)

format:
	clang-format -i $(FORMATTED)

lint:
	tests/check lint

FORMATTED := $(sort $(shell find $(ROOMS) bench tests -name '*.[ch]'))

list-sources:
	@echo $(SOURCES)
list-headers:
	@echo $(call find_files,$(ROOMS),*.h)
list-formatted:
	@echo $(FORMATTED)
list-arch:
	@echo $(ARCH)
list-includes:
	@echo $(INCLUDES)
list-unit:
	@echo $(UNIT_NAMES)
list-fuzzers:
	@echo $(FUZZ_NAMES)

clean:
	rm -rf $(BUILD)

-include $(OBJECTS:.o=.d) $(UNIT_TESTS:=.d) $(FUZZERS:=.d) $(TEST_SUPPORT:.o=.d) \
	$(FLOOR:.o=.d)

.PHONY: all static install run images unit fuzzers check test-one format lint \
	bench-start bench-boot bench-io bench-compare load \
	list-sources list-headers list-formatted list-arch list-includes list-unit list-fuzzers clean FORCE
.SECONDARY:
