/*
 * build.cc
 *		What building and merging cost, beside hnswlib.
 *
 * Each measurement is a process of its own, which reads the vectors from a file
 * in portions as large as those in which the SQLite module hands them to the
 * builder: so its peak of memory is that of building alone, and nothing is left
 * over from the measurement before.  They take turns, round after round, so
 * that other work on the machine hits all alike; medians count.
 */
#include "../search/bench.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hnswlib/hnswlib.h>

static constexpr uint32_t M = 16;
static constexpr uint32_t EF_CONSTRUCTION = 200;
static constexpr size_t PORTION_BYTES = 16 << 20;

/* What one process reports. */
struct Figures
{
	double build_cpu, build_wall; /* for a merge: adding alone */
	double load_cpu;              /* of the graph that is merged into */
	double finish_cpu;            /* the graph made fit to be written */
	double write_cpu;
	double peak_bytes; /* of resident memory */
	double file_bytes;
};

static constexpr size_t FIGURES = sizeof(Figures) / sizeof(double);

/* ---------- in the measured process ---------- */

/* Call take(first label, count, vectors) for the rows first .. last - 1 of a file of float32. */
static void
read_rows(const char *path, uint32_t dim, size_t first, size_t last,
		  const std::function<void(size_t, size_t, const float *)> &take)
{
	size_t portion = std::max<size_t>(1, PORTION_BYTES / (dim * sizeof(float)));
	std::vector<float> rows(portion * dim);
	FILE *file = fopen(path, "rb");

	if (file == nullptr || fseeko(file, (off_t) (first * dim * sizeof(float)), SEEK_SET) != 0)
		die("cannot read %s", path);
	for (; first < last; first += portion)
	{
		size_t count = std::min(portion, last - first);

		if (fread(rows.data(), dim * sizeof(float), count, file) != count)
			die("%s is too short", path);
		take(first, count, rows.data());
	}
	fclose(file);
}

/* Seconds since the last call, of the whole process. */
static double
lap(double (*clock)(), double &since)
{
	double now = clock();
	double taken = now - since;

	since = now;
	return taken;
}

static void
check(HnswStatus status, const HnswError &error)
{
	if (status != HNSW_OK)
		die("vss: %s: %s", hnsw_status_name(status), error.message);
}

/* Rows first .. last - 1 are added to the graph file from, or where it is null, to an empty graph. */
static Figures
build_vss(const char *path, uint32_t dim, size_t first, size_t last, int threads, const char *from,
		  const char *to)
{
	HnswParams params = {dim, HNSW_COSINE, M, EF_CONSTRUCTION, 1};
	HnswTask task = {nullptr, nullptr, nullptr, threads};
	HnswWriteOptions options = {{}, -1, -1};
	HnswSnapshot *snapshot = nullptr;
	HnswBuilder *builder;
	HnswError error = {};
	Figures figures = {};
	double wall, cpu = process_cpu_seconds();

	if (from != nullptr)
	{
		check(hnsw_snapshot_open(from, &snapshot, &error), error);
		check(hnsw_builder_load(snapshot, &task, &builder, &error), error);
	}
	else
		check(hnsw_builder_create(&params, last - first, &builder, &error), error);
	figures.load_cpu = lap(process_cpu_seconds, cpu);
	wall = wall_seconds();
	read_rows(path, dim, first, last,
			  [&](size_t label, size_t count, const float *rows)
			  {
				  std::vector<int64_t> labels(count);

				  for (size_t i = 0; i < count; i++)
					  labels[i] = (int64_t) (label + i);
				  check(hnsw_builder_add_many(builder, count, labels.data(), rows, &task, &error), error);
			  });
	figures.build_cpu = lap(process_cpu_seconds, cpu);
	check(hnsw_builder_repair(builder, &task, &error), error);
	figures.finish_cpu = lap(process_cpu_seconds, cpu);
	figures.build_wall = lap(wall_seconds, wall);
	check(hnsw_builder_write(builder, to, &options, &task, &error), error);
	figures.write_cpu = lap(process_cpu_seconds, cpu);
	hnsw_builder_free(builder);
	hnsw_snapshot_close(snapshot);
	return figures;
}

