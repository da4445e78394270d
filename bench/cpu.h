/*
 * cpu.h
 *		Client and backend on one CPU, in C and C++ (with _GNU_SOURCE).
 *
 * A virtual machine charges waking another CPU to who wakes it.
 */
#ifndef BENCH_CPU_H
#define BENCH_CPU_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

/* Have this process and the other one run on the CPU that this one is on; each stays there. */
static inline bool
share_cpu(pid_t other)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	return sched_setaffinity(0, sizeof(one), &one) == 0 && sched_setaffinity(other, sizeof(one), &one) == 0;
}

#endif /* BENCH_CPU_H */
