# Many merges due at once: every one is done, at most merge_workers at a time, though
# nobody asks again.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Basename;
use Time::HiRes qw(time usleep);

use lib dirname(__FILE__);
use VssTest;

my $files = 16;
my $node = PostgreSQL::Test::Cluster->new('merges');
$node->init;
$node->append_conf('postgresql.conf', "max_worker_processes = 8\nlog_min_messages = debug1\nvss_fdw.merge_workers = 2\nvss_fdw.merge_threads = 1\n");
$node->start;

my $folder = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', 'CREATE EXTENSION vss_fdw');
for my $i (1 .. $files)
{
	sqlite("$folder/$i.db", 'PRAGMA journal_mode = wal; PRAGMA user_version = 1');
	$node->safe_psql('postgres', qq{
		CREATE SERVER s$i FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/$i.db');
		SELECT vss_exec('s$i', 'CREATE TABLE t(id INTEGER PRIMARY KEY, e BLOB);
			CREATE VIRTUAL TABLE v USING hnsw(dim = 8, metric = l2, m = 16, ef = 100, content = t, content_vector = e)');
		CREATE SCHEMA s$i;
		IMPORT FOREIGN SCHEMA main FROM SERVER s$i INTO s$i});
}

# 2,500 vectors without structure, from this one on.
sub insert
{
	my ($i, $from) = @_;

	return qq{INSERT INTO s$i.t SELECT i, (SELECT array_agg((i * 7919::bigint + j * j * 104729 + i * j * 1299709::bigint) % 100003 - 50001)
		::real[]::vss_vector FROM generate_series(1, 8) j) FROM generate_series($from, $from + 2499) i};
}

# What merges have been made, from the log: no query, which would find the rest due once more.
sub merged
{
	my ($from) = @_;
	my %seen;

	$seen{$_}++ for slurp_file($node->logfile, $from) =~ /index "v" of server "s(\d+)" has a graph of/g;
	return scalar keys %seen;
}

# Until so many are made; the most that were at work at once.
sub watch
{
	my ($from, $count) = @_;
	my $most = 0;
	my $end = time + patience(180);

	while (merged($from) < $count && time < $end)
	{
		my $now = $node->safe_psql('postgres', 'SELECT count(*) FROM vss_merges WHERE rows_total > 0');

		$most = $now if $now > $most;
		usleep(100_000);
	}
	return $most;
}

# ---------- in one transaction ----------

my $from = -s $node->logfile;
$node->safe_psql('postgres', 'BEGIN; ' . join('; ', map { insert($_, 1) } 1 .. $files) . '; COMMIT');
my $most = watch($from, $files);
is(merged($from), $files, 'every merge that one transaction made due is done');
cmp_ok($most, '<=', 2, 'at most merge_workers at once');
is($node->safe_psql('postgres', "SELECT vss_index_info('s$_.v')->'graph'->>'rows'"), 2500, "graph $_ has all rows") for 1, $files;

# ---------- by many sessions ----------

$from = -s $node->logfile;
my @sessions = map { $node->background_psql('postgres') } 1 .. $files;
$sessions[ $_ - 1 ]->query_safe('BEGIN; ' . insert($_, 5001)) for 1 .. $files;
$sessions[ $_ - 1 ]->query_until(qr/go/, "\\echo go\nCOMMIT;\n") for 1 .. $files;
$_->quit for @sessions;
$most = watch($from, $files);
is(merged($from), $files, 'and every one that as many sessions made due');
cmp_ok($most, '<=', 2, 'at most merge_workers at once');

# ---------- one that is cancelled leaves the others theirs ----------

$from = -s $node->logfile;
$node->safe_psql('postgres', 'BEGIN; ' . join('; ', map { insert($_, 10001) } 1 .. 6) . '; COMMIT; '
	  . 'SELECT pg_terminate_backend(pid) FROM vss_merges');
watch($from, 4);
cmp_ok(merged($from), '>=', 4, 'the end of a worker ends its own merge alone');

# ---------- one process slot ----------

$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'vss_fdw merge'});
$node->append_conf('postgresql.conf', "max_worker_processes = 1\nmax_parallel_workers = 0\nmax_logical_replication_workers = 0\n");
$node->restart;
$from = -s $node->logfile;
$node->safe_psql('postgres', 'BEGIN; ' . join('; ', map { insert($_, 20001) } 7 .. 12) . '; COMMIT');
watch($from, 6);
is(merged($from), 6, 'where there is one process slot, one process does them all');

$node->stop('immediate');
done_testing();
