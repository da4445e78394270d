/*
 * fuzz.h
 *		What every fuzz target uses: a claim that must hold, and an end of inputs
 *		that take too long.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Of processor time, not of the clock: other work of the machine must not make a finding. */
#define FUZZ_SECONDS 10

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void
must(bool ok, const char *what)
{
	if (!ok)
	{
		fprintf(stderr, "ERROR: fuzz: %s\n", what);
		abort();
	}
}

static inline void
fuzz_too_long(int signal)
{
	static const char message[] = "\nERROR: fuzz: the input takes too long\n";

	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
		_exit(1);
	abort();
}

/* At the beginning of each input; libFuzzer keeps the input that the program aborts in. */
static inline void
fuzz_begin(void)
{
	const struct itimerval limit = {.it_value = {.tv_sec = FUZZ_SECONDS}};
	static bool armed;

	if (!armed)
		armed = signal(SIGPROF, fuzz_too_long) != SIG_ERR;
	must(armed && setitimer(ITIMER_PROF, &limit, NULL) == 0, "no timer");
}

#endif
