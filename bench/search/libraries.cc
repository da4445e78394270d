/*
 * libraries.cc
 *		One face for the libraries that are compared.
 *
 * Each is used as its own documentation says: hnswlib and faiss get unit
 * vectors and the inner product for cosine, ours takes vectors as they are.
 * Searches are by one thread; only building may use several.
 */
#include "bench.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <numeric>
#include <thread>
#include <unistd.h>

#include <hnswlib/hnswlib.h>
#ifdef HAVE_FAISS
#include <faiss/IndexHNSW.h>
#include <faiss/index_io.h>
#include <omp.h>
#endif

/* What the peers are given in place of v: of unit length for cosine. */
static void
prepare(HnswMetric metric, uint32_t dim, const float *v, float *out)
{
	double scale = metric == HNSW_COSINE ? 1 / hnsw_norm(v, dim) : 1;

	for (uint32_t i = 0; i < dim; i++)
		out[i] = (float) (v[i] * scale);
}

/* Call work(i) for i in [first, last), by several threads. */
static void
spread(size_t first, size_t last, unsigned threads, const std::function<void(size_t)> &work)
{
	std::atomic<size_t> next = {first};
	std::vector<std::thread> workers;
	auto run = [&]
	{
		for (size_t i; (i = next++) < last;)
			work(i);
	};

	for (unsigned t = 1; t < threads; t++)
		workers.emplace_back(run);
	run();
	for (std::thread &worker : workers)
		worker.join();
}

/* ---------- hnsw/ ---------- */

class Vss : public Library
{
	HnswBuilder *builder = nullptr;
	HnswSnapshot *snapshot = nullptr;
	HnswCursor *cursor = nullptr;
	HnswSearchOptions options = {};
	HnswError error = {};
	HnswKernel kernel;
	std::string called = "vss";

	void
	check(HnswStatus status)
	{
		if (status != HNSW_OK)
			die("vss: %s: %s", hnsw_status_name(status), error.message);
	}

  public:
	explicit Vss(HnswKernel k) : kernel(k)
	{
		check(hnsw_set_kernel(kernel));
		if (kernel != HNSW_KERNEL_AUTO)
			called += std::string("-") + hnsw_kernel_name();
		check(hnsw_set_kernel(HNSW_KERNEL_AUTO));
	}
	~Vss() override
	{
		hnsw_search_end(cursor);
		hnsw_snapshot_close(snapshot);
		hnsw_builder_free(builder);
	}
	const char *
	name() const override
	{
		return called.c_str();
	}
	const char *
	index_name() const override
	{
		return "vss";
	}
	void
	build(const Dataset &data, uint32_t m, uint32_t ef_construction, unsigned threads) override
	{
		HnswParams params = {};

		params.dim = data.dim;
		params.metric = data.metric;
		params.m = m;
		params.ef_construction = ef_construction;
		params.seed = 1;
		check(hnsw_builder_create(&params, data.n, &builder, &error));
		if (threads <= 1)
		{
			for (size_t i = 0; i < data.n; i++)
				check(hnsw_builder_add(builder, (int64_t) i, data.base_row(i), &error));
			return;
		}

		std::vector<int64_t> labels(data.n);
		HnswTask task = {};

		task.threads = (int) threads;
		std::iota(labels.begin(), labels.end(), 0);
		check(hnsw_builder_add_many(builder, data.n, labels.data(), data.base.data(), &task, &error));
	}
	void
	save(const std::string &path) override
	{
		HnswWriteOptions write = {};

		write.mode = -1;
		write.group = -1;
		check(hnsw_builder_write(builder, path.c_str(), &write, nullptr, &error));
		hnsw_builder_free(builder);
		builder = nullptr;
	}
	bool
	load(const std::string &path, const Dataset &) override
	{
		return hnsw_snapshot_open(path.c_str(), &snapshot, &error) == HNSW_OK;
	}
	void
	set_ef(uint32_t ef) override
	{
		check(hnsw_set_kernel(kernel));
		hnsw_search_end(cursor);
		cursor = nullptr;
		options.ef = ef;
		options.margin = 0;
	}
	void
	set_margin(float margin) override
	{
		set_ef(1);
		options.margin = margin;
	}
	size_t
	search(const float *query, size_t k, int64_t *labels) override
	{
		size_t found = 0;
		HnswHit hit;

		if (cursor == nullptr)
			check(hnsw_search_begin(snapshot, query, k, &options, &cursor, &error));
		else
			check(hnsw_search_again(cursor, query, k, &error));
		while (found < k && hnsw_search_next(cursor, &hit) == HNSW_OK)
			labels[found++] = hit.label;
		return found;
	}
};

/* ---------- hnswlib ---------- */

class Hnswlib : public Library
{
	HnswMetric metric = HNSW_COSINE;
	uint32_t dim = 0;
	std::unique_ptr<hnswlib::SpaceInterface<float>> space;
	std::unique_ptr<hnswlib::HierarchicalNSW<float>> index;
	std::vector<float> unit;

