# Background merges: when one starts and when not, what others see of it, and
# that nothing waits for it: cancel, shutdown, DROP DATABASE, a crash.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Cwd qw(abs_path);
use File::Basename;
use Time::HiRes qw(time);

my $root = abs_path(dirname(__FILE__) . '/../..');

my $node = PostgreSQL::Test::Cluster->new('worker');
$node->init;
$node->append_conf('postgresql.conf', "max_worker_processes = 8\nrestart_after_crash = on\nlog_min_messages = debug1\nvss_fdw.merge_threads = 1\n");
$node->start;

my $folder = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', 'CREATE EXTENSION vss_fdw');

# A server with a table t, an index v over it, and the two foreign tables.
sub make_server
{
	my ($name, $arguments) = @_;

	system_or_bail('sqlite3', "$folder/$name.db", 'PRAGMA journal_mode = wal; PRAGMA user_version = 1');
	$node->safe_psql('postgres', qq{
		CREATE SERVER $name FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/$name.db');
		SELECT vss_exec('$name', 'CREATE TABLE t(id INTEGER PRIMARY KEY, e BLOB);
			CREATE VIRTUAL TABLE v USING hnsw(dim = 16, metric = l2, $arguments, content = t, content_vector = e)');
		CREATE SCHEMA $name;
		IMPORT FOREIGN SCHEMA main FROM SERVER $name INTO $name});
}

# Vectors without structure, the same each time.
sub insert
{
	my ($name, $from, $to) = @_;

	return qq{INSERT INTO $name.t SELECT i, (SELECT array_agg((i * 7919::bigint + j * j * 104729 + i * j * 1299709::bigint) % 100003 - 50001)
		::real[]::vss_vector FROM generate_series(1, 16) j) FROM generate_series($from, $to) i};
}

my $no_merge = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'vss_fdw merge'};

sub graph_nodes
{
	my ($name) = @_;

	return $node->safe_psql('postgres', "SELECT coalesce(vss_index_info('$name.v')->'graph'->>'rows', 'none')");
}

# An index whose merge takes long enough to be looked at: the graph is built with care (20,000 rows: 25 s of one core).
my $slow = 'm = 64, ef = 2000';

# Start a long merge; returns its process.
sub start_long_merge
{
	my ($name) = @_;

	make_server($name, $slow);
	$node->safe_psql('postgres', insert($name, 1, 20000));
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM vss_merges WHERE rows_total > 0") or die "no merge";
	return $node->safe_psql('postgres', 'SELECT pid FROM vss_merges');
}

# ---------- it starts by itself ----------

make_server('a', 'm = 8, ef = 40');
$node->safe_psql('postgres', insert('a', 1, 1000));
$node->poll_query_until('postgres', $no_merge);
is(graph_nodes('a'), 'none', 'a thousand rows need no graph');

$node->safe_psql('postgres', insert('a', 1001, 6000));
ok($node->poll_query_until('postgres', q{SELECT vss_index_info('a.v')->'graph'->>'rows' = '6000'}), 'after many rows a merge runs');
ok($node->poll_query_until('postgres', $no_merge), 'and its process ends');
my $plan = $node->safe_psql('postgres', qq{EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)
	SELECT id FROM a.t ORDER BY e <-> (SELECT e FROM a.t WHERE id = 7) LIMIT 5});
like($plan, qr/Strategy: graph/, 'searches ask the graph then');
is($node->safe_psql('postgres', q{SELECT vss_check('a.v')}), 'ok', 'and the index is sound');
cmp_ok($node->safe_psql('postgres', q{SELECT vss_recall('a.v', 5, 20)}), '>', 0.5, 'and finds what is near');

# ---------- rows written by another program ----------

SKIP:
{
	skip "no hnsw.so in $root", 2 unless -e "$root/hnsw.so";
	system_or_bail('sqlite3', "$folder/a.db", '-cmd', ".load $root/hnsw", 'PRAGMA busy_timeout = 10000',
		'INSERT INTO t SELECT 100000 + id, e FROM t');
	$node->safe_psql('postgres', q{SELECT rowid FROM vss_knn('a.v', (SELECT e FROM a.t WHERE id = 7), 3)});
	ok($node->poll_query_until('postgres', q{SELECT vss_index_info('a.v')->'graph'->>'rows' = '12000'}),
		'rows that another program wrote are merged once a query finds them');
	ok($node->poll_query_until('postgres', $no_merge), 'and its process ends');
}

