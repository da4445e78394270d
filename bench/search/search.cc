/*
 * search.cc
 *		Search speed at equal recall: hnsw/ beside hnswlib and faiss.
 *
 * One process builds (or loads) every library's index of the same vectors with
 * the same m and ef_construction, then asks the same queries of each in turn,
 * ef by ef, round by round, so that whatever else the machine does hits all
 * alike.  Time is CPU time of the one thread that searches; the median of the
 * rounds counts.  Recall is counted by distance: a result is right when it is
 * no farther than the true k-th neighbour, so that equal vectors do not
 * matter.
 *
 * Speeds are compared where recalls are equal, by interpolation between the
 * measured points (logarithm of speed over logarithm of missed share).
 */
#include "bench.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static constexpr size_t K = 10;
static constexpr uint32_t M = 16;
static constexpr uint32_t EF_CONSTRUCTION = 200;

struct Options
{
	bool quick = false;
	bool rebuild = false;
	size_t n = 0; /* 0: all, or the data set's own size */
	std::string words;
	std::string only;    /* one data set by name */
	std::string without; /* a library by name */
	std::string cache;   /* folder for indexes and truth */
	std::string results; /* folder for tables */
	std::string self;
};

struct Point
{
	uint32_t ef;
	double recall;
	double micros; /* CPU time a query */
};

struct Contestant
{
	std::unique_ptr<Library> library;
	std::string file;
	double build_seconds; /* CPU; 0 when nothing is known */
	std::vector<Point> points;
};

/* ---------- measuring ---------- */

static double
median(std::vector<double> values)
{
	std::sort(values.begin(), values.end());
	return values[values.size() / 2];
}

static double
recall_of(const Dataset &data, Library &library)
{
	size_t right = 0;
	std::vector<int64_t> labels;

	for (size_t i = 0; i < data.q; i++)
	{
		labels.resize(K);
		labels.resize(library.search(data.query_row(i), K, labels.data()));
		std::sort(labels.begin(), labels.end());
		labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
		for (int64_t label : labels)
			right += hnsw_distance(data.metric, data.query_row(i), data.base_row((size_t) label), data.dim) <=
					 data.kth[i];
	}
	return (double) right / (double) (data.q * K);
}

/* CPU microseconds a query, over all queries. */
static double
time_of(const Dataset &data, Library &library)
{
	int64_t labels[K];
	double start = cpu_seconds();

	for (size_t i = 0; i < data.q; i++)
		library.search(data.query_row(i), K, labels);
	return (cpu_seconds() - start) / (double) data.q * 1e6;
}

static void
measure(const Dataset &data, std::vector<Contestant> &contestants, const std::vector<uint32_t> &efs,
		int rounds)
{
	std::vector<std::vector<std::vector<double>>> times(contestants.size(),
														std::vector<std::vector<double>>(efs.size()));

	for (size_t c = 0; c < contestants.size(); c++)
		for (uint32_t ef : efs)
		{
			contestants[c].library->set_ef(ef);
			contestants[c].points.push_back({ef, recall_of(data, *contestants[c].library), 0});
		}
	for (int round = 0; round < rounds; round++)
		for (size_t e = 0; e < efs.size(); e++)
			for (size_t c = 0; c < contestants.size(); c++)
			{
				contestants[c].library->set_ef(efs[e]);
				times[c][e].push_back(time_of(data, *contestants[c].library));
			}
	for (size_t c = 0; c < contestants.size(); c++)
		for (size_t e = 0; e < efs.size(); e++)
			contestants[c].points[e].micros = median(times[c][e]);
}

/* Microseconds a query at a recall; negative where the points do not span it. */
static double
micros_at(const std::vector<Point> &points, double recall)
{
	auto missed = [](double r) { return std::log(std::max(1 - r, 1e-5)); };

	for (size_t i = 1; i < points.size(); i++)
	{
		const Point &a = points[i - 1];
		const Point &b = points[i];

		if (a.recall <= recall && recall <= b.recall && a.recall < b.recall)
		{
			double t = (missed(a.recall) - missed(recall)) / (missed(a.recall) - missed(b.recall));

			return std::exp(std::log(a.micros) + t * (std::log(b.micros) - std::log(a.micros)));
		}
	}
	return -1;
}

/* ---------- a new process ---------- */

/*
 * What a program pays that has just started: "search --first FILE QUERIES DIM
 * COLD" prints microseconds to open FILE, for its first query, for a query
 * after all queries were asked once, and the page faults of the first query.
 */
