# exabgp-pg - BGP updates from ExaBGP into PostgreSQL
#
#	make			build ./exabgp-pg
#	make check		all tests; starts its own servers (installs what is missing)
#	make check-unit		the fast part, no server
#	make demo		see it work on real BGP data (installs what is missing)
#	make install		PREFIX=/usr/local DESTDIR=
#	make asan | tsan | lint | fuzz | afl | bench | clean

PREFIX	?= /usr/local
DESTDIR	?=
BUILD	?= build

CC	?= cc
OPT	?= -O2 -g
WARN	= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
PKGS	= jansson libuv libpq zlib libxxhash
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) $(WERROR) $(PKG_CFLAGS) $(SANITIZE) $(CFLAGS) -pthread
ALL_LIBS = $(PKG_LIBS) -lm -pthread

SOURCES	= \
	src/arena.c \
	src/batch.c \
	src/buf.c \
	src/database.c \
	src/decode.c \
	src/decode_attributes.c \
	src/decode_nlri.c \
	src/dialect.c \
	src/follow.c \
	src/inet.c \
	src/intake.c \
	src/journal.c \
	src/journal_reader.c \
	src/loader.c \
	src/log.c \
	src/metrics.c \
	src/novelty.c \
	src/options.c \
	src/peer.c \
	src/print.c \
	src/refresh.c \
	src/resync.c \
	src/store.c
OBJECTS	= $(SOURCES:src/%.c=$(BUILD)/%.o)
PROGRAM	?= exabgp-pg

all: $(PROGRAM)

$(PROGRAM): $(BUILD)/main.o $(BUILD)/libexabgp-pg.a
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(BUILD)/libexabgp-pg.a: $(OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: src/%.c | $(BUILD)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD):
	mkdir -p $@

