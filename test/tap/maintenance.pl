# vss_create_index, vss_merge and vss_rebuild while others look on: progress is
# reported, a cancel is prompt and leaves nothing behind, readers go on.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $rows = 5000;
my $dim = 48;

my $node = PostgreSQL::Test::Cluster->new('maintenance');
$node->init;
$node->start;

my $folder = PostgreSQL::Test::Utils::tempdir;
my $database = "$folder/items.db";
system_or_bail('sqlite3', $database, 'PRAGMA journal_mode = wal; CREATE TABLE t(x)');

$node->safe_psql('postgres', qq{
	CREATE EXTENSION vss_fdw;
	CREATE SERVER items FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$database');
	CREATE FOREIGN TABLE items (id bigint, v vss_vector($dim), label text) SERVER items;
});

# Vectors without structure, the same each time: digits of a linear congruence.
$node->safe_psql('postgres', qq{
	SELECT vss_exec('items', 'CREATE TABLE items(id INTEGER PRIMARY KEY, v BLOB, label TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $rows),
			d(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM d WHERE j < $dim)
		INSERT INTO items SELECT i, (SELECT vector(''['' || group_concat((i * 7919 + j * j * 104729 + i * j * 1299709) % 100003 - 50001) || '']'') FROM d), ''item '' || i FROM n');
});
is($node->safe_psql('postgres', 'SELECT count(*) FROM items'), $rows, 'the rows are there');

sub leftovers
{
	my $schema = `sqlite3 "$database" "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> 't' AND tbl_name <> 'items'
		OR type = 'trigger'"`;
	chomp $schema;
	# the lock file of merges is never removed
	my @files = grep { !/items\.db(-wal|-shm)?$|\.hnsw-lock$/ } glob("$folder/*");
	return "$schema objects, files: @files";
}
my $clean = leftovers();
is($clean, '0 objects, files: ', 'nothing but the table at first');

# ---------- cancelled ----------

my $started = time;
my ($code, $out, $err) = $node->psql('postgres',
	q{SET statement_timeout = '150ms'; SELECT vss_create_index('items', 'v', ef_construction => 400, index_name => 'near')});
my $took = time - $started;
like($err, qr/canceling statement due to statement timeout/, 'a build obeys statement_timeout');
cmp_ok($took, '<', 5, 'and soon');
is(leftovers(), $clean, 'a cancelled build leaves neither tables, triggers nor files');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_foreign_table}), 1, 'nor a foreign table');

# ---------- progress ----------

# What pg_stat_progress_create_index says while sql runs, as a list of rows.
sub watch
{
	my ($sql) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my @seen;

	$session->query_until(qr/go/, "\\echo go\n$sql;\n\\echo finished\n");
	for (1 .. 2000)
	{
		my $row = $node->safe_psql('postgres',
			qq{SELECT command, phase, relid::regclass, tuples_done <= tuples_total AND tuples_total BETWEEN $rows - 1 AND $rows,
				blocks_done <= blocks_total FROM pg_stat_progress_create_index});
		push @seen, $row if $row ne '';
		last
			if $node->safe_psql('postgres',
			q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT vss\_%'}) == 0;
		usleep(5000);
	}
	$session->quit;
	return @seen;
}

my @create = watch(q{SELECT vss_create_index('items', 'v', index_name => 'near')});
ok((grep { /^CREATE INDEX\|building index\|items\|t\|t$/ } @create), 'creating reports how far it is')
	or diag(join("\n", @create));
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_progress_create_index}), 0, 'and ends its report');

my @rebuild = watch(q{SELECT vss_rebuild('near')});
ok((grep { /^REINDEX\|building index\|near\|t\|t$/ } @rebuild), 'rebuilding too')
	or diag(join("\n", @rebuild));

($code, $out, $err) = $node->psql('postgres', q{SET statement_timeout = '150ms'; SELECT vss_rebuild('near')});
like($err, qr/canceling statement due to statement timeout/, 'a rebuild obeys statement_timeout');
is($node->safe_psql('postgres', q{SELECT vss_check('near')}), 'ok', 'and the index is sound after it');

# ---------- two at once ----------

my @both = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
$_->query_until(qr/go/, "\\echo go\nSELECT 'rebuilt', vss_rebuild('near');\n\\echo done\n") for @both;
my @said = map { $_->query_until(qr/done/, '') } @both;
cmp_ok(scalar(grep { /rebuilt/ } @said), '>=', 1, 'of two rebuilds at least one is done') or diag(@said);
$_->quit for @both;
is($node->safe_psql('postgres', q{SELECT vss_check('near')}), 'ok', 'and the index is sound');

# ---------- answers do not wait ----------

my $rebuilding = $node->background_psql('postgres');
$rebuilding->query_until(qr/go/, "\\echo go\nSELECT vss_rebuild('near');\n");
my $query = q{SELECT string_agg(rowid::text, ' ' ORDER BY distance, rowid) FROM vss_knn('near',
	(SELECT v FROM items WHERE id = 77), 3)};
my $first = $node->safe_psql('postgres', $query);
like($first, qr/^77 /, 'a query is answered while the graph is rebuilt');
is($node->safe_psql('postgres', q{SELECT vss_exec('items', 'DELETE FROM items WHERE id = 77')}),
	1, 'and a row deleted');
unlike($node->safe_psql('postgres', q{SELECT string_agg(rowid::text, ' ') FROM vss_knn('near', (SELECT v FROM items WHERE id = 78), 20)}),
	qr/\b77\b/, 'the deleted row is gone at once');
$rebuilding->query_safe('SELECT 1');
$rebuilding->quit;
unlike($node->safe_psql('postgres', q{SELECT string_agg(rowid::text, ' ') FROM vss_knn('near', (SELECT v FROM items WHERE id = 78), 20)}),
	qr/\b77\b/, 'and stays so when the rebuild is done');

# ---------- one snapshot a statement ----------

# Three rows have this vector (the congruence has period 2003): any of them may be the nearest one or two.
my $vector = $node->safe_psql('postgres', 'SELECT v FROM items WHERE id = 90');
my $slow = $node->background_psql('postgres');
$slow->query_until(qr/go/, qq{\\echo go
SELECT 'found ' || count(*) FROM generate_series(1, 6) i CROSS JOIN LATERAL (SELECT pg_sleep(0.1 * sign(i))) s
	CROSS JOIN LATERAL vss_knn('near', '$vector', i + 2) k WHERE k.rowid = 90;
\\echo done
});
usleep(250_000);
$node->safe_psql('postgres', q{SELECT vss_exec('items', 'DELETE FROM items WHERE id = 90')});
like($slow->query_until(qr/done/, ''), qr/found 6/, 'all calls of vss_knn in a statement see the same rows');
is($slow->query_safe(qq{SELECT count(*) FROM vss_knn('near', '$vector', 3) WHERE rowid = 90}), 0, 'the next statement sees the change');
$slow->quit;

# ---------- one connection a session, closed on request ----------

is($node->safe_psql('postgres', q{
	SELECT count(*) FROM items WHERE id = 1;
	SELECT server_name, valid, used_in_xact FROM vss_fdw_get_connections();
	SELECT vss_fdw_disconnect('items');
	SELECT count(*) FROM vss_fdw_get_connections();}), "1\nitems|t|f\nt\n0", 'disconnect closes the connection');

$node->stop;
done_testing();
