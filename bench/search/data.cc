/*
 * data.cc
 *		What is searched: vectors, queries, and the true neighbours.
 */
#include "bench.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>

void
die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static double
seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

double
wall_seconds()
{
	return seconds(CLOCK_MONOTONIC);
}

double
cpu_seconds()
{
	return seconds(CLOCK_THREAD_CPUTIME_ID);
}

double
process_cpu_seconds()
{
	return seconds(CLOCK_PROCESS_CPUTIME_ID);
}

/* Take every stride-th row out of all as a query, q of them; the others move up. */
static void
split(Dataset &data, std::vector<float> &&all, size_t rows)
{
	size_t stride = rows / data.q;
	size_t kept = 0;

	for (size_t i = 0; i < rows; i++)
	{
		const auto row = all.begin() + (ptrdiff_t) (i * data.dim);

		if (i % stride == stride / 2 && data.query.size() < data.q * data.dim)
			data.query.insert(data.query.end(), row, row + data.dim);
		else
			std::copy(row, row + data.dim, all.begin() + (ptrdiff_t) (kept++ * data.dim));
	}
	all.resize(kept * data.dim);
	data.base = std::move(all);
	data.q = data.query.size() / data.dim;
	data.n = kept;
}

Dataset
load_fvecs(const std::string &name, const std::string &path, HnswMetric metric, size_t n, size_t q)
{
	Dataset data = {};
	std::vector<float> all;
	FILE *file = fopen(path.c_str(), "rb");
	int32_t dim;
	size_t rows = 0;

	if (file == nullptr)
		die("cannot open %s", path.c_str());
	while (rows < n + q && fread(&dim, sizeof(dim), 1, file) == 1)
	{
		if (dim < 1 || dim > HNSW_MAX_DIM || (data.dim != 0 && data.dim != (uint32_t) dim))
			die("%s is not an .fvecs file", path.c_str());
		data.dim = (uint32_t) dim;
		all.resize((rows + 1) * data.dim);
		if (fread(all.data() + rows * data.dim, sizeof(float), data.dim, file) != data.dim)
			die("%s is truncated", path.c_str());
		rows++;
	}
	fclose(file);
	if (rows < 2 * q)
		die("%s has %zu vectors only", path.c_str(), rows);
	data.name = name;
	data.metric = metric;
	data.q = q;
	split(data, std::move(all), rows);
	return data;
}

/* The images numbered first, first + stride, ... of an IDX file: count of them, or all that there are. */
static size_t
read_images(const std::string &path, size_t count, size_t stride, uint32_t *dim, std::vector<float> &out)
{
	FILE *file = fopen(path.c_str(), "rb");
	uint8_t header[16];
	std::vector<uint8_t> image;
	uint32_t number[4];
	size_t rows = 0;

	if (file == nullptr)
		die("cannot open %s", path.c_str());
	if (fread(header, sizeof(header), 1, file) != 1)
		die("%s is truncated", path.c_str());
	for (int i = 0; i < 4; i++)
		number[i] = (uint32_t) header[4 * i] << 24 | (uint32_t) header[4 * i + 1] << 16 |
					(uint32_t) header[4 * i + 2] << 8 | header[4 * i + 3];
	if (number[0] != 0x803 || number[2] == 0 || number[3] == 0 || number[2] > 1000 || number[3] > 1000 ||
		number[2] * number[3] > HNSW_MAX_DIM)
		die("%s is not an IDX file of images", path.c_str());
	*dim = number[2] * number[3];
	image.resize(*dim);
	for (size_t i = 0; i < number[1] && rows < count; i++)
	{
		if (fread(image.data(), 1, *dim, file) != *dim)
			die("%s is truncated", path.c_str());
		if (i % stride == 0)
		{
			out.insert(out.end(), image.begin(), image.end());
			rows++;
		}
	}
	fclose(file);
	return rows;
}

Dataset
load_idx(const std::string &name, const std::string &base, const std::string &query, size_t n, size_t q)
{
	Dataset data = {};
	uint32_t dim;

	data.name = name;
	data.metric = HNSW_L2;
	data.n = read_images(base, n, 1, &data.dim, data.base);
	data.q = read_images(query, q, std::max<size_t>(1, 10000 / q), &dim, data.query);
	if (dim != data.dim || data.n < q || data.q == 0)
		die("%s and %s do not fit together", base.c_str(), query.c_str());
	return data;
}

/* ---------- synthetic vectors ---------- */

/* splitmix64, and normal deviates by Box and Muller: the same everywhere. */
struct Random
{
	uint64_t state;

	uint64_t
	next()
	{
		uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

		z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
		return z ^ (z >> 31);
	}
	double
	uniform()
	{
		return ((double) (next() >> 11) + 0.5) * 0x1p-53;
	}
	double
	normal()
	{
		return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * M_PI * uniform());
	}
};