static Figures
build_hnswlib(const char *path, uint32_t dim, size_t last, const char *to)
{
	hnswlib::InnerProductSpace space(dim);
	hnswlib::HierarchicalNSW<float> index(&space, last, M, EF_CONSTRUCTION);
	std::vector<float> unit(dim);
	Figures figures = {};
	double wall = wall_seconds(), cpu = process_cpu_seconds();

	read_rows(path, dim, 0, last,
			  [&](size_t label, size_t count, const float *rows)
			  {
				  for (size_t i = 0; i < count; i++)
				  {
					  const float *row = rows + i * dim;
					  double scale = 1 / hnsw_norm(row, dim);

					  for (uint32_t d = 0; d < dim; d++)
						  unit[d] = (float) (row[d] * scale);
					  index.addPoint(unit.data(), label + i);
				  }
			  });
	figures.build_cpu = lap(process_cpu_seconds, cpu);
	figures.build_wall = lap(wall_seconds, wall);
	index.saveIndex(to);
	figures.write_cpu = lap(process_cpu_seconds, cpu);
	return figures;
}

/* --part LIBRARY ROWS DIM FIRST LAST THREADS FROM TO; FROM may be "-". */
static int
part(char **args)
{
	uint32_t dim = (uint32_t) atoi(args[2]);
	size_t first = strtoul(args[3], nullptr, 10), last = strtoul(args[4], nullptr, 10);
	const char *from = strcmp(args[6], "-") == 0 ? nullptr : args[6];
	struct rusage usage;
	struct stat st;
	Figures f = strcmp(args[0], "hnswlib") == 0
					? build_hnswlib(args[1], dim, last, args[7])
					: build_vss(args[1], dim, first, last, atoi(args[5]), from, args[7]);

	getrusage(RUSAGE_SELF, &usage);
	if (stat(args[7], &st) != 0)
		die("%s was not written", args[7]);
	f.peak_bytes = (double) usage.ru_maxrss * 1024;
	f.file_bytes = (double) st.st_size;
	for (double figure :
		 {f.build_cpu, f.build_wall, f.load_cpu, f.finish_cpu, f.write_cpu, f.peak_bytes, f.file_bytes})
		printf("%.6f ", figure);
	printf("\n");
	return 0;
}

/* ---------- taking turns ---------- */

struct Task
{
	const char *name; /* for builds of ours, how many threads */
	const char *library;
	int threads;
	bool merge;
	std::vector<std::vector<double>> rounds; /* of the figures, in the order of the struct */
};

static double
median(const Task &task, size_t figure)
{
	std::vector<double> values;

	for (const std::vector<double> &round : task.rounds)
		values.push_back(round[figure]);
	if (values.empty())
		return NAN;
	std::sort(values.begin(), values.end());
	return values[values.size() / 2];
}

static void
run_part(const std::string &self, const std::string &scratch, const Dataset &data, size_t old, Task &task)
{
	std::string graph = scratch + "/" + (task.merge ? "merged" : task.library);
	std::string command = self + " --part " + task.library + " " + scratch + "/rows " +
						  std::to_string(data.dim) + " " + std::to_string(task.merge ? old : 0) + " " +
						  std::to_string(task.merge ? data.n : old) + " " + std::to_string(task.threads) +
						  " " + (task.merge ? scratch + "/vss" : "-") + " " + graph;
	std::vector<double> figures(FIGURES);
	FILE *child = popen(command.c_str(), "r");

	for (double &figure : figures)
		if (child == nullptr || fscanf(child, "%lf", &figure) != 1)
			die("%s failed", command.c_str());
	if (pclose(child) != 0)
		die("%s failed", command.c_str());
	task.rounds.push_back(figures);
	fprintf(stderr, "  %-20s %7.2f s CPU, %7.2f s\n", task.name, figures[0] + figures[3], figures[1]);
}

