/*
 * process.cc
 *		What a process pays that has just started.
 *
 * Every measurement is a process of its own, so that nothing is warm but what
 * the page cache holds.
 */
#include "search.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

/* KiB that this process alone keeps in memory. */
static long
private_dirty()
{
	FILE *file = fopen("/proc/self/smaps", "r");
	char line[512];
	long sum = 0, value;

	if (file == nullptr)
		die("cannot read /proc/self/smaps");
	while (fgets(line, sizeof(line), file) != nullptr)
		if (sscanf(line, "Private_Dirty: %ld kB", &value) == 1)
			sum += value;
	fclose(file);
	return sum;
}

static std::vector<float>
read_queries(const char *path, uint32_t dim)
{
	FILE *file = fopen(path, "rb");
	std::vector<float> queries, row(dim);

	while (file != nullptr && fread(row.data(), sizeof(float), dim, file) == dim)
		queries.insert(queries.end(), row.begin(), row.end());
	if (file == nullptr || queries.empty())
		die("no queries in %s", path);
	fclose(file);
	return queries;
}

/*
 * FILE QUERIES DIM COLD: prints microseconds to open FILE, for the first query
 * and for a query once all were asked, page faults of the first query, and the
 * KiB of private memory that opening and searching added.
 */
int
first_query(char **args)
{
	HnswSnapshot *snapshot;
	HnswCursor *cursor = nullptr;
	HnswSearchOptions options = {};
	HnswError error;
	HnswHit hit;
	uint32_t dim = (uint32_t) atoi(args[2]);
	std::vector<float> queries = read_queries(args[1], dim);
	const size_t n = queries.size() / dim;
	struct rusage before, after;
	double t0, t1, t2, warm = 0;
	long memory;

	if (atoi(args[3]))
	{
		int fd = open(args[0], O_RDONLY);

		if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
			die("cannot drop %s from the file cache", args[0]);
		close(fd);
	}

	options.ef = 100;
	private_dirty();
	malloc_trim(0); /* or memory that was used and freed would be used again, uncounted */
	memory = private_dirty();
	getrusage(RUSAGE_SELF, &before);
	t0 = wall_seconds();
	if (hnsw_snapshot_open(args[0], &snapshot, &error) != HNSW_OK)
		die("%s", error.message);
	t1 = wall_seconds();
	if (hnsw_search_begin(snapshot, queries.data(), K, &options, &cursor, &error) != HNSW_OK)
		die("%s", error.message);
	for (size_t i = 0; i < K; i++)
		hnsw_search_next(cursor, &hit);
	t2 = wall_seconds();
	getrusage(RUSAGE_SELF, &after);
	for (int pass = 0; pass < 2; pass++)
	{
		warm = wall_seconds();
		for (size_t i = 0; i < n; i++)
		{
			if (hnsw_search_again(cursor, queries.data() + i * dim, K, &error) != HNSW_OK)
				die("%s", error.message);
			for (size_t j = 0; j < K; j++)
				hnsw_search_next(cursor, &hit);
		}
		warm = (wall_seconds() - warm) / (double) n;
	}
	memory = private_dirty() - memory;
	printf("%.1f %.1f %.1f %ld %ld\n", (t1 - t0) * 1e6, (t2 - t1) * 1e6, warm * 1e6,
		   after.ru_minflt - before.ru_minflt, memory);
	return 0;
}

void
measure_first_query(const std::string &self, const std::string &scratch, const Dataset &data,
					const std::string &index, FILE *tsv)
{
	const std::string queries = scratch + "/" + data.name + ".queries";
	const size_t some = std::min<size_t>(data.q, 200);
	FILE *file = fopen(queries.c_str(), "wb");

	if (file == nullptr || fwrite(data.query.data(), sizeof(float) * data.dim, some, file) != some ||
		fclose(file))
		die("cannot write %s", queries.c_str());

	/* Cold runs leave the file out of the cache, so they come last. */
	for (int cold = 0; cold < 2; cold++)
	{
		std::vector<double> opened, first, result, warm, faults, memory;
		const std::string command = self + " --first '" + index + "' '" + queries + "' " +
									std::to_string(data.dim) + " " + std::to_string(cold);

		for (int i = 0; i < (cold ? 5 : 12); i++)
		{
			FILE *child = popen(command.c_str(), "r");
			double o, f, w, p, m;

			if (child == nullptr || fscanf(child, "%lf %lf %lf %lf %lf", &o, &f, &w, &p, &m) != 5 ||
				pclose(child) != 0)
				die("%s failed", command.c_str());
			if (i == 0 && !cold)
				continue; /* it may have had to read the file */
			opened.push_back(o);
			first.push_back(f);
			result.push_back(o + f);
			warm.push_back(w);
			faults.push_back(p);
			memory.push_back(m);
		}
		printf(
			"  new process, ef 100, file %s: open %.0f us, first result after %.2f ms, warm query %.3f ms, "
			"%.0f page faults, private memory %.1f MB\n",
			cold ? "not in memory" : "in the page cache", median(opened), median(result) / 1000,
			median(warm) / 1000, median(faults), median(memory) / 1024);
		fprintf(
			tsv,
			"# new process, %s\topen_us %.0f\tfirst_us %.0f\twarm_us %.0f\tfaults %.0f\tto_first_result_us "
			"%.0f\tprivate_kb %.0f\n",
			cold ? "cold" : "cached", median(opened), median(first), median(warm), median(faults),
			median(result), median(memory));
	}
}