static int
first_query(char **args)
{
	HnswSnapshot *snapshot;
	HnswCursor *cursor = nullptr;
	HnswSearchOptions options = {};
	HnswError error;
	HnswHit hit;
	uint32_t dim = (uint32_t) atoi(args[2]);
	std::vector<float> queries;
	struct rusage before, after;
	double t0, t1, t2, warm;
	size_t n;

	FILE *file = fopen(args[1], "rb");
	std::vector<float> row(dim);
	while (file != nullptr && fread(row.data(), sizeof(float), dim, file) == dim)
		queries.insert(queries.end(), row.begin(), row.end());
	if (file == nullptr || queries.empty())
		die("no queries in %s", args[1]);
	fclose(file);
	n = queries.size() / dim;
	if (atoi(args[3]))
	{
		int fd = open(args[0], O_RDONLY);

		if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
			die("cannot drop %s from the file cache", args[0]);
		close(fd);
	}

	options.ef = 100;
	getrusage(RUSAGE_SELF, &before);
	t0 = wall_seconds();
	if (hnsw_snapshot_open(args[0], &snapshot, &error) != HNSW_OK)
		die("%s", error.message);
	t1 = wall_seconds();
	if (hnsw_search_begin(snapshot, queries.data(), &options, &cursor, &error) != HNSW_OK)
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
			if (hnsw_search_again(cursor, queries.data() + i * dim, &error) != HNSW_OK)
				die("%s", error.message);
			for (size_t j = 0; j < K; j++)
				hnsw_search_next(cursor, &hit);
		}
		warm = (wall_seconds() - warm) / (double) n;
	}
	printf("%.1f %.1f %.1f %ld\n", (t1 - t0) * 1e6, (t2 - t1) * 1e6, warm * 1e6,
		   after.ru_minflt - before.ru_minflt);
	return 0;
}

static void
measure_first_query(const Options &options, const Dataset &data, const std::string &index, FILE *tsv)
{
	std::string queries = options.cache + "/" + data.name + ".queries";
	FILE *file = fopen(queries.c_str(), "wb");
	const size_t some = std::min<size_t>(data.q, 200);

	if (file == nullptr || fwrite(data.query.data(), sizeof(float) * data.dim, some, file) != some ||
		fclose(file))
		die("cannot write %s", queries.c_str());
	for (int cold = 0; cold < 2; cold++)
	{
		std::vector<double> opened, first, warm, faults;

		for (int i = 0; i < (cold ? 5 : 11); i++)
		{
			std::string command = options.self + " --first '" + index + "' '" + queries + "' " +
								  std::to_string(data.dim) + " " + std::to_string(cold);
			FILE *child = popen(command.c_str(), "r");
			double o, f, w, p;

			if (child == nullptr || fscanf(child, "%lf %lf %lf %lf", &o, &f, &w, &p) != 4 ||
				pclose(child) != 0)
				die("%s failed", command.c_str());
			opened.push_back(o);
			first.push_back(f);
			warm.push_back(w);
			faults.push_back(p);
		}
		printf("  new process, ef 100, file %s: open %.0f us, first query %.2f ms, warm query %.2f ms, "
			   "%.0f page faults\n",
			   cold ? "not in memory" : "in the page cache", median(opened), median(first) / 1000,
			   median(warm) / 1000, median(faults));
		fprintf(tsv, "# new process, %s\topen_us %.0f\tfirst_us %.0f\twarm_us %.0f\tfaults %.0f\n",
				cold ? "cold" : "cached", median(opened), median(first), median(warm), median(faults));
	}
}

/* ---------- one data set ---------- */

static void
obtain(const Options &options, const Dataset &data, Contestant &contestant)
{
	double start;

	contestant.build_seconds = 0;
	contestant.file =
		options.cache + "/" + data.name + "-" + std::to_string(data.n) + "." + contestant.library->name();
	std::string note = contestant.file + ".seconds";

	if (!options.rebuild && contestant.library->load(contestant.file, data))
	{
		FILE *file = fopen(note.c_str(), "r");

		if (file != nullptr && fscanf(file, "%lf", &contestant.build_seconds) != 1)
			contestant.build_seconds = 0;
		if (file != nullptr)
			fclose(file);
		return;
	}
	fprintf(stderr, "%s: building with %s\n", data.name.c_str(), contestant.library->name());
	start = cpu_seconds();
	contestant.library->build(data, M, EF_CONSTRUCTION);
	contestant.build_seconds = cpu_seconds() - start;
	if (FILE *file = fopen(note.c_str(), "w"); file != nullptr)
	{
		fprintf(file, "%f\n", contestant.build_seconds);
		fclose(file);
	}
	contestant.library->save(contestant.file);
	if (!contestant.library->load(contestant.file, data))
		die("cannot load %s", contestant.file.c_str());
}

