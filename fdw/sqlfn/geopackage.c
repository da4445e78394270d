/*
 * geopackage.c
 *		ST_IsEmpty, ST_MinX, ST_MaxX, ST_MinY and ST_MaxY of a GeoPackage geometry.
 *
 * The triggers that keep a GeoPackage's spatial index call these five, and the
 * application that made the file brings them along.  Without them its tables
 * could be read but not written.
 *
 * A geometry is a BLOB: "GP", version, flags, the reference system, an envelope
 * that may be left out, and the geometry in ISO's well-known binary form
 * (OGC 12-128r18, 2.1.3).  Where the envelope is left out, as for points, the
 * coordinates are looked at; of curves their points are.  What is no geometry gives
 * NULL, and so do the bounds of an empty one.
 *
 * Called by SQLite, with bytes that may be anything.
 */
#include "postgres.h"

#include <math.h>

#include "fdw/sqlfn/sqlfn.h"

#define HEADER_BYTES 8
#define MOST_NESTED 32

/* What is left of the well-known binary, and the bounds so far. */
typedef struct Geometry
{
	const unsigned char *at, *end;
	bool little; /* byte order of the part at hand */
	bool empty;
	double bounds[4]; /* least x, greatest x, least y, greatest y */
} Geometry;

static uint64
read_bytes(const unsigned char *at, int count, bool little)
{
	uint64 value = 0;

	for (int i = 0; i < count; i++)
		value = value << 8 | at[little ? count - 1 - i : i];
	return value;
}

static double
read_double(const unsigned char *at, bool little)
{
	uint64 bits = read_bytes(at, 8, little);
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static bool
take_count(Geometry *geometry, uint32 *count)
{
	if (geometry->end - geometry->at < 4)
		return false;
	*count = (uint32) read_bytes(geometry->at, 4, geometry->little);
	geometry->at += 4;
	return true;
}

/* An empty point has NaN for coordinates. */
static bool
take_points(Geometry *geometry, uint32 count, int dimensions)
{
	if ((geometry->end - geometry->at) / (8 * dimensions) < count)
		return false;
	for (uint32 i = 0; i < count; i++, geometry->at += 8 * dimensions)
	{
		double x = read_double(geometry->at, geometry->little);
		double y = read_double(geometry->at + 8, geometry->little);

		if (isnan(x) || isnan(y))
			continue;
		if (geometry->empty || x < geometry->bounds[0])
			geometry->bounds[0] = x;
		if (geometry->empty || x > geometry->bounds[1])
			geometry->bounds[1] = x;
		if (geometry->empty || y < geometry->bounds[2])
			geometry->bounds[2] = y;
		if (geometry->empty || y > geometry->bounds[3])
			geometry->bounds[3] = y;
		geometry->empty = false;
	}
	return true;
}

/* One geometry and all in it; false where the bytes are none. */
static bool
take_geometry(Geometry *geometry, int depth)
{
	uint32 type;
	uint32 count;
	int dimensions;

	if (geometry->end - geometry->at < 5 || geometry->at[0] > 1 || depth > MOST_NESTED)
		return false;
	geometry->little = geometry->at[0] == 1;
	type = (uint32) read_bytes(geometry->at + 1, 4, geometry->little);
	geometry->at += 5;
	if (type >= 4000)
		return false;
	dimensions = type < 1000 ? 2 : type < 3000 ? 3 : 4;

	switch (type % 1000)
	{
		case 1: /* point */
			return take_points(geometry, 1, dimensions);
		case 2: /* line */
		case 8: /* arcs */
			return take_count(geometry, &count) && take_points(geometry, count, dimensions);
		case 3:  /* polygon: rings */
		case 17: /* triangle */
			if (!take_count(geometry, &count))
				return false;
			for (uint32 i = 0; i < count; i++)
			{
				uint32 points;

				if (!take_count(geometry, &points) || !take_points(geometry, points, dimensions))
					return false;
			}
			return true;
		case 4: /* of whole geometries */
		case 5:
		case 6:
		case 7:
		case 9:
		case 10:
		case 11:
		case 12:
		case 15:
		case 16:
			if (!take_count(geometry, &count))
				return false;
			for (uint32 i = 0; i < count; i++)
				if (!take_geometry(geometry, depth + 1))
					return false;
			return true;
		default:
			return false;
	}
}

static bool
read_geometry(sqlite3_value *value, Geometry *out)
{
	static const int envelope_bytes[] = {0, 32, 48, 48, 64};
	const unsigned char *blob;
	int size;
	int envelope;
	bool little;

	if (sqlite3_value_type(value) != SQLITE_BLOB)
		return false;
	blob = sqlite3_value_blob(value);
	size = sqlite3_value_bytes(value);
	if (blob == NULL || size < HEADER_BYTES || blob[0] != 'G' || blob[1] != 'P')
		return false;
	little = (blob[3] & 1) != 0;
	envelope = blob[3] >> 1 & 7;
	if (envelope >= lengthof(envelope_bytes) || size < HEADER_BYTES + envelope_bytes[envelope])
		return false;
	out->empty = true;
	if (blob[3] & 16)
		return true;
	if (envelope > 0)
	{
		for (int i = 0; i < 4; i++)
			out->bounds[i] = read_double(blob + HEADER_BYTES + 8 * i, little);
		out->empty = isnan(out->bounds[0]);
		return true;
	}
	out->at = blob + HEADER_BYTES;
	out->end = blob + size;
	return take_geometry(out, 0);
}

static void
is_empty_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Geometry geometry;

	if (read_geometry(argv[0], &geometry))
		sqlite3_result_int(context, geometry.empty);
}

static void
bound_result(sqlite3_context *context, sqlite3_value *value, int bound)
{
	Geometry geometry;

	if (read_geometry(value, &geometry) && !geometry.empty)
		sqlite3_result_double(context, geometry.bounds[bound]);
}

static void
min_x_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	bound_result(context, argv[0], 0);
}

static void
max_x_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	bound_result(context, argv[0], 1);
}

static void
min_y_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	bound_result(context, argv[0], 2);
}

static void
max_y_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	bound_result(context, argv[0], 3);
}

const VssSqlFunction vssfdw_geopackage_functions[] = {
	{"ST_IsEmpty", 1, is_empty_function}, {"ST_MinX", 1, min_x_function}, {"ST_MaxX", 1, max_x_function},
	{"ST_MinY", 1, min_y_function},       {"ST_MaxY", 1, max_y_function}, {NULL},
};
