/*
 * host.c
 *		What hosts do differently that all of sqlite_bridge/ must bear.
 */
#include "sqlite_bridge/base/base.h"

#include <math.h>

bool
bridge_whole_number(sqlite3_value *value, int64_t *out)
{
	int type = sqlite3_value_numeric_type(value);
	double number;

	if (type == SQLITE_INTEGER)
	{
		*out = sqlite3_value_int64(value);
		return true;
	}
	if (type != SQLITE_FLOAT)
		return false;
	number = sqlite3_value_double(value);
	if (!(number >= -9223372036854775808.0 && number < 9223372036854775808.0) || floor(number) != number)
		return false;
	*out = (int64_t) number;
	return true;
}