static void
report(const Dataset &data, const std::vector<Contestant> &contestants, FILE *tsv)
{
	for (const Contestant &c : contestants)
	{
		struct stat st = {};

		stat(c.file.c_str(), &st);
		printf("  %-8s  file %.1f MB", c.library->name(), (double) st.st_size / 1e6);
		if (c.build_seconds > 0)
		{
			printf(", built in %.1f s CPU", c.build_seconds);
			fprintf(tsv, "# %s\tbuild_cpu_s %.1f\tfile_bytes %lld\n", c.library->name(), c.build_seconds,
					(long long) st.st_size);
		}
		printf("\n");
	}
	printf("  %6s", "ef");
	for (const Contestant &c : contestants)
		printf("  %9s recall  us/query", c.library->name());
	printf("\n");
	for (size_t e = 0; e < contestants[0].points.size(); e++)
	{
		printf("  %6u", contestants[0].points[e].ef);
		for (const Contestant &c : contestants)
			printf("  %16.4f  %8.1f", c.points[e].recall, c.points[e].micros);
		printf("\n");
	}
	fprintf(tsv, "dataset\tn\tdim\tmetric\tlibrary\tef\trecall_at_10\tcpu_us_per_query\n");
	for (const Contestant &c : contestants)
		for (const Point &p : c.points)
			fprintf(tsv, "%s\t%zu\t%u\t%s\t%s\t%u\t%.5f\t%.2f\n", data.name.c_str(), data.n, data.dim,
					hnsw_metric_name(data.metric), c.library->name(), p.ef, p.recall, p.micros);

	for (double recall : {0.90, 0.95, 0.99})
	{
		double ours = micros_at(contestants[0].points, recall);

		printf("  recall %.2f:", recall);
		for (const Contestant &c : contestants)
		{
			double theirs = micros_at(c.points, recall);

			if (theirs < 0)
				printf("  %s not measured", c.library->name());
			else
				printf("  %s %.1f us", c.library->name(), theirs);
			if (&c != &contestants[0] && theirs > 0 && ours > 0)
			{
				printf(" (vss is %.2f x as fast)", theirs / ours);
				fprintf(tsv, "# ratio at recall %.2f\t%s\t%.3f\n", recall, c.library->name(), theirs / ours);
			}
		}
		printf("\n");
	}
}

static void
run(const Options &options, Dataset data)
{
	std::vector<uint32_t> efs = {4, 6, 8, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 450, 640, 900};
	std::vector<Contestant> contestants;
	std::string table = options.results + "/search-" + data.name + (options.quick ? "-quick" : "") + ".tsv";
	FILE *tsv;

	if (options.quick)
		efs = {5, 10, 20, 40, 80, 160, 320, 640};
	find_truth(data, K, options.cache + "/" + data.name + "-" + std::to_string(data.n) + ".truth");
	for (auto make : {make_vss, make_hnswlib, make_faiss})
	{
		Contestant c = {};

		c.library = make();
		if (c.library == nullptr || options.without == c.library->name())
			continue;
		obtain(options, data, c);
		contestants.push_back(std::move(c));
	}
	measure(data, contestants, efs, options.quick ? 3 : 5);

	tsv = fopen(table.c_str(), "w");
	if (tsv == nullptr)
		die("cannot write %s", table.c_str());
	printf("%s: %zu vectors of %u dimensions, %s, %zu queries, m %u, ef_construction %u, kernel %s\n",
		   data.name.c_str(), data.n, data.dim, hnsw_metric_name(data.metric), data.q, M, EF_CONSTRUCTION,
		   hnsw_kernel_name());
	report(data, contestants, tsv);

	/* Nobody may have the file mapped, or it would not leave the page cache. */
	std::string file = contestants[0].file;
	contestants.clear();
	measure_first_query(options, data, file, tsv);
	printf("  table: %s\n\n", table.c_str());
	fclose(tsv);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	Options options;

	if (argc == 6 && strcmp(argv[1], "--first") == 0)
		return first_query(argv + 2);
	options.self = argv[0];
	for (int i = 1; i < argc; i++)
	{
		std::string arg = argv[i];
		std::string value = i + 1 < argc ? argv[i + 1] : "";

		if (arg == "--quick")
			options.quick = true;
		else if (arg == "--rebuild")
			options.rebuild = true;
		else if (value.empty())
			die("usage: search --cache DIR --results DIR [--words FILE] [--only NAME] "
				"[--without LIBRARY] [--n N] [--quick] [--rebuild]");
		else
		{
			i++;
			if (arg == "--cache")
				options.cache = value;
			else if (arg == "--results")
				options.results = value;
			else if (arg == "--words")
				options.words = value;
			else if (arg == "--only")
				options.only = value;
			else if (arg == "--without")
				options.without = value;
			else if (arg == "--n")
				options.n = strtoull(value.c_str(), nullptr, 10);
			else
				die("unknown option %s", arg.c_str());
		}
	}

	auto wanted = [&](const char *name) { return options.only.empty() || options.only == name; };
	auto size = [&](size_t all, size_t few) { return options.n > 0 ? options.n : options.quick ? few : all; };
	size_t q = options.quick ? 500 : 1000;

	if (!options.words.empty() && wanted("words"))
		run(options, load_fvecs("words", options.words, HNSW_COSINE, size(1000000, 50000), q));
	if (wanted("synthetic384"))
		run(options, make_synthetic(size(100000, 20000), q, 384));
	return 0;
}
