/*
 * search.cc
 *		Search speed at equal recall: hnsw/ beside hnswlib and faiss.
 *
 * One process builds (or loads) every library's index of the same vectors with
 * the same m and ef_construction, then asks the same queries of each in turn,
 * ef by ef, round by round, so that whatever else the machine does hits all
 * alike.  measure.cc says what counts as recall and as time.
 */
#include "search.h"

#include <algorithm>
#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

static constexpr uint32_t M = 16;
static constexpr uint32_t EF_CONSTRUCTION = 200;

static const char usage[] =
	"usage: search --cache DIR --results DIR [--words FILE] [--mnist BASE QUERIES] [--only NAME]\n"
	"\t[--without LIBRARY]... [--kernel NAME]... [--n N] [--queries N] [--rounds N]\n"
	"\t[--threads N] [--quick] [--rebuild[=LIBRARY]] [--prepare]";

struct Options
{
	bool quick = false;
	bool prepare = false; /* build what is missing and measure nothing */
	bool rebuild = false;
	std::string rebuild_only; /* a library by name */
	size_t n = 0;             /* 0: all, or the data set's own size */
	size_t queries = 0;       /* ask only so many of them; 0: all */
	size_t rounds = 0;        /* 0: 5, or 3 when quick */
	unsigned threads = 1;     /* for building */
	std::string words, mnist_base, mnist_query;
	std::string only;                 /* one data set by name */
	std::vector<std::string> without; /* libraries by name */
	std::vector<HnswKernel> kernels;  /* further contestants of our own */
	std::string cache;                /* folder for indexes and truth */
	std::string results;              /* folder for tables */
	std::string self;
};

/* ---------- indexes ---------- */

/* What is known of an index in the cache, in a file beside it. */
struct Note
{
	double cpu, wall;
	unsigned threads;
	uint64_t vectors; /* fingerprint of what it holds */
	char builder[65]; /* which state of hnsw/ made it; "-" for the peers */
};

static bool
read_note(const std::string &path, Note *note)
{
	FILE *file = fopen(path.c_str(), "r");
	bool found = file != nullptr && fscanf(file, "%lf %lf %u %" SCNx64 " %64s", &note->cpu, &note->wall,
										   &note->threads, &note->vectors, note->builder) == 5;

	if (file != nullptr)
		fclose(file);
	return found;
}

static void
write_note(const std::string &path, const Note &note)
{
	FILE *file = fopen(path.c_str(), "w");

	if (file == nullptr ||
		fprintf(file, "%f %f %u %" PRIx64 " %s\n", note.cpu, note.wall, note.threads, note.vectors,
				note.builder) < 0 ||
		fclose(file) != 0)
		die("cannot write %s", path.c_str());
}

/* Load the contestant's index, or build and keep it. */
static void
obtain(const Options &options, const Dataset &data, uint64_t vectors, bool rebuild, Contestant &contestant)
{
	Library &library = *contestant.library;
	const std::string index = library.index_name();
	const char *state = index == "vss" ? HNSW_STATE : "-";
	Note note = {};

	contestant.file = options.cache + "/" + data.name + "-" + std::to_string(data.n) + "." + index;
	const std::string beside = contestant.file + ".note";

	if (rebuild || !read_note(beside, &note) || note.vectors != vectors ||
		!library.load(contestant.file, data))
	{
		double cpu = process_cpu_seconds(), wall = wall_seconds();

		fprintf(stderr, "%s: building with %s, %u thread%s\n", data.name.c_str(), index.c_str(),
				options.threads, options.threads == 1 ? "" : "s");
		unlink(beside.c_str());
		library.build(data, M, EF_CONSTRUCTION, options.threads);
		note.cpu = process_cpu_seconds() - cpu;
		note.wall = wall_seconds() - wall;
		note.threads = options.threads;
		note.vectors = vectors;
		snprintf(note.builder, sizeof(note.builder), "%s", state);
		library.save(contestant.file);
		if (!library.load(contestant.file, data))
			die("cannot load %s", contestant.file.c_str());
		write_note(beside, note);
	}
	else if (strcmp(note.builder, state) != 0 && index == library.name())
		fprintf(
			stderr,
			"%s: the index in the cache was built by another state of hnsw/; --rebuild=%s makes it anew\n",
			data.name.c_str(), index.c_str());
	contestant.build_cpu = note.cpu;
	contestant.build_wall = note.wall;
	contestant.build_threads = note.threads;
}