# ---------- a damaged graph ----------

open(my $file, '+<:raw', "$folder/a.db-v.hnsw") or die "$!";
for my $block (0 .. (-s $file) / 4096 - 1)
{
	seek($file, $block * 4096 + 64, 0);
	print $file 'damage';
}
close($file);
is($node->safe_psql('postgres', q{SELECT rowid FROM vss_knn('a.v', (SELECT e FROM a.t WHERE id = 7), 1)}), 7, 'a damaged graph misleads nobody');
ok($node->poll_query_until('postgres', q{SELECT string_agg(f, ' ') = 'ok' FROM vss_check('a.v') f}), 'and is made anew');
is($node->safe_psql('postgres', q{SELECT vss_index_info('a.v')->'graph'->>'state'}), 'used', 'to be used again');
$node->poll_query_until('postgres', $no_merge);

# ---------- or not ----------

make_server('b', 'm = 8, ef = 40');
my $log = -s $node->logfile;
$node->safe_psql('postgres', 'SET vss_fdw.auto_merge = off; ' . insert('b', 1, 5000)
	  . q{; SELECT count(*) FROM vss_knn('b.v', (SELECT e FROM b.t WHERE id = 7), 3)});
unlike(slurp_file($node->logfile, $log), qr/queued a merge/, 'auto_merge = off starts none');
$node->psql('postgres', 'BEGIN; ' . insert('b', 5001, 10000) . '; ROLLBACK');
unlike(slurp_file($node->logfile, $log), qr/queued a merge/, 'nor does a transaction that is rolled back');

$node->safe_psql('postgres', q{LOAD 'vss_fdw'; ALTER SYSTEM SET vss_fdw.merge_workers = 0});
$node->reload;
$node->safe_psql('postgres', q{SELECT count(*) FROM vss_knn('b.v', (SELECT e FROM b.t WHERE id = 7), 3)});
unlike(slurp_file($node->logfile, $log), qr/queued a merge/, 'merge_workers = 0 lets none work');
is(graph_nodes('b'), 'none', 'and nothing is merged');
$node->safe_psql('postgres', q{LOAD 'vss_fdw'; ALTER SYSTEM RESET vss_fdw.merge_workers});
$node->reload;
$node->safe_psql('postgres', q{SELECT vss_merge('b.v')});
is(graph_nodes('b'), 5000, 'vss_merge does what is asked all the same');

# ---------- seen, cancelled ----------

my $pid = start_long_merge('c');
is($node->safe_psql('postgres', qq{SELECT usename = current_user, phase, rows_done <= rows_total, share BETWEEN 0 AND 1, activity
	FROM vss_merges}), 't|building|t|t|vss_fdw: merging index "v" of server "c"', 'a merge is seen with its progress');
is($node->safe_psql('postgres', qq{SELECT backend_type, state, application_name, datname IS NULL FROM pg_stat_activity WHERE pid = $pid}),
	'vss_fdw merge|active|vss_fdw|t', 'in pg_stat_activity too');

# One an index: the same index through another server, another database, another session.
$log = -s $node->logfile;
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', qq{CREATE EXTENSION vss_fdw;
	CREATE SERVER elsewhere FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$folder/c.db');
	IMPORT FOREIGN SCHEMA main FROM SERVER elsewhere INTO public;
	SELECT count(*) FROM vss_knn('v', (SELECT e FROM t WHERE id = 7), 3);
	INSERT INTO t SELECT 100000 + id, e FROM t LIMIT 3000});
is($node->safe_psql('postgres', q{SELECT string_agg(pid::text, ' ') FROM vss_merges}), $pid, 'a second one of the index is not started');
unlike(slurp_file($node->logfile, $log), qr/queued a merge/, 'nor tried');

# DROP DATABASE waits for every process to absorb a barrier.
my $started = time;
$node->safe_psql('postgres', 'DROP DATABASE other');
cmp_ok(time - $started, '<', 30, 'DROP DATABASE does not wait for it');
is($node->safe_psql('postgres', 'SELECT pid FROM vss_merges'), $pid, 'which goes on');

