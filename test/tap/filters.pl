# Nearest neighbours under conditions, in tables that nobody has analysed: how many
# rows match is found out by asking SQLite a little, or while the query runs, and
# the search goes the way that costs little.  What it cost is told by counters:
# distances computed and searches begun.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant ROWS => 20000;

my $node = PostgreSQL::Test::Cluster->new('filters');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\njit = off\nautovacuum = off\n");
$node->start;

# near: 1 for the tenth of the rows that points to where the queries do, far: for the tenth that points away
my $file = $node->basedir . '/filters.db';
IPC::Run::run([ 'sqlite3', '-bail', '-cmd', '.load ./hnsw', $file ], '<', \sprintf(q{
	PRAGMA journal_mode = wal;
	CREATE TABLE docs(id INTEGER PRIMARY KEY, tenant VARCHAR(10), i_hundredth INT, tenth INT, near INT, far INT, day DATE,
		code UUID, absent TEXT, embedding BLOB);
	WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %1$d),
		r(i, a, b) AS (SELECT i, i * 7919 %% 10007, i * 104729 %% 100003 FROM c)
	INSERT INTO docs SELECT i, CASE WHEN a %% 1000 < 145 THEN 't0' ELSE 't' || (a %% 200 + 1) END, b %% 100, a %% 10,
		i %% 10 = 1, i %% 10 = 2, date('2019-01-01', (b %% 2000) || ' days'), printf('%%08x-0000-4000-8000-%%012x', b, i), NULL,
		(SELECT vector('[' || group_concat(CASE WHEN j = 0 THEN CASE i %% 10 WHEN 1 THEN 6 WHEN 2 THEN -6 ELSE 2 END
			ELSE (i * (7919 + 131 * j) * (j + 3) %% 10007) / 5003.0 - 1 END) || ']') FROM (SELECT value AS j FROM json_each('[0,1,2,3,4,5,6,7]')))
		FROM r;
	CREATE INDEX docs_tenant ON docs(tenant);
	CREATE INDEX docs_hundredth ON docs(i_hundredth);
	CREATE INDEX docs_day ON docs(day);
	CREATE INDEX docs_absent ON docs(absent);
	CREATE UNIQUE INDEX docs_code ON docs(code);
	CREATE VIRTUAL TABLE vss USING hnsw(dim=8, content=docs, content_rowid=id, content_vector=embedding);
	SELECT hnsw_save('vss');
}, ROWS), '>', '/dev/null') or die 'sqlite3 failed';
chmod 0666, glob("$file*");
$node->safe_psql('postgres', qq{
	CREATE EXTENSION vss_fdw;
	CREATE SERVER s FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$file');
	IMPORT FOREIGN SCHEMA main LIMIT TO (docs) FROM SERVER s INTO public;
	CREATE TABLE copied AS SELECT * FROM docs;
	CREATE FUNCTION node(query text, OUT node jsonb) LANGUAGE plpgsql AS \$\$
	BEGIN
		EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO node;
		node := jsonb_path_query_first(node, 'strict \$.** ? (@."Metric" != "")');
	END \$\$;
});

sub value { return $node->safe_psql('postgres', $_[0]) }

my $query = '[6,0,0,0,0,0,0,0]';

# ---------- estimates ----------

for my $condition ("tenant = 't0'", "tenant = 't7'", 'i_hundredth = 7', "day BETWEEN '2021-03-01' AND '2021-03-31'", 'tenth = 3',
	'absent IS NULL', 'absent IS NOT NULL', "i_hundredth = 7 OR tenant = 't7'", "tenant = 't0' AND tenth = 3", 'i_hundredth IN (1, 2, 3)')
{
	my $truth = value("SELECT count(*) FROM copied WHERE $condition");
	my ($plan) = value("EXPLAIN (FORMAT JSON) SELECT id FROM docs WHERE $condition") =~ /"Plan Rows": (\d+)/;
	my ($least, $most) = ($truth / 2 - 100, $truth * 2 + 100);
	ok($least <= $plan && $plan <= $most, "$condition: $plan rows expected, there are $truth");
}

# ---------- the way that is gone, and the answer ----------

