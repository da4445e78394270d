/*
 * support_words.c
 *		Reader of test/data/words.i8 (format in test/data/README.md).
 */
#include "support_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD (sizeof(float) + WORDS_DIM)

static void
die(const char *what)
{
	fprintf(stderr, "%s/words.i8: %s\n", TEST_DATA_DIR, what);
	exit(2);
}

Words *
words_load(uint32_t limit)
{
	FILE *file = fopen(TEST_DATA_DIR "/words.i8", "rb");
	Words *words = calloc(1, sizeof(Words));
	uint8_t record[RECORD];
	uint32_t room = limit ? limit : 10000;

	if (!file || !words)
		die("cannot be opened");
	words->vectors = malloc(sizeof(float) * WORDS_DIM * room);
	words->labels = malloc(sizeof(int64_t) * room);
	if (!words->vectors || !words->labels)
		die("no memory");
	while (words->count < room && fread(record, RECORD, 1, file) == 1)
	{
		float scale;
		float *vector = words->vectors + (size_t) words->count * WORDS_DIM;

		memcpy(&scale, record, sizeof(scale));
		for (int i = 0; i < WORDS_DIM; i++)
			vector[i] = scale * (float) (int8_t) record[sizeof(float) + i];
		words->labels[words->count] = words->count + 1;
		words->count++;
	}
	fclose(file);
	if (words->count != room)
		die("is too short");
	return words;
}

void
words_free(Words *words)
{
	free(words->vectors);
	free(words->labels);
	free(words);
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *) a;
	double y = *(const double *) b;

	return (x > y) - (x < y);
}

double
words_kth_distance(const Words *words, HnswMetric metric, const float *query, uint32_t k)
{
	double *all = malloc(sizeof(double) * words->count);
	double result;

	if (!all || k == 0 || k > words->count)
		die("k is out of range");
	for (uint32_t i = 0; i < words->count; i++)
		all[i] = hnsw_distance(metric, query, words->vectors + (size_t) i * WORDS_DIM, WORDS_DIM);
	qsort(all, words->count, sizeof(double), compare_doubles);
	result = all[k - 1];
	free(all);
	return result;
}