is($node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)"), 't', 'it can be cancelled');
ok($node->poll_query_until('postgres', $no_merge), 'and ends');
like(slurp_file($node->logfile, $log), qr/canceling statement due to user request/, 'with a message');
is(graph_nodes('c'), 'none', 'before it is done');
is($node->safe_psql('postgres', q{SELECT count(*) FROM c.t}), 23000, 'no row is lost');
is($node->safe_psql('postgres', q{SELECT rowid FROM vss_knn('c.v', (SELECT e FROM c.t WHERE id = 77), 1)}), 77, 'and answers are right');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM vss_merges");

# ---------- two commit at once ----------

$node->poll_query_until('postgres', $no_merge);
make_server('d', 'm = 8, ef = 40');
$log = -s $node->logfile;
my @sessions = map { $node->background_psql('postgres') } 1 .. 2;
$sessions[0]->query_safe('SET vss_fdw.auto_merge = off; ' . insert('d', 1, 5000) . '; RESET vss_fdw.auto_merge');
$_->query_safe("BEGIN; SELECT count(*) FROM vss_knn('d.v', (SELECT e FROM d.t WHERE id = 7), 3)") for @sessions;
# both are told to commit before one of them is waited for
$_->query_until(qr/go/, "\\echo go\nCOMMIT;\n") for @sessions;
$_->query_until(qr/done/, "\\echo done\n") for @sessions;
$_->quit for @sessions;
ok($node->poll_query_until('postgres', q{SELECT vss_index_info('d.v')->'graph'->>'rows' = '5000'}), 'of two that ask for a merge one gets it');
ok($node->poll_query_until('postgres', $no_merge), 'both workers end, if there were two');
my @merged = slurp_file($node->logfile, $log) =~ /index "v" of server "d" has a graph/g;
is(scalar @merged, 1, 'and the index is merged once');

# ---------- no free process ----------

$node->safe_psql('postgres', 'ALTER SYSTEM SET max_worker_processes = 0; ALTER SYSTEM SET max_parallel_workers = 0;');
$node->restart;
make_server('e', 'm = 8, ef = 40');
$log = -s $node->logfile;
$node->safe_psql('postgres', insert('e', 1, 5000));
like(slurp_file($node->logfile, $log), qr/no background worker is free to merge index "v" of server "e"/, 'no free process is logged');
is($node->safe_psql('postgres', 'SELECT count(*) FROM e.t'), 5000, 'and harms nothing');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET ALL');
$node->restart;
$node->safe_psql('postgres', q{SELECT count(*) FROM vss_knn('e.v', (SELECT e FROM e.t WHERE id = 7), 3)});
ok($node->poll_query_until('postgres', q{SELECT vss_index_info('e.v')->'graph'->>'rows' = '5000'}), 'the next search makes up for it');
$node->poll_query_until('postgres', $no_merge);

# ---------- shutdown and crash in the middle ----------

start_long_merge('f');
$started = time;
$node->stop('fast');
cmp_ok(time - $started, '<', 60, 'the server stops during a merge');
is(scalar(glob("$folder/f.db-v.hnsw-[0-9a-f]*") // ''), '', 'nothing half-written is left');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM f.t'), 20000, 'and its rows are there');

$node->safe_psql('postgres', q{SELECT count(*) FROM vss_knn('f.v', (SELECT e FROM f.t WHERE id = 7), 3)});
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM vss_merges WHERE rows_total > 0") or die "no merge";
$pid = $node->safe_psql('postgres', 'SELECT pid FROM vss_merges');
$log = -s $node->logfile;
kill 'KILL', $pid;
ok($node->wait_for_log(qr/database system is ready to accept connections/, $log), 'a killed worker makes the server restart');
$node->poll_query_until('postgres', 'SELECT true');
is($node->safe_psql('postgres', 'SET vss_fdw.auto_merge = off; SELECT count(*), min(id), max(id) FROM f.t'), '20000|1|20000', 'no row is lost');
is($node->safe_psql('postgres', q{SET vss_fdw.auto_merge = off; SELECT rowid FROM vss_knn('f.v', (SELECT e FROM f.t WHERE id = 77), 1)}), 77, 'and answers are right');

$node->stop('immediate');
done_testing();
