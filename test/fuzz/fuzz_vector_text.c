/*
 * fuzz_vector_text.c
 *		libFuzzer target: any text as a vector.  What is accepted must come
 *		back to the bit when it is written and read again.
 */
#include "fuzz.h"

#include "sqlite_bridge/bridge.h"

#include <math.h>

#define CAPACITY 256

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	float vector[CAPACITY];
	float again[CAPACITY];
	char message[200] = "";
	char text[16 * CAPACITY + 3];
	char *input = malloc(size + 1);
	int capacity = CAPACITY;
	int dim;

	fuzz_begin();
	must(input != NULL, "no memory");
	/* the end of the text is the end of readable memory, as in a SQLite value */
	memcpy(input, data, size);
	input[size] = '\0';
	if (size > 0 && data[size - 1] == '!')
		capacity = 3;
	dim = bridge_vector_parse(input, size, vector, capacity, message, sizeof(message));
	if (dim < 0)
	{
		must(message[0] != '\0' && memchr(message, '\0', sizeof(message)) != NULL,
			 "an error without a message, or without an end");
	}
	else
	{
		/* the result may exceed capacity to say how many there were */
		int kept = dim < capacity ? dim : capacity;

		for (int i = 0; i < kept; i++)
			must(isfinite(vector[i]), "a number that is none");
		if (dim > 0 && dim <= capacity)
		{
			size_t length = bridge_vector_format(vector, dim, text);

			must(length < sizeof(text) &&
					 bridge_vector_parse(text, length, again, CAPACITY, message, sizeof(message)) == dim &&
					 memcmp(vector, again, sizeof(float) * (size_t) dim) == 0,
				 "a vector's text is another vector");
		}
	}
	free(input);
	return 0;
}
