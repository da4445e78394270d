/*
 * search.h
 *		What the measuring half of the search benchmark shares.
 */
#ifndef BENCH_SEARCH_H
#define BENCH_SEARCH_H

#include "bench.h"

#include <cstdio>

/* ---------- measure.cc ---------- */

constexpr size_t K = 10;

struct Point
{
	uint32_t ef;
	double recall;
	std::vector<double> rounds; /* CPU microseconds a query, of each round */
	double micros;              /* their median */
};

struct Contestant
{
	std::unique_ptr<Library> library;
	std::string file;
	double build_cpu = 0, build_wall = 0; /* seconds; 0 when nothing is known */
	unsigned build_threads = 0;
	std::vector<Point> points; /* by rising ef */
};

double median(std::vector<double> values);
double recall_of(const Dataset &data, Library &library);
double time_of(const Dataset &data, Library &library);

/*
 * Fill in the contestants' points: all of them in turn at one ef, then the next
 * ef, and all that rounds times.  A contestant that has reached the recall
 * enough is not asked with larger ef.
 */
void measure(const Dataset &data, std::vector<Contestant> &contestants, const std::vector<uint32_t> &efs,
			 double enough, size_t rounds);

/*
 * Microseconds a query at a recall, in one round or (round < 0) by the medians;
 * negative where the points do not span it.
 */
double micros_at(const std::vector<Point> &points, double recall, int round = -1);

/* ---------- process.cc ---------- */

/* The program that "search --first FILE QUERIES DIM COLD" runs. */
int first_query(char **args);

/* What a new process pays that searches the file index; printed and appended to tsv. */
void measure_first_query(const std::string &self, const std::string &scratch, const Dataset &data,
						 const std::string &index, FILE *tsv);

/* ---------- defaults.c ---------- */

/* The margin of the index that has this graph file, where the user named no ef. */
extern "C" float bench_default_margin(const char *graph);

#endif /* BENCH_SEARCH_H */
