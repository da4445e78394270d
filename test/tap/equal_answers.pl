# Pushdown never changes an answer: random queries over foreign tables and over
# local copies of the same rows must agree to the last bit, in a database of
# collation C and in one of ICU's en-US; likewise random INSERT, UPDATE and
# DELETE, by the rows that the tables hold afterwards, what RETURNING gave and
# whether there was an error.  The share of conditions, joins and aggregates that
# went down to SQLite must not fall below a bound either: where nothing is pushed,
# nothing is proved.
#
# The queries are made by test/random, whose script "run" makes many more.
# EQUAL_QUERIES sets the number of queries a database (2000), EQUAL_SEED the
# seed of the generator, EQUAL_EXPLAINED the share whose plan is looked at (1).
# A failing query is printed whole.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use lib dirname(abs_path(__FILE__)) . '/../random';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RandomCompare;
use RandomRows;
use Test::More;

my $queries = $ENV{EQUAL_QUERIES} // 2000;
my $seed = $ENV{EQUAL_SEED} // 20240607;
my $explained = $ENV{EQUAL_EXPLAINED} // 1;
my $batch = 1000;
my $dir = PostgreSQL::Test::Utils::tempdir();
srand $seed;

append_to_file("$dir/setup.sql", sqlite_setup());
system_or_bail('sqlite3', '-init', "$dir/setup.sql", "$dir/equal.db", 'SELECT 1');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "max_parallel_workers_per_gather = 0\nlog_min_messages = fatal\njit = off\nfsync = off\n");
$node->start;
$node->safe_psql('postgres', q{CREATE DATABASE icu TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'});

# Shares that must at least go down in the mean of many runs, by kind of query; "sets", "mixed" and their like are not expected to.
my %bound = (scan => 0.5, plain => 0.8, bounds => 0.7, join => 0.25, full => 0.35, aggregate => 0.25, group => 0.35, order => 0.3, distinct => 0.4, limit => 0.25, tree => 0.25, change => 0.12);

for my $database ('postgres', 'icu')
{
	$node->safe_psql($database, setup_sql("$dir/equal.db"));
	is($node->safe_psql($database, q{SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum)
			FROM pg_attribute WHERE attrelid = 'f.a'::regclass AND attnum > 1}),
		column_types(), "$database: the columns have the types that the queries assume");

	for (my $n = 1; $n <= $queries; $n += $batch)
	{
		my $last = $n + $batch - 1 < $queries ? $n + $batch - 1 : $queries;
		$node->safe_psql($database, batch_sql($n, $last, 0.12, $explained));
		my $wrong = $node->safe_psql($database, qq{SELECT format(E'%s %s\\n%s\\n', n, query, detail) FROM outcome WHERE same IS NOT TRUE AND n BETWEEN $n AND $last ORDER BY length(query) LIMIT 10});
		diag("$database differs (EQUAL_SEED=$seed): $wrong") if $wrong ne '';
	}
	is($node->safe_psql($database, 'SELECT count(*) FROM outcome'), $queries, "$database: all queries ran");
	is($node->safe_psql($database, 'SELECT count(*) FROM outcome WHERE same IS NOT TRUE'), 0, "$database: foreign and local answers agree (EQUAL_SEED=$seed)");
	my $shares = $node->safe_psql($database, q{SELECT string_agg(kind || ' ' || share, ', ') FROM (SELECT kind, round(avg(errors::int), 2) AS share FROM outcome GROUP BY kind HAVING avg(errors::int) > 0.5 ORDER BY kind) k});
	is($shares, '', "$database: of every kind, most queries have an answer");
	cmp_ok($node->safe_psql($database, q{SELECT coalesce(avg(refused::int), 0) FROM outcome WHERE kind = 'change'}), '<', 0.1, "$database: few changes are of values that SQLite's columns would not give back");
	for my $kind (sort keys %bound)
	{
		my ($share, $count) = split /\|/, $node->safe_psql($database, "SELECT round(avg(pushed::int), 3), count(pushed) FROM outcome WHERE kind = '$kind' AND NOT errors");
		# Queries are drawn, so that a share strays from its mean: by more than four
		# standard deviations once in thirty thousand times.
		my $least = $bound{$kind} - 4 * sqrt($bound{$kind} * (1 - $bound{$kind}) / ($count || 1));
		cmp_ok($share, '>=', $least, "$database: $kind pushed whole in a share of $share of $count queries") if $count > 30;
	}
}

$node->stop;
done_testing();