	void
	start(const Dataset &data)
	{
		metric = data.metric;
		dim = data.dim;
		unit.resize(dim);
		if (metric == HNSW_L2)
			space = std::make_unique<hnswlib::L2Space>(dim);
		else
			space = std::make_unique<hnswlib::InnerProductSpace>(dim);
	}

  public:
	const char *
	name() const override
	{
		return "hnswlib";
	}
	void
	build(const Dataset &data, uint32_t m, uint32_t ef_construction, unsigned threads) override
	{
		start(data);
		index = std::make_unique<hnswlib::HierarchicalNSW<float>>(space.get(), data.n, m, ef_construction);
		spread(0, data.n, threads,
			   [&](size_t i)
			   {
				   std::vector<float> mine(dim);

				   prepare(metric, dim, data.base_row(i), mine.data());
				   index->addPoint(mine.data(), i);
			   });
	}
	void
	save(const std::string &path) override
	{
		index->saveIndex(path);
	}
	bool
	load(const std::string &path, const Dataset &data) override
	{
		if (access(path.c_str(), R_OK) != 0)
			return false;
		start(data);
		index = std::make_unique<hnswlib::HierarchicalNSW<float>>(space.get(), path);
		return index->cur_element_count == data.n;
	}
	void
	set_ef(uint32_t ef) override
	{
		index->setEf(ef);
	}
	size_t
	search(const float *query, size_t k, int64_t *labels) override
	{
		size_t found = 0;

		prepare(metric, dim, query, unit.data());
		auto queue = index->searchKnn(unit.data(), k);
		for (; !queue.empty(); queue.pop())
			labels[found++] = (int64_t) queue.top().second;
		return found;
	}
};

/* ---------- faiss ---------- */

#ifdef HAVE_FAISS
class Faiss : public Library
{
	HnswMetric metric = HNSW_COSINE;
	uint32_t dim = 0;
	bool eight_bits;
	std::unique_ptr<faiss::IndexHNSW> index;
	std::vector<float> unit;

	void
	start(const Dataset &data)
	{
		metric = data.metric;
		dim = data.dim;
		unit.resize(dim);
		omp_set_num_threads(1);
	}

  public:
	explicit Faiss(bool e) : eight_bits(e)
	{
	}
	const char *
	name() const override
	{
		return eight_bits ? "faiss-sq8" : "faiss";
	}
	void
	build(const Dataset &data, uint32_t m, uint32_t ef_construction, unsigned threads) override
	{
		const faiss::MetricType type =
			data.metric == HNSW_L2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT;
		std::vector<float> all(data.n * data.dim);

		start(data);
		if (eight_bits)
			index = std::make_unique<faiss::IndexHNSWSQ>((int) dim, faiss::ScalarQuantizer::QT_8bit, (int) m,
														 type);
		else
			index = std::make_unique<faiss::IndexHNSWFlat>((int) dim, (int) m, type);
		index->hnsw.efConstruction = (int) ef_construction;
		for (size_t i = 0; i < data.n; i++)
			prepare(metric, dim, data.base_row(i), all.data() + i * dim);
		omp_set_num_threads((int) threads);
		index->train((faiss::Index::idx_t) data.n, all.data());
		index->add((faiss::Index::idx_t) data.n, all.data());
		omp_set_num_threads(1);
	}
	void
	save(const std::string &path) override
	{
		faiss::write_index(index.get(), path.c_str());
	}
	bool
	load(const std::string &path, const Dataset &data) override
	{
		if (access(path.c_str(), R_OK) != 0)
			return false;
		start(data);
		index.reset(dynamic_cast<faiss::IndexHNSW *>(faiss::read_index(path.c_str())));
		return index != nullptr && (size_t) index->ntotal == data.n;
	}
	void
	set_ef(uint32_t ef) override
	{
		index->hnsw.efSearch = (int) ef;
	}
	size_t
	search(const float *query, size_t k, int64_t *labels) override
	{
		std::vector<float> distance(k);
		std::vector<faiss::Index::idx_t> found(k);
		size_t n = 0;

		prepare(metric, dim, query, unit.data());
		index->search(1, unit.data(), (faiss::Index::idx_t) k, distance.data(), found.data());
		for (faiss::Index::idx_t label : found)
			if (label >= 0)
				labels[n++] = label;
		return n;
	}
};
#endif

std::unique_ptr<Library>
make_vss(HnswKernel kernel)
{
	if (hnsw_set_kernel(kernel) != HNSW_OK)
		return nullptr;
	return std::make_unique<Vss>(kernel);
}

std::unique_ptr<Library>
make_hnswlib()
{
	return std::make_unique<Hnswlib>();
}

std::unique_ptr<Library>
make_faiss(bool eight_bits)
{
#ifdef HAVE_FAISS
	return std::make_unique<Faiss>(eight_bits);
#else
	(void) eight_bits;
	return nullptr;
#endif
}