static std::vector<Contestant>
gather(const Options &options, const Dataset &data)
{
	const uint64_t vectors = fingerprint(data.base);
	std::vector<Contestant> contestants;
	std::vector<std::string> rebuilt;
	auto has = [](const std::vector<std::string> &list, const std::string &name)
	{ return std::find(list.begin(), list.end(), name) != list.end(); };
	auto add = [&](std::unique_ptr<Library> library)
	{
		Contestant c = {};

		if (library == nullptr || has(options.without, library->name()))
			return;

		/* An index that two contestants share is built once. */
		const std::string index = library->index_name();
		bool rebuild = (options.rebuild || options.rebuild_only == index) && !has(rebuilt, index);

		c.library = std::move(library);
		obtain(options, data, vectors, rebuild, c);
		if (rebuild)
			rebuilt.push_back(index);
		contestants.push_back(std::move(c));
	};

	add(make_vss(HNSW_KERNEL_AUTO));
	for (HnswKernel kernel : options.kernels)
		add(make_vss(kernel));
	add(make_hnswlib());
	add(make_faiss(false));
	add(make_faiss(true));
	if (contestants.empty())
		die("no library is left to measure");
	return contestants;
}

/* ---------- reporting ---------- */

/* Processor, its number here, the load when the run began. */
static std::string
machine()
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[256], model[200] = "unknown processor";
	double load[3] = {};

	while (file != nullptr && fgets(line, sizeof(line), file) != nullptr)
		if (sscanf(line, "model name : %199[^\n]", model) == 1)
			break;
	if (file != nullptr)
		fclose(file);
	getloadavg(load, 3);
	snprintf(line, sizeof(line), "%.200s, %u processors, load %.1f", model,
			 std::thread::hardware_concurrency(), load[0]);
	return line;
}

static void
report_builds(const std::vector<Contestant> &contestants, FILE *tsv)
{
	for (const Contestant &c : contestants)
	{
		struct stat st = {};

		if (strcmp(c.library->name(), c.library->index_name()) != 0)
			continue;
		stat(c.file.c_str(), &st);
		printf("  %-10s file %.1f MB, built in %.1f s CPU, %.1f s, %u thread%s\n", c.library->name(),
			   (double) st.st_size / 1e6, c.build_cpu, c.build_wall, c.build_threads,
			   c.build_threads == 1 ? "" : "s");
		fprintf(tsv, "# %s\tbuild_cpu_s %.1f\tfile_bytes %lld\tbuild_s %.1f\tthreads %u\n", c.library->name(),
				c.build_cpu, (long long) st.st_size, c.build_wall, c.build_threads);
	}
}

static void
report_points(const Dataset &data, const std::vector<Contestant> &contestants, FILE *tsv)
{
	size_t rows = 0;

	printf("  %6s", "ef");
	for (const Contestant &c : contestants)
	{
		printf("  %12s recall us/query", c.library->name());
		rows = std::max(rows, c.points.size());
	}
	printf("\n");
	for (size_t e = 0; e < rows; e++)
	{
		bool first = true;

		for (const Contestant &c : contestants)
		{
			if (first)
				for (const Contestant &any : contestants)
					if (e < any.points.size())
					{
						printf("  %6u", any.points[e].ef);
						break;
					}
			first = false;
			if (e < c.points.size())
				printf("  %19.4f %8.1f", c.points[e].recall, c.points[e].micros);
			else
				printf("  %19s %8s", "", "");
		}
		printf("\n");
	}
	fprintf(
		tsv,
		"dataset\tn\tdim\tmetric\tlibrary\tef\trecall_at_10\tcpu_us_per_query\tcpu_us_low\tcpu_us_high\n");
	for (const Contestant &c : contestants)
		for (const Point &p : c.points)
			fprintf(tsv, "%s\t%zu\t%u\t%s\t%s\t%u\t%.5f\t%.2f\t%.2f\t%.2f\n", data.name.c_str(), data.n,
					data.dim, hnsw_metric_name(data.metric), c.library->name(), p.ef, p.recall, p.micros,
					*std::min_element(p.rounds.begin(), p.rounds.end()),
					*std::max_element(p.rounds.begin(), p.rounds.end()));
}

