/*
 * vector.h
 *		Shared by the files of the type vss_vector, and by nobody else; what
 *		the wrapper needs of the type is in fdw.h.
 */
#ifndef VSS_VECTOR_H
#define VSS_VECTOR_H

#include "fdw/fdw.h"

/* Raise an error unless 1 <= dim <= BRIDGE_MAX_DIM. */
void vssfdw_vector_check_dim(int64 dim);

/* Raise an error that names both numbers unless they are equal. */
void vssfdw_vector_check_same_dim(const VssVector *a, const VssVector *b);

/* Raise an error unless the column's declared size (typmod, -1 is any) is dim. */
void vssfdw_vector_check_typmod(int dim, int32 typmod);

/* Raise an error for NaN and infinity; position is that in the vector, from 1. */
void vssfdw_vector_check_element(float x, int position);

/* Raise an error for infinity that a computation gave; position likewise. */
void vssfdw_vector_check_range(float x, int position);

/* Element by element, then by length; the order of the btree operator class. */
int vssfdw_vector_compare(const VssVector *a, const VssVector *b);

#endif /* VSS_VECTOR_H */