# Condition, distances computed at most, searches, strategies that are right.
sub goes
{
	my ($condition, $distances, $searches, $strategy, $before) = @_;
	my $order = "ORDER BY embedding <=> '$query' LIMIT 10";
	my $sql = "SELECT id FROM docs WHERE $condition $order";
	$before //= '';
	my $node_json = value("$before SELECT node FROM node(\$q\$$sql\$q\$)");
	my ($d) = $node_json =~ /"Distances Computed": (\d+)/;
	my ($s) = $node_json =~ /"Searches": (\d+)/;
	my ($how) = $node_json =~ /"Strategy": "(\w+)"/;
	ok(defined $d && $d <= $distances, "$condition: " . ($d // 'no index,') . " distances, at most $distances");
	is($s, $searches, "$condition: searches");
	like($how // '-', $strategy, "$condition: strategy");
	my $same = value("SELECT (SELECT array_agg(d::text) FROM (SELECT embedding <=> '$query' AS d FROM docs WHERE $condition $order) AS f)
		IS NOT DISTINCT FROM (SELECT array_agg(d::text) FROM (SELECT embedding <=> '$query' AS d FROM copied WHERE $condition $order) AS l)");
	is($same, 't', "$condition: the nearest of those that match");
}

goes('true', 1500, 1, qr/graph/);
goes("tenant = 't0'", 2500, 1, qr/graph/);
goes("tenant = 't7'", 200, 1, qr/exact/);
goes('i_hundredth = 7', 300, 1, qr/exact/);
goes("i_hundredth = 7 OR tenant = 't7'", 400, 1, qr/exact/);
goes("day BETWEEN '2021-03-01' AND '2021-03-31'", 500, 1, qr/exact/);
goes('near = 1', 1500, 1, qr/graph/);
goes("tenant = 't0' AND i_hundredth = 7", 100, 1, qr/exact/);

# ---------- what the planner cannot know ----------

sub parameter
{
	my ($condition, $type, $value) = @_;
	my $out = value("PREPARE p($type) AS SELECT id FROM docs WHERE $condition ORDER BY embedding <=> '$query' LIMIT 10;
		SET plan_cache_mode = force_generic_plan;
		EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE p($value)");
	my ($d) = $out =~ /Distances Computed: (\d+)/;
	my ($how) = $out =~ /Strategy: (\w+)/;
	my ($s) = $out =~ /Searches: (\d+)/;
	return ($d // -1, $how // '-', $s // -1);
}

my ($d, $how, $s) = parameter('tenant = $1', 'text', "'t7'");
ok($how eq 'exact' && $d <= 200 && $s == 1, "a parameter that few rows have: $how, $d distances");
($d, $how, $s) = parameter('tenant = $1', 'text', "'t0'");
ok($how eq 'graph' && $d <= 2500 && $s == 1, "a parameter that many rows have: $how, $d distances");
($d, $how, $s) = parameter('id = ANY($1)', 'bigint[]', "ARRAY[5, 6, 7]");
ok($how eq 'exact' && $d <= 3 && $s == 1, "an array of few: $how, $d distances");
($d, $how, $s) = parameter('id = ANY($1)', 'bigint[]', '\'{' . join(',', map { 2 * $_ - 1 } 1 .. ROWS / 2) . '}\'');
ok($how eq 'graph' && $d <= 4000, "an array of many: $how, $d distances");

# a stream is given up when matches do not come: those that are far from the query come last
my $far = value("SELECT node FROM node(\$q\$SELECT id FROM docs WHERE far = 1 ORDER BY embedding <=> '$query' LIMIT 10\$q\$)");
like($far, qr/"Searches": 2/, 'rows away from the query: the stream is given up');

# all that match are given, so nothing is left that has no distance
my $sql = value("EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM docs WHERE tenth = 3 ORDER BY embedding <=> '$query' LIMIT 10");
like($sql, qr/Unordered Rows: .* FROM "main"\."vss"\(\?1, NULL, NULL, 'unplaced'\) AS k CROSS JOIN .* WHERE \(r1\."tenth" = 3\)/,
	'rows without a distance are those that merges list');

# rows without a vector still come last, however the others were found
value("INSERT INTO docs(id, tenant, tenth, i_hundredth) SELECT 100000 + g, 'none', 77, 777 FROM generate_series(1, 3) AS g");
for my $condition ("tenant = 'none'", 'tenth = 77', "tenant IN ('none', 't7')", 'i_hundredth >= 0')
{
	for my $strategy (qw(auto graph prefilter exact))
	{
		is(value("SET vss_fdw.knn_strategy = $strategy; SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE d IS NULL) FROM
				(SELECT id, embedding <=> '$query' AS d FROM docs WHERE $condition ORDER BY embedding <=> '$query' LIMIT 100000) AS s"),
			value("SELECT count(*), count(*), 3 FROM docs WHERE $condition"), "$condition, $strategy: rows without a vector");
	}
}

$node->stop;
done_testing();
