/*
 * decimal.h
 *		Private to decimal.c, decimal_sum.c and extract.c: numbers as PostgreSQL's
 *		numeric reads them, digit by digit.
 */
#ifndef VSS_DECIMAL_H
#define VSS_DECIMAL_H

#include "fdw/fdw.h"

typedef enum DecimalKind
{
	DECIMAL_MINUS_INFINITY,
	DECIMAL_FINITE,
	DECIMAL_INFINITY,
	DECIMAL_NAN
} DecimalKind;

/*
 * The number is 0.d0 d1 d2 ... times 10 to the power of weight.  The first
 * digit and the last are not zero; zero has no digits.
 */
typedef struct Decimal
{
	DecimalKind kind;
	bool negative;
	int ndigits;
	int weight;
	int dscale;            /* digits after the point that numeric shows */
	unsigned char *digits; /* 0 to 9 */
	unsigned char local[64];
} Decimal;

/*
 * Read argument 0 of a function, rounded to the precision and scale that
 * arguments 1 and 2 may give.  False for NULL, and after an error that is set
 * as the function's result.  vssfdw_decimal_free must follow in any case.
 */
bool vssfdw_decimal_read(sqlite3_context *context, int argc, sqlite3_value **argv, Decimal *out);
void vssfdw_decimal_free(Decimal *decimal);

/* The result of a function as vss_numeric() gives it: magnitude / 10^scale, or an infinite number. */
void vssfdw_decimal_result(sqlite3_context *context, bool negative, uint64 magnitude, int scale);
void vssfdw_decimal_infinite(sqlite3_context *context, int sign);

/* Register vss_numeric_sum and vss_numeric_avg. */
int vssfdw_register_decimal_sums(sqlite3 *db);

#endif /* VSS_DECIMAL_H */
