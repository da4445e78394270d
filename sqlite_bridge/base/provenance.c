/*
 * provenance.c
 *		Which model made a vector.
 *
 * A vector is a mere array of numbers: nothing in it tells that it came from
 * another model than the vectors it is compared with, though the result is
 * then meaningless.  So every vector that an embedding function returns is
 * remembered here, as a hash and the name of its model, and whoever stores or
 * searches vectors of a known model can ask.  The memory is of fixed size: an
 * old entry is overwritten by a new one, after which the vector's origin is
 * unknown, and unknown vectors are let through.  One table a process, so that
 * the path a vector takes between functions does not matter.
 */
#include "sqlite_bridge/base/base.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define ENTRIES 8192 /* a power of two */
#define MODELS 32

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct
{
	uint64_t hash;
	uint32_t model; /* 1 + index in models, 0: free */
} entries[ENTRIES];
static char models[MODELS][BRIDGE_MODEL_SIZE];
static _Atomic uint32_t model_count; /* written under the lock */

/* Number of the model, made room for by forgetting everything when the names run out. */
static uint32_t
model_number(const char *model)
{
	uint32_t i;

	for (i = 0; i < model_count; i++)
	{
		if (strncmp(models[i], model, BRIDGE_MODEL_SIZE - 1) == 0)
			return i + 1;
	}
	if (model_count == MODELS)
	{
		memset(entries, 0, sizeof(entries));
		model_count = i = 0;
	}
	strncpy(models[i], model, BRIDGE_MODEL_SIZE - 1);
	model_count++;
	return i + 1;
}

void
bridge_embed_remember(const char *model, const float *vector, int dim)
{
	uint64_t hash = XXH3_64bits(vector, (size_t) dim * sizeof(float));
	uint32_t number;

	pthread_mutex_lock(&lock);
	number = model_number(model); /* may clear the entries */
	entries[hash % ENTRIES].hash = hash;
	entries[hash % ENTRIES].model = number;
	pthread_mutex_unlock(&lock);
}

bool
bridge_embed_model_of(const float *vector, int dim, char model[BRIDGE_MODEL_SIZE])
{
	uint64_t hash;
	bool known;

	model[0] = '\0';
	if (model_count == 0)
		return false;
	hash = XXH3_64bits(vector, (size_t) dim * sizeof(float));
	pthread_mutex_lock(&lock);
	known = entries[hash % ENTRIES].model != 0 && entries[hash % ENTRIES].hash == hash;
	if (known)
		memcpy(model, models[entries[hash % ENTRIES].model - 1], BRIDGE_MODEL_SIZE);
	pthread_mutex_unlock(&lock);
	return known;
}