/* How much faster the first contestant is, at equal recall: the median of the rounds, and their range. */
static void
report_ratios(const std::vector<Contestant> &contestants, FILE *tsv)
{
	const std::vector<Point> &ours = contestants[0].points;
	const char *us = contestants[0].library->name();

	for (double recall : {0.90, 0.95, 0.99})
	{
		printf("  recall %.2f:", recall);
		for (const Contestant &c : contestants)
		{
			double micros = micros_at(c.points, recall);
			std::vector<double> ratios;

			if (micros < 0)
			{
				printf("  %s not measured;", c.library->name());
				continue;
			}
			printf("  %s %.1f us;", c.library->name(), micros);
			fprintf(tsv, "# us at recall %.2f\t%s\t%.2f\n", recall, c.library->name(), micros);
			for (size_t round = 0; &c != &contestants[0] && round < ours[0].rounds.size(); round++)
			{
				double a = micros_at(ours, recall, (int) round), b = micros_at(c.points, recall, (int) round);

				if (a > 0 && b > 0)
					ratios.push_back(b / a);
			}
			if (ratios.empty())
				continue;

			double low = *std::min_element(ratios.begin(), ratios.end());
			double high = *std::max_element(ratios.begin(), ratios.end());

			printf(" %s is %.2f x as fast (%.2f - %.2f);", us, median(ratios), low, high);
			fprintf(tsv, "# ratio at recall %.2f\t%s\t%.3f\t%.3f\t%.3f\n", recall, c.library->name(),
					median(ratios), low, high);
		}
		printf("\n");
	}
}

/* What somebody gets who sets nothing. */
static void
report_default(const Dataset &data, Contestant &ours, size_t rounds, FILE *tsv)
{
	Library &library = *ours.library;
	const float margin = bench_default_margin(ours.file.c_str());
	std::vector<double> times;

	library.set_margin(margin);
	double recall = recall_of(data, library);
	for (size_t round = 0; round < rounds; round++)
		times.push_back(time_of(data, library));
	printf("  %s at its default settings (margin %.2f): recall %.4f, %.1f us\n", library.name(), (double) margin, recall,
		   median(times));
	fprintf(tsv, "# default\tmargin %.2f\trecall %.5f\tcpu_us %.2f\n", (double) margin, recall, median(times));
}

/* ---------- one data set ---------- */

static void
run(const Options &options, Dataset data)
{
	const std::string suffix = options.n > 0 ? "-" + std::to_string(options.n) : "";
	const std::string table =
		options.results + "/search-" + data.name + suffix + (options.quick ? "-quick" : "") + ".tsv";
	const size_t rounds = options.rounds > 0 ? options.rounds : options.quick ? 3 : 5;
	std::vector<uint32_t> efs = {4, 6, 8, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 450, 640, 900};
	FILE *tsv;

	/* The vectors stay the same, and with them the indexes. */
	if (options.queries > 0 && options.queries < data.q)
	{
		data.q = options.queries;
		data.query.resize(data.q * data.dim);
	}
	if (options.quick)
		efs = {5, 10, 20, 40, 80, 160, 320, 640};
	const std::string where = machine();
	std::vector<Contestant> contestants = gather(options, data);

	const std::string truth = options.cache + "/" + data.name + "-" + std::to_string(data.n) + "-" +
							  std::to_string(data.q) + ".truth";

	find_truth(data, K, truth, options.threads);
	if (options.prepare)
		return;
	measure(data, contestants, efs, 0.999, rounds);

	tsv = fopen(table.c_str(), "w");
	if (tsv == nullptr)
		die("cannot write %s", table.c_str());
	hnsw_set_kernel(HNSW_KERNEL_AUTO);
	printf("%s: %zu vectors of %u dimensions, %s, %zu queries, m %u, ef_construction %u\n", data.name.c_str(),
		   data.n, data.dim, hnsw_metric_name(data.metric), data.q, M, EF_CONSTRUCTION);
	printf("  %s, kernel %s, %zu rounds\n", where.c_str(), hnsw_kernel_name(), rounds);
	fprintf(tsv, "# machine\t%s\tkernel %s\tqueries %zu\trounds %zu\n", where.c_str(), hnsw_kernel_name(),
			data.q, rounds);
	report_builds(contestants, tsv);
	report_points(data, contestants, tsv);
	report_ratios(contestants, tsv);
	const std::string ours = contestants[0].library->index_name();
	const std::string file = contestants[0].file;
	if (ours == "vss")
		report_default(data, contestants[0], rounds, tsv);

	/* Nobody may have the file mapped, or it would not leave the page cache. */
	contestants.clear();
	if (ours == "vss")
		measure_first_query(options.self, options.cache, data, file, tsv);
	printf("  table: %s\n\n", table.c_str());
	fclose(tsv);
	fflush(stdout);
}

