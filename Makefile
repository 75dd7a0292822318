# exabgp-pg - BGP updates from ExaBGP into PostgreSQL
#
#	make			build ./exabgp-pg
#	make check		all tests; starts its own servers (installs what is missing)
#	make check-unit		the fast part, no server
#	make demo		see it work on real BGP data (installs what is missing)
#	make install		PREFIX=/usr/local DESTDIR=
#	make asan | lint | fuzz | bench | clean

PREFIX	?= /usr/local
DESTDIR	?=
BUILD	?= build

CC	?= cc
OPT	?= -O2 -g
WARN	= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
PKGS	= jansson libuv libpq zlib
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) $(WERROR) $(PKG_CFLAGS) $(SANITIZE) $(CFLAGS) -pthread
ALL_LIBS = $(PKG_LIBS) -lm -pthread

SOURCES	= \
	src/arena.c \
	src/batch.c \
	src/buf.c \
	src/decode.c \
	src/dialect.c \
	src/inet.c \
	src/intake.c \
	src/journal.c \
	src/journal_reader.c \
	src/loader.c \
	src/log.c \
	src/options.c \
	src/peer.c \
	src/print.c \
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

clean:
	rm -rf build exabgp-pg

.PHONY: all clean