-include $(wildcard $(BUILD)/*.d)

# --- tests -----------------------------------------------------------------------

# one program a file of test/unit, with the real objects
UNIT_TESTS = $(patsubst test/unit/%.c,$(BUILD)/unit/%,$(wildcard test/unit/test_*.c))

$(BUILD)/unit/%: test/unit/%.c $(BUILD)/libexabgp-pg.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Isrc -o $@ $< $(BUILD)/libexabgp-pg.a $(ALL_LIBS) -lcmocka

# a disk that fails when told to, for LD_PRELOAD; never with a sanitizer
$(BUILD)/diskfault.so: test/lib/diskfault.c | $(BUILD)
	$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -g $(WARN) $(WERROR) -fPIC -shared -o $@ $<

deps:
	@scripts/install-deps

# the dependencies may have come only now: a new make looks for them again
check: deps
	+@$(MAKE) --no-print-directory check-all

check-all: $(PROGRAM) $(UNIT_TESTS) $(BUILD)/diskfault.so
	@BUILD=$(BUILD) PROGRAM=$(PROGRAM) test/run

check-unit: $(PROGRAM) $(UNIT_TESTS)
	@BUILD=$(BUILD) PROGRAM=$(PROGRAM) test/run unit golden

# everything again under AddressSanitizer and UndefinedBehaviorSanitizer
ASAN_TARGET ?= check-all
asan: deps
	+@$(MAKE) --no-print-directory $(ASAN_TARGET) BUILD=build/asan PROGRAM=build/asan/exabgp-pg \
	    OPT="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all"

# the threads under ThreadSanitizer: their unit tests, and cuts of the connection and kills while lines flow
# (the reader of stdin may be left waiting at the end: it is no leak)
TSAN_REPORT = $(CURDIR)/build/tsan/report
tsan: deps
	+@$(MAKE) --no-print-directory tsan-run BUILD=build/tsan PROGRAM=build/tsan/exabgp-pg \
	    OPT="-O1 -g -fno-omit-frame-pointer" SANITIZE=-fsanitize=thread

tsan-run: $(PROGRAM) $(BUILD)/unit/test_intake $(BUILD)/unit/test_journal
	@rm -f $(TSAN_REPORT).*
	@export BUILD=$(BUILD) PROGRAM=$(CURDIR)/$(PROGRAM) TSAN_OPTIONS=suppressions=$(CURDIR)/test/lib/tsan.supp:report_thread_leaks=0:log_path=$(TSAN_REPORT); \
	    $(BUILD)/unit/test_intake && $(BUILD)/unit/test_journal && test/faults-protocol.sh
	@! cat $(TSAN_REPORT).* 2>/dev/null

FUZZ_SECONDS ?= 60
FUZZERS = $(patsubst test/fuzz/%.c,build/fuzz/%,$(wildcard test/fuzz/fuzz_*.c))

# (the objects once for all of them)
FUZZ_SANITIZE = address,undefined -fno-sanitize-recover=all
build/fuzz/objects/made: $(SOURCES) $(wildcard src/*.h)
	+@$(MAKE) --no-print-directory CC=clang BUILD=$(@D) OPT="-O1 -g" SANITIZE="-fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE)" $(@D)/libexabgp-pg.a
	@touch $@

build/fuzz/%: test/fuzz/%.c build/fuzz/objects/made $(wildcard test/fuzz/*.h)
	clang -std=gnu11 -D_GNU_SOURCE -O1 -g $(PKG_CFLAGS) -Isrc -fsanitize=fuzzer,$(FUZZ_SANITIZE) \
	    -o $@ $< build/fuzz/objects/libexabgp-pg.a $(ALL_LIBS)

# each target for FUZZ_SECONDS, from the corpus of real lines
fuzz: deps
	+@$(MAKE) --no-print-directory fuzz-all

fuzz-all: $(FUZZERS)
	@test/fuzz/run $(FUZZ_SECONDS) $(FUZZERS)

# the same targets under AFL++, each for AFL_SECONDS
AFL_SECONDS ?= 60
AFL_FUZZERS = $(patsubst test/fuzz/%.c,build/afl/%,$(wildcard test/fuzz/fuzz_*.c))

build/afl/objects/made: $(SOURCES) $(wildcard src/*.h)
	+@AFL_QUIET=1 AFL_USE_ASAN=1 $(MAKE) --no-print-directory CC=afl-clang-fast BUILD=$(@D) OPT="-O1 -g" SANITIZE=-fsanitize=fuzzer-no-link $(@D)/libexabgp-pg.a
	@touch $@

build/afl/%: test/fuzz/%.c build/afl/objects/made $(wildcard test/fuzz/*.h)
	AFL_QUIET=1 AFL_USE_ASAN=1 afl-clang-fast -std=gnu11 -D_GNU_SOURCE -O1 -g $(PKG_CFLAGS) -Isrc -fsanitize=fuzzer \
	    -o $@ $< build/afl/objects/libexabgp-pg.a $(ALL_LIBS)

afl: deps
	+@$(MAKE) --no-print-directory afl-all

afl-all: $(AFL_FUZZERS)
	@test/fuzz/run afl $(AFL_SECONDS) $(AFL_FUZZERS)

bench: deps
	+@$(MAKE) --no-print-directory $(PROGRAM)
	@test/bench/run

demo: deps
	+@$(MAKE) --no-print-directory $(PROGRAM)
	@scripts/demo

demo-stop:
	@scripts/demo stop

lint: deps
	@scripts/lint

# --- installing ------------------------------------------------------------------

DATA	= $(DESTDIR)$(PREFIX)/share/exabgp-pg
# for /etc/cron.d and /etc/systemd/system; the programs beside them go to bin
EXAMPLES = $(wildcard scripts/*.cron scripts/*.service scripts/*.timer)

# The program is replaced in one step: an ExaBGP that starts it in between must find it.
install: $(PROGRAM)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DATA)/sql/hunts $(DATA)/exabgp
	install -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/exabgp-pg.new
	mv -f $(DESTDIR)$(PREFIX)/bin/exabgp-pg.new $(DESTDIR)$(PREFIX)/bin/exabgp-pg
	install -m 644 $(wildcard scripts/*.py) $(DATA)
	install -m 755 $(filter-out $(EXAMPLES),$(wildcard scripts/exabgp-pg-*)) $(DESTDIR)$(PREFIX)/bin
	for file in $(EXAMPLES); do \
		install -m 644 /dev/null $(DATA)/$${file##*/} && \
		sed 's,/usr/local/,$(PREFIX)/,g' $$file >$(DATA)/$${file##*/} || exit 1; \
	done
	for file in $(wildcard exabgp/*); do \
		install -m 644 /dev/null $(DATA)/$$file && \
		sed 's,/usr/local/,$(PREFIX)/,g' $$file >$(DATA)/$$file || exit 1; \
	done
	install -m 644 /dev/null $(DESTDIR)$(PREFIX)/share/man/man1/exabgp-pg.1
	sed 's,/usr/local/bin/exabgp,$(PREFIX)/bin/exabgp,g' src/exabgp-pg.1 >$(DESTDIR)$(PREFIX)/share/man/man1/exabgp-pg.1
	install -m 644 $(wildcard sql/*.sql) sql/NOTES.md $(DATA)/sql
	install -m 644 $(wildcard sql/hunts/*.sql) $(DATA)/sql/hunts

clean:
	rm -rf build exabgp-pg

.PHONY: all deps check check-all check-unit asan tsan tsan-run fuzz fuzz-all afl afl-all bench demo demo-stop lint install clean
