# vss_fdw: PostgreSQL foreign-data wrapper over vectors in SQLite, and the
# SQLite extension hnsw.so below it.  PG_CONFIG selects the server.

MODULE_big = vss_fdw
EXTENSION = vss_fdw
DATA = vss_fdw--1.0.sql

HNSW_SRCS   := $(sort $(wildcard hnsw/*.c))
BRIDGE_SRCS := $(sort $(wildcard sqlite_bridge/*.c))
FDW_SRCS    := vss_fdw.c $(sort $(wildcard fdw/*.c))
HEADERS_ALL := $(wildcard hnsw/*.h sqlite_bridge/*.h fdw/*.h)

OBJS = $(FDW_SRCS:.c=.o) $(BRIDGE_SRCS:.c=.o) $(HNSW_SRCS:.c=.o)

# The layers below PostgreSQL are plain C11; SQLITE_CORE links the bridge
# against libsqlite3 itself instead of a loadable extension's function table.
WARNINGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare
PG_CPPFLAGS = -I$(CURDIR) -DSQLITE_CORE
PG_CFLAGS = -std=gnu11 -O3 -fvisibility=hidden -ffp-contract=off $(WARNINGS) -Wno-declaration-after-statement
LIBS_BRIDGE = -lcurl -ljson-c -lpthread -lm
SHLIB_LINK = -lsqlite3 $(LIBS_BRIDGE)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# ---- hnsw.so: the same sources, as a loadable SQLite extension ----

EXT_CFLAGS = -std=gnu11 -O3 -g -fPIC -pthread -fvisibility=hidden -ffp-contract=off \
	-Wall -Wextra -Wno-unused-parameter -I$(CURDIR)
EXT_OBJS = $(patsubst %.c,build/ext/%.o,$(HNSW_SRCS) $(BRIDGE_SRCS))

all: hnsw.so

build/ext/%.o: %.c $(HEADERS_ALL)
	@mkdir -p $(@D)
	$(CC) $(EXT_CFLAGS) -c -o $@ $<

hnsw.so: $(EXT_OBJS)
	$(CC) -shared -pthread -o $@ $(EXT_OBJS) $(LIBS_BRIDGE)

$(OBJS): $(HEADERS_ALL)

clean: clean-ext
clean-ext:
	rm -rf build hnsw.so

.PHONY: clean-ext