static void
report(const Dataset &data, size_t old, const std::vector<Task> &tasks, const std::string &table)
{
	static const char *const names[FIGURES] = {"build_cpu_s", "build_wall_s", "load_cpu_s", "finish_cpu_s",
											   "write_cpu_s", "peak_bytes",   "file_bytes"};
	const Task &one = tasks[0], &two = tasks[1], &merge = tasks[2], &theirs = tasks[3];
	const Task &ours = one.rounds.empty() ? two : one;
	double full = median(ours, 0) + median(ours, 3);
	double merging = median(merge, 0) + median(merge, 2) + median(merge, 3);
	FILE *tsv = fopen(table.c_str(), "w");

	if (tsv == nullptr)
		die("cannot write %s", table.c_str());
	printf("%s: %zu x %u, m %u, ef_construction %u, kernel %s, medians of %zu rounds\n", data.name.c_str(),
		   old, data.dim, M, EF_CONSTRUCTION, hnsw_kernel_name(), ours.rounds.size());
	if (!one.rounds.empty())
		printf("  one thread: %.1f s of CPU\n", full);
	if (!two.rounds.empty())
		printf("  two threads: %.1f s, %.1f of CPU\n", median(two, 1), median(two, 0) + median(two, 3));
	if (!theirs.rounds.empty())
		printf("  hnswlib, one thread: %.1f s of CPU, %.2f times ours; %.1f s, %.2f times ours with two\n",
			   median(theirs, 0), median(theirs, 0) / full, median(theirs, 1),
			   median(theirs, 1) / median(two, 1));
	printf("  writing: %.2f s of CPU; file %.1f MB; peak of memory %.2f times the file\n", median(ours, 4),
		   median(ours, 6) / 1e6, median(ours, 5) / median(ours, 6));
	if (!merge.rounds.empty())
		printf(
			"  merging %zu new: %.2f s of CPU = %.2f %% of a full build (load %.2f, add %.2f, finish %.2f), "
			"and %.2f writing\n",
			data.n - old, merging, merging / full * 100, median(merge, 2), median(merge, 0), median(merge, 3),
			median(merge, 4));

	fprintf(tsv, "dataset\tn\tdim\ttask\tround");
	for (const char *name : names)
		fprintf(tsv, "\t%s", name);
	fprintf(tsv, "\n");
	for (const Task &task : tasks)
		for (size_t r = 0; r < task.rounds.size(); r++)
		{
			fprintf(tsv, "%s\t%zu\t%u\t%s\t%zu", data.name.c_str(), old, data.dim, task.name, r + 1);
			for (size_t i = 0; i < FIGURES; i++)
				fprintf(tsv, i < 5 ? "\t%.3f" : "\t%.0f", task.rounds[r][i]);
			fprintf(tsv, "\n");
		}
	if (fclose(tsv) != 0)
		die("cannot write %s", table.c_str());
	printf("  table: %s\n", table.c_str());
}

int
main(int argc, char **argv)
{
	std::string words, scratch, results, suffix;
	std::vector<std::string> without;
	size_t n = 100000;
	int rounds = 3;
	std::vector<Task> tasks = {{"one", "vss", 1, false, {}},
							   {"two", "vss", 2, false, {}},
							   {"merge", "vss", 1, true, {}},
							   {"hnswlib", "hnswlib", 1, false, {}}};
	Dataset data;
	size_t old;

	if (argc == 10 && strcmp(argv[1], "--part") == 0)
		return part(argv + 2);
	for (int i = 1; i < argc; i++)
	{
		std::string arg = argv[i];

		if (i + 1 == argc)
			die("%s needs a value, or is unknown", arg.c_str());
		else if (arg == "--n")
			n = strtoul(argv[++i], nullptr, 10);
		else if (arg == "--rounds")
			rounds = atoi(argv[++i]);
		else if (arg == "--suffix")
			suffix = argv[++i];
		else if (arg == "--words")
			words = argv[++i];
		else if (arg == "--without")
			without.push_back(argv[++i]);
		else if (arg == "--scratch")
			scratch = argv[++i];
		else if (arg == "--results")
			results = argv[++i];
		else
			die("unknown option %s", arg.c_str());
	}
	if (scratch.empty() || results.empty() || n < 1000 || rounds < 1)
		die("usage: bench/build/run [--n N >= 1000] [--rounds N] [--words] [--without "
			"one|two|merge|hnswlib]...");

	/* one row in a hundred comes later */
	data = words.empty() ? make_synthetic(n + n / 100, 100, 384)
						 : load_fvecs("words", words, HNSW_COSINE, n + n / 100, 100);
	old = std::min(n, data.n - data.n / 101);
	FILE *file = fopen((scratch + "/rows").c_str(), "wb");
	if (file == nullptr || fwrite(data.base.data(), data.dim * sizeof(float), data.n, file) != data.n ||
		fclose(file) != 0)
		die("cannot write %s/rows", scratch.c_str());
	data.base = {};

	for (int round = 0; round < rounds; round++)
		for (Task &task : tasks)
			if (std::find(without.begin(), without.end(), task.name) == without.end())
				run_part(argv[0], scratch, data, old, task);
	report(data, old, tasks, results + "/build-" + data.name + "-" + std::to_string(old) + suffix + ".tsv");
	return 0;
}
