/*
 * bench.h
 *		The search benchmark's parts: data sets, libraries, measurement.
 */
#ifndef BENCH_H
#define BENCH_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

extern "C"
{
#include "hnsw/hnsw.h"
}

/* ---------- data.cc ---------- */

struct Dataset
{
	std::string name;
	HnswMetric metric;
	uint32_t dim;
	size_t n;
	std::vector<float> base; /* n x dim */
	size_t q;
	std::vector<float> query; /* q x dim; none of them is in base */

	/* True distance of the k-th nearest, for each query. */
	size_t k;
	std::vector<double> kth;

	const float *
	base_row(size_t i) const
	{
		return base.data() + i * dim;
	}
	const float *
	query_row(size_t i) const
	{
		return query.data() + i * dim;
	}
};

/* The first n + q vectors of an .fvecs file; every (n + q) / q-th becomes a query. */
Dataset load_fvecs(const std::string &name, const std::string &path, HnswMetric metric, size_t n, size_t q);

/*
 * Images of bytes in two IDX files, a pixel a dimension, Euclidean: the first n
 * of base; of query, q evenly spread.
 */
Dataset load_idx(const std::string &name, const std::string &base, const std::string &query, size_t n,
				 size_t q);

/*
 * Vectors of dim coordinates that depend on 32: see data.cc.  The same numbers
 * on every machine.
 */
Dataset make_synthetic(size_t n, size_t q, uint32_t dim);

/* Tells data sets apart, so that nothing kept on disk is taken for another's. */
uint64_t fingerprint(const std::vector<float> &vectors);

/* Exact search by that many threads (0: all processors), kept in the file cache between runs. */
void find_truth(Dataset &data, size_t k, const std::string &cache, unsigned threads = 0);

/* ---------- libraries.cc ---------- */

class Library
{
  public:
	virtual ~Library() = default;
	virtual const char *name() const = 0;
	/* Whose index it searches, where several contestants share one. */
	virtual const char *
	index_name() const
	{
		return name();
	}
	virtual void build(const Dataset &data, uint32_t m, uint32_t ef_construction, unsigned threads) = 0;
	virtual void save(const std::string &path) = 0;
	virtual bool load(const std::string &path, const Dataset &data) = 0;
	/* Comes before every series of searches. */
	virtual void set_ef(uint32_t ef) = 0;
	virtual void
	set_margin(float)
	{
	} /* ours alone */
	/* The labels found, up to k. */
	virtual size_t search(const float *query, size_t k, int64_t *labels) = 0;
};

/* With the kernel forced; null where the processor lacks it. */
std::unique_ptr<Library> make_vss(HnswKernel kernel);
std::unique_ptr<Library> make_hnswlib();
/* Of float32, or of eight bits a dimension; null where faiss was not compiled in. */
std::unique_ptr<Library> make_faiss(bool eight_bits);

/* ---------- clock, in data.cc ---------- */

double wall_seconds();
double cpu_seconds();         /* of the calling thread */
double process_cpu_seconds(); /* of all threads */

[[noreturn]] void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* BENCH_H */
