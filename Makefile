# vss_fdw: a PostgreSQL foreign-data wrapper over vectors in SQLite, and the
# SQLite extension hnsw.so below it.
#
#	make				build vss_fdw.so and hnsw.so
#	make hnsw.so		only the SQLite extension; needs no PostgreSQL
#	make install		install both into the server of PG_CONFIG
#	make install-sqlite	install what needs no PostgreSQL: hnsw.so, the static
#						libraries, their headers and pkg-config files
#						(PREFIX, LIBDIR, INCLUDEDIR, DESTDIR)
#	make install-as-vector	install vss_pgvector under the name "vector", too,
#						where pgvector is not installed
#	make installcheck	SQL, isolation and TAP tests against a running server
#	make unit			C unit tests (also: unit-asan, unit-tsan)
#	make check-sqlite	SQLite shell tests of hnsw.so
#	make check-layers	who includes whom, and what the libraries export
#	make check-format	the layout of the C sources
#
# PG_CONFIG selects the server (PostgreSQL 15 to 19); COPT adds compiler flags
# (COPT=-Werror).  scripts/check runs everything on a private server.

HNSW_SRCS   := $(sort $(wildcard hnsw/*.c))
BRIDGE_SRCS := $(sort $(wildcard sqlite_bridge/*/*.c))
FDW_SRCS    := $(wildcard vss_fdw.c) $(sort $(wildcard fdw/*/*.c))

# Nobody named a server: the first that has all it takes.
ifndef PG_CONFIG
PG_CONFIG := $(or $(shell . ./scripts/server.sh && find_server),pg_config)
endif
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
PG_MAJOR := $(firstword $(subst ., ,$(word 2,$(shell $(PG_CONFIG) --version 2>/dev/null))))

# Objects lie under build/, by how they are compiled: hnsw/ and sqlite_bridge/
# never see PostgreSQL's headers, and the bridge is compiled twice, once as a
# loadable extension (through sqlite3ext.h's table of functions) and once
# linked against libsqlite3 (SQLITE_CORE).
HNSW_OBJS = $(HNSW_SRCS:%.c=build/lib/%.o)
EXT_OBJS  = $(BRIDGE_SRCS:%.c=build/ext/%.o)
CORE_OBJS = $(BRIDGE_SRCS:%.c=build/core/%.o)
PG_OBJS   = $(FDW_SRCS:%.c=build/pg$(PG_MAJOR)/%.o)

LIB_WARNINGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wmissing-prototypes \
	-Wpointer-arith -Wvla -Wformat-security -Wimplicit-fallthrough=3
# -ffp-contract=off: distances are the same bits with and without fused
# multiply-add.  The prefix map keeps the build folder out of the binaries.
CODE_FLAGS = -O3 -fvisibility=hidden -ffp-contract=off -pthread \
	-ffile-prefix-map='$(subst ','\'',$(CURDIR))'=. -MMD -MP
HARDENING = -fstack-protector-strong -Wl,-z,relro -Wl,-z,now -Wl,--as-needed
# Without assert(), as a server that is built without assertions has no
# Assert().  Tests under sanitizers and fuzzers have both; "make RELEASE=" has.
RELEASE = -DNDEBUG
LIB_CFLAGS = -std=gnu11 $(RELEASE) $(CODE_FLAGS) $(LIB_WARNINGS) -g -fPIC -fno-strict-aliasing -fstack-protector-strong -I. $(COPT)
LIB_LIBS = -ldl -lpthread -lm

# ---- vss_fdw.so, through PGXS ----

MODULE_big = vss_fdw
EXTENSION = $(basename $(wildcard vss_fdw.control vss_pgvector.control))
DATA = $(wildcard vss_fdw--*.sql vss_pgvector--*.sql)
OBJS = $(PG_OBJS) $(CORE_OBJS) $(HNSW_OBJS)

# PostgreSQL 15 leaves PGDLLEXPORT empty; 16 and later define it like this.
PG_CPPFLAGS = -I. -D'PGDLLEXPORT=__attribute__((visibility("default")))'
PG_CFLAGS = $(CODE_FLAGS) -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-declaration-after-statement
SHLIB_LINK = -lsqlite3 $(LIB_LIBS)

REGRESS := $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
ISOLATION := $(sort $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation
TAP_TESTS := $(if $(wildcard test/tap/*.pl),1)
PROVE_TESTS = test/tap/*.pl
EXTRA_CLEAN = build hnsw.so results regression.diffs regression.out output_iso tmp_check tmp_check_iso

SERVER_LACKS := $(shell . ./scripts/server.sh && server_lacks '$(PG_CONFIG)' build)
ifeq ($(SERVER_LACKS),)

# Bitcode would let the server inline our functions into compiled expressions;
# they are too large for that to gain anything, and clang need not be here.
override with_llvm = no

all: hnsw.so
include $(PGXS)

install: install-beside
install-beside: hnsw.so installdirs
	$(INSTALL_SHLIB) $(STRIP_INSTALLED) hnsw.so '$(DESTDIR)$(pkglibdir)/hnsw.so'
	@echo "hnsw.so, the extension for SQLite, is $(DESTDIR)$(pkglibdir)/hnsw.so"

# For programs that say CREATE EXTENSION vector: vss_pgvector under that name,
# where no other extension has it.
AS_VECTOR = $(DESTDIR)$(datadir)/extension/vector
install-as-vector: installdirs
	@if [ -e '$(AS_VECTOR).control' ] && ! cmp -s vss_pgvector.control '$(AS_VECTOR).control'; then \
		echo "$(AS_VECTOR).control is another extension's: nothing is installed" >&2; exit 1; fi
	$(INSTALL_DATA) vss_pgvector.control '$(AS_VECTOR).control'
	$(INSTALL_DATA) vss_pgvector--1.0.sql '$(AS_VECTOR)--1.0.sql'
uninstall: uninstall-beside
uninstall-beside:
	rm -f '$(DESTDIR)$(pkglibdir)/hnsw.so'
.PHONY: install-beside uninstall-beside install-as-vector

else

all: hnsw.so
	@echo "hnsw.so is built.  For vss_fdw.so PG_CONFIG=$(PG_CONFIG) will not do: it lacks" >&2
	@echo "$(SERVER_LACKS).  Let scripts/deps install it, or" >&2
	@echo "name another server: make PG_CONFIG=/usr/lib/postgresql/NN/bin/pg_config" >&2
	@false
clean:
	rm -rf $(EXTRA_CLEAN)
install installcheck: all
.PHONY: all clean install installcheck
.DEFAULT_GOAL = all

endif

build/lib/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(LIB_CFLAGS) -c -o $@ $<

build/ext/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(LIB_CFLAGS) -c -o $@ $<

build/core/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(LIB_CFLAGS) -DSQLITE_CORE -c -o $@ $<

build/pg$(PG_MAJOR)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -c -o $@ $<

# Which server vss_fdw.so was last built for: relink when it changes.
build/server: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
vss_fdw.so: build/server
FORCE:

# ---- hnsw.so, a loadable SQLite extension ----

hnsw.so: $(HNSW_OBJS) $(EXT_OBJS)
	$(CC) -shared $(HARDENING) -pthread -o $@ $^ $(LIB_LIBS)

# ---- for programs without PostgreSQL ----

# libhnsw.a: the graph library.  libsqlite3_hnsw.a: the SQLite extension, for
# programs that link it instead of loading hnsw.so.
build/libhnsw.a: $(HNSW_OBJS)
	rm -f $@ && $(AR) rcs $@ $^
build/libsqlite3_hnsw.a: $(HNSW_OBJS) $(CORE_OBJS)
	rm -f $@ && $(AR) rcs $@ $^

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
EXTENSIONDIR ?= $(LIBDIR)/sqlite3
# Set it to nothing to keep the debugging symbols.
STRIP_INSTALLED ?= -s
LIBRARY_VERSION = $(shell sed -n 's/.*HNSW_LIBRARY_VERSION "\(.*\)"/\1/p' hnsw/hnsw.h)

# $(call pkg_config,NAME,DESCRIPTION,LIBS,REQUIRES)
define pkg_config
@printf '%s\n' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' 'extension=$(EXTENSIONDIR)/hnsw.so' '' \
	'Name: $(1)' 'Description: $(2)' 'Version: $(LIBRARY_VERSION)' 'Requires: $(4)' \
	'Cflags: -I$${includedir}' 'Libs: -L$${libdir} $(3)' >'$(DESTDIR)$(LIBDIR)/pkgconfig/$(1).pc'
endef

install-sqlite: hnsw.so build/libhnsw.a build/libsqlite3_hnsw.a
	install -d '$(DESTDIR)$(EXTENSIONDIR)' '$(DESTDIR)$(LIBDIR)/pkgconfig' '$(DESTDIR)$(INCLUDEDIR)/hnsw'
	install -m 755 $(STRIP_INSTALLED) hnsw.so '$(DESTDIR)$(EXTENSIONDIR)/hnsw.so'
	install -m 644 build/libhnsw.a build/libsqlite3_hnsw.a '$(DESTDIR)$(LIBDIR)'
	install -m 644 hnsw/hnsw.h '$(DESTDIR)$(INCLUDEDIR)/hnsw/hnsw.h'
	install -m 644 sqlite_bridge/sqlite3_hnsw.h '$(DESTDIR)$(INCLUDEDIR)/sqlite3_hnsw.h'
	$(call pkg_config,hnsw,Nearest-neighbour search over HNSW graphs,-lhnsw -pthread -lm,)
	$(call pkg_config,sqlite3_hnsw,Nearest-neighbour search in SQLite,-lsqlite3_hnsw -ldl -pthread -lm,sqlite3)
	@echo "Load it in SQLite with: .load $(EXTENSIONDIR)/hnsw"

uninstall-sqlite:
	rm -f '$(DESTDIR)$(EXTENSIONDIR)/hnsw.so' '$(DESTDIR)$(LIBDIR)/libhnsw.a' \
		'$(DESTDIR)$(LIBDIR)/libsqlite3_hnsw.a' '$(DESTDIR)$(INCLUDEDIR)/hnsw/hnsw.h' \
		'$(DESTDIR)$(INCLUDEDIR)/sqlite3_hnsw.h' '$(DESTDIR)$(LIBDIR)/pkgconfig/hnsw.pc' \
		'$(DESTDIR)$(LIBDIR)/pkgconfig/sqlite3_hnsw.pc'

.PHONY: install-sqlite uninstall-sqlite

-include $(wildcard build/*/*.d build/*/*/*.d build/*/*/*/*.d)

build/recall_words: bench/recall_words.c $(HNSW_OBJS)
	$(CC) $(LIB_CFLAGS) -o $@ $^ -pthread -lm

# What the unit tests are linked with.
objects: $(HNSW_OBJS) $(CORE_OBJS)

# ---- tests that need no server ----

unit:
	$(MAKE) -C test/unit run
unit-asan:
	$(MAKE) -C test/unit asan
unit-tsan:
	$(MAKE) -C test/unit tsan
check-sqlite: hnsw.so
	test/sqlite/run
check-layers: all
	scripts/check-layers
check-format:
	scripts/check-format

# Damaged and hostile database files through a live server, on the installed
# extension; among the TAP tests it takes 60.
FILES ?= 10000
check-files:
	MUTATIONS=$(FILES) $(MAKE) installcheck REGRESS= ISOLATION= PROVE_TESTS=test/tap/mutations.pl

.PHONY: check-files objects unit unit-asan unit-tsan check-sqlite check-layers check-format FORCE
