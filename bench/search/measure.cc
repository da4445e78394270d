/*
 * measure.cc
 *		Recall, time, and speed at equal recall.
 *
 * Recall is counted by distance: a result is right when it is no farther than
 * the true k-th neighbour, so that equal vectors do not matter.  Time is CPU
 * time of the one thread that searches.
 */
#include "search.h"

#include <algorithm>
#include <cmath>

double
median(std::vector<double> values)
{
	std::sort(values.begin(), values.end());
	return values[values.size() / 2];
}

double
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
double
time_of(const Dataset &data, Library &library)
{
	int64_t labels[K];
	double start = cpu_seconds();

	for (size_t i = 0; i < data.q; i++)
		library.search(data.query_row(i), K, labels);
	return (cpu_seconds() - start) / (double) data.q * 1e6;
}

void
measure(const Dataset &data, std::vector<Contestant> &contestants, const std::vector<uint32_t> &efs,
		double enough, size_t rounds)
{
	for (Contestant &c : contestants)
		for (uint32_t ef : efs)
		{
			c.library->set_ef(ef);
			c.points.push_back({ef, recall_of(data, *c.library), {}, 0});
			if (c.points.back().recall >= enough)
				break;
		}
	for (size_t round = 0; round < rounds; round++)
		for (size_t e = 0; e < efs.size(); e++)
			for (Contestant &c : contestants)
				if (e < c.points.size())
				{
					c.library->set_ef(efs[e]);
					c.points[e].rounds.push_back(time_of(data, *c.library));
				}
	for (Contestant &c : contestants)
		for (Point &p : c.points)
			p.micros = median(p.rounds);
}

/*
 * Interpolated between measured points: logarithm of speed over logarithm of
 * the missed share.  A point that another beats in recall and time alike is
 * not looked at, so recall need not rise evenly with ef.
 */
double
micros_at(const std::vector<Point> &points, double recall, int round)
{
	struct Best
	{
		double recall, micros;
	};
	std::vector<Best> front;
	auto missed = [](double r) { return std::log(std::max(1 - r, 1e-5)); };

	for (const Point &p : points)
		front.push_back({p.recall, round < 0 ? p.micros : p.rounds[(size_t) round]});
	std::sort(front.begin(), front.end(),
			  [](const Best &a, const Best &b)
			  { return a.micros < b.micros || (a.micros == b.micros && a.recall > b.recall); });

	for (size_t i = 1; i < front.size();)
		if (front[i].recall <= front[i - 1].recall)
			front.erase(front.begin() + (ptrdiff_t) i);
		else
			i++;
	for (size_t i = 1; i < front.size(); i++)
	{
		const Best &a = front[i - 1];
		const Best &b = front[i];

		if (a.recall <= recall && recall <= b.recall)
		{
			double t = (missed(a.recall) - missed(recall)) / (missed(a.recall) - missed(b.recall));

			return std::exp(std::log(a.micros) + t * (std::log(b.micros) - std::log(a.micros)));
		}
	}
	return -1;
}