/*
 * Text embeddings fill few of their dimensions: topics, and variation within a
 * topic along a few directions.  Here a point z in 32 dimensions is drawn
 * around one of 500 centres (normal, spread 1 around centres of spread 1),
 * bent by tanh(A z) into 64 dimensions, mapped linearly by B into dim, and
 * blurred by noise of 2 % of its coordinates' spread; A, B, centres and noise
 * are normal deviates of a fixed seed.  Cosine distance; not normalised.
 *
 * So hnswlib computes about 1,000 distances a query for recall 0.95 among
 * 100,000 vectors and 2,050 for 0.99.  With 16 dimensions and half the spread
 * its smallest ef already passes 0.95, and nothing can be compared.
 */
Dataset
make_synthetic(size_t n, size_t q, uint32_t dim)
{
	constexpr size_t latent = 32;
	constexpr size_t hidden = 64;
	constexpr size_t centres = 500;
	Random random = {42};
	Dataset data = {};
	std::vector<float> a(hidden * latent), b(dim * hidden), centre(centres * latent);
	std::vector<float> all((n + q) * dim);

	for (float &x : a)
		x = (float) (random.normal() / std::sqrt((double) latent));
	for (float &x : b)
		x = (float) (random.normal() / std::sqrt((double) hidden));
	for (float &x : centre)
		x = (float) random.normal();
	for (size_t i = 0; i < n + q; i++)
	{
		const float *from = centre.data() + random.next() % centres * latent;
		float z[latent], h[hidden];

		for (size_t j = 0; j < latent; j++)
			z[j] = from[j] + (float) random.normal();
		for (size_t j = 0; j < hidden; j++)
		{
			float sum = 0;

			for (size_t l = 0; l < latent; l++)
				sum += a[j * latent + l] * z[l];
			h[j] = std::tanh(sum);
		}
		for (size_t j = 0; j < dim; j++)
		{
			float sum = 0;

			for (size_t l = 0; l < hidden; l++)
				sum += b[j * hidden + l] * h[l];
			all[i * dim + j] = sum + (float) (0.01 * random.normal());
		}
	}
	data.name = "synthetic" + std::to_string(dim);
	data.metric = HNSW_COSINE;
	data.dim = dim;
	data.q = q;
	split(data, std::move(all), n + q);
	return data;
}

/* ---------- truth ---------- */

uint64_t
fingerprint(const std::vector<float> &vectors)
{
	uint64_t sum = vectors.size();

	for (float x : vectors)
	{
		uint32_t bits;

		memcpy(&bits, &x, sizeof(bits));
		sum = (sum ^ bits) * UINT64_C(0x9e3779b97f4a7c15);
		sum ^= sum >> 32;
	}
	return sum;
}

static void
truth_of(Dataset &data, size_t first, size_t last)
{
	std::vector<double> distance(data.n);

	for (size_t i = first; i < last; i++)
	{
		for (size_t j = 0; j < data.n; j++)
			distance[j] = hnsw_distance(data.metric, data.query_row(i), data.base_row(j), data.dim);
		std::nth_element(distance.begin(), distance.begin() + (data.k - 1), distance.end());
		data.kth[i] = distance[data.k - 1];
	}
}

void
find_truth(Dataset &data, size_t k, const std::string &cache, unsigned threads_wanted)
{
	FILE *file = fopen(cache.c_str(), "rb");
	const uint64_t ours[2] = {fingerprint(data.base), fingerprint(data.query)};
	uint64_t theirs[2];
	bool found = false;
	std::vector<std::thread> threads;
	size_t workers = threads_wanted > 0 ? threads_wanted : std::max(1u, std::thread::hardware_concurrency());

	data.k = k;
	data.kth.resize(data.q);
	if (file != nullptr)
	{
		found = fread(theirs, sizeof(theirs), 1, file) == 1 && memcmp(ours, theirs, sizeof(ours)) == 0 &&
				fread(data.kth.data(), sizeof(double), data.q, file) == data.q && fgetc(file) == EOF;
		fclose(file);
	}
	if (found)
		return;

	fprintf(stderr, "%s: exact search, %zu queries over %zu vectors\n", data.name.c_str(), data.q, data.n);
	for (size_t t = 0; t < workers; t++)
		threads.emplace_back(truth_of, std::ref(data), data.q * t / workers, data.q * (t + 1) / workers);
	for (std::thread &thread : threads)
		thread.join();
	file = fopen(cache.c_str(), "wb");
	if (file == nullptr || fwrite(ours, sizeof(ours), 1, file) != 1 ||
		fwrite(data.kth.data(), sizeof(double), data.q, file) != data.q || fclose(file) != 0)
		die("cannot write %s", cache.c_str());
}