static HnswKernel
kernel_by_name(const std::string &name)
{
	if (name == "portable")
		return HNSW_KERNEL_PORTABLE;
	if (name == "avx2")
		return HNSW_KERNEL_AVX2;
	if (name == "avx512")
		return HNSW_KERNEL_AVX512;
	if (name == "neon")
		return HNSW_KERNEL_NEON;
	die("--kernel: %s is none of portable, avx2, avx512, neon", name.c_str());
}

static Options
parse(int argc, char **argv)
{
	Options o;
	int i = 1;
	auto value = [&]
	{
		if (++i >= argc)
			die("%s: a value is missing\n%s", argv[i - 1], usage);
		return std::string(argv[i]);
	};
	auto number = [&]
	{
		const std::string name = argv[i], text = value();
		char *end;
		unsigned long long n = strtoull(text.c_str(), &end, 10);

		if (n == 0 || *end != '\0')
			die("%s: \"%s\" is no positive number", name.c_str(), text.c_str());
		return (size_t) n;
	};

	o.self = argv[0];
	for (; i < argc; i++)
	{
		const std::string arg = argv[i];

		if (arg == "--quick")
			o.quick = true;
		else if (arg == "--prepare")
			o.prepare = true;
		else if (arg == "--rebuild")
			o.rebuild = true;
		else if (arg.rfind("--rebuild=", 0) == 0)
			o.rebuild_only = arg.substr(strlen("--rebuild="));
		else if (arg == "--cache")
			o.cache = value();
		else if (arg == "--results")
			o.results = value();
		else if (arg == "--words")
			o.words = value();
		else if (arg == "--mnist")
		{
			o.mnist_base = value();
			o.mnist_query = value();
		}
		else if (arg == "--only")
			o.only = value();
		else if (arg == "--without")
			o.without.push_back(value());
		else if (arg == "--kernel")
			o.kernels.push_back(kernel_by_name(value()));
		else if (arg == "--n")
			o.n = number();
		else if (arg == "--queries")
			o.queries = number();
		else if (arg == "--rounds")
			o.rounds = number();
		else if (arg == "--threads")
			o.threads = (unsigned) std::min<size_t>(number(), 1024);
		else
			die("unknown option %s\n%s", arg.c_str(), usage);
	}
	if (o.cache.empty() || o.results.empty())
		die("%s", usage);
	if (!o.only.empty() && o.only != "words" && o.only != "mnist" && o.only != "synthetic384")
		die("--only: %s is none of words, mnist, synthetic384", o.only.c_str());
	if ((o.only == "words" && o.words.empty()) || (o.only == "mnist" && o.mnist_base.empty()))
		die("--only: the data set %s is not here", o.only.c_str());
	return o;
}

int
main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "--first") == 0)
		return first_query(argv + 2);

	const Options o = parse(argc, argv);
	const size_t q = o.quick ? 500 : 1000;
	auto wanted = [&](const char *name) { return o.only.empty() || o.only == name; };
	auto size = [&](size_t all, size_t few) { return o.n > 0 ? o.n : o.quick ? few : all; };

	if (!o.words.empty() && wanted("words"))
		run(o, load_fvecs("words", o.words, HNSW_COSINE, size(1000000, 50000), q));
	if (!o.mnist_base.empty() && wanted("mnist"))
		run(o, load_idx("mnist", o.mnist_base, o.mnist_query, size(60000, 10000), q));
	if (wanted("synthetic384"))
		run(o, make_synthetic(size(100000, 20000), q, 384));
	return 0;
}
