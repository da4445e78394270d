# Columns that PostgreSQL computes, stored and (from 18 on) virtual, over tables
# of SQLite that have a column for them, have none, or compute it too; and
# RETURNING with OLD and NEW (from 18 on).  What comes back must be what a local
# table gives for the same statements.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('generated');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;
my $eighteen = $node->safe_psql('postgres', 'SHOW server_version_num') >= 180000;

my $database = PostgreSQL::Test::Utils::tempdir . '/generated.db';
system_or_bail('sqlite3', $database, q{
	CREATE TABLE stored(id INTEGER PRIMARY KEY, v INT, s TEXT, twice INT);
	CREATE TABLE computed(id INTEGER PRIMARY KEY, v INT, twice INT GENERATED ALWAYS AS (v * 2) STORED);
	CREATE TABLE virtual(id INTEGER PRIMARY KEY, v INT, s TEXT);
	CREATE TABLE changed(id INTEGER PRIMARY KEY, v INT, s TEXT);
	CREATE TABLE keyed(a TEXT, b INT, v INT, PRIMARY KEY (a, b)) WITHOUT ROWID;
	CREATE TABLE other(id INTEGER PRIMARY KEY, w INT);
	INSERT INTO other VALUES (1, 100), (2, 200);
});
$node->safe_psql('postgres', qq{
	CREATE EXTENSION vss_fdw;
	CREATE SERVER generated FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '$database', batch_size '10');
	CREATE SCHEMA f;
	CREATE SCHEMA l;
	CREATE FOREIGN TABLE f.stored(id bigint, v bigint, s text, twice bigint GENERATED ALWAYS AS (v * 2) STORED) SERVER generated;
	CREATE TABLE l.stored(id bigint, v bigint, s text, twice bigint GENERATED ALWAYS AS (v * 2) STORED);
	CREATE FOREIGN TABLE f.computed(id bigint, v bigint, twice bigint GENERATED ALWAYS AS (v * 2) STORED) SERVER generated;
	CREATE TABLE l.computed(id bigint, v bigint, twice bigint GENERATED ALWAYS AS (v * 2) STORED);
	IMPORT FOREIGN SCHEMA main LIMIT TO (changed, keyed, other) FROM SERVER generated INTO f;
	CREATE TABLE l.changed(id bigint PRIMARY KEY, v bigint, s text);
	CREATE TABLE l.keyed(a text, b bigint, v bigint);
	CREATE TABLE l.other AS SELECT * FROM f.other;
});
if ($eighteen)
{
	$node->safe_psql('postgres', q{
		CREATE FOREIGN TABLE f.virtual(id bigint, v bigint, twice bigint GENERATED ALWAYS AS (v * 2), s text) SERVER generated;
		CREATE TABLE l.virtual(id bigint, v bigint, twice bigint GENERATED ALWAYS AS (v * 2), s text);
	});
}

# Run statement after statement in both schemas; each must say the same.
sub alike
{
	my ($what, @statements) = @_;
	my %said;
	foreach my $schema ('f', 'l')
	{
		my (undef, $out, $err) = $node->psql('postgres', join('', map { "$_;\n" } @statements),
			extra_params => [ '-v', 'ON_ERROR_STOP=0', '--echo-queries' ], connstr => $node->connstr('postgres') . " options='-csearch_path=$schema,public'");
		$err =~ s/^psql:<stdin>:\d+: //mg;
		$said{$schema} = "$out\n$err";
	}
	unlike($said{l}, qr/ERROR/, "$what: the statements are right");
	is($said{f}, $said{l}, $what);
}

alike('stored by SQLite as a plain column',
	"INSERT INTO stored(id, v) VALUES (1, 10), (2, 20), (3, NULL)",
	"INSERT INTO stored(id, v, s) VALUES (4, 40, 'd') RETURNING *",
	"INSERT INTO stored(id, v, twice) VALUES (5, 50, DEFAULT) RETURNING stored",
	"COPY stored(id, v) FROM PROGRAM 'printf \"6\\t60\\n7\\t70\\n\"'",
	"UPDATE stored SET v = v + 1 WHERE id < 3",
	"UPDATE stored SET v = 71, s = 'x' WHERE id = 7 RETURNING *",
	"UPDATE stored SET s = 'y' WHERE id = 6 RETURNING twice",
	"UPDATE stored SET twice = DEFAULT WHERE id = 6",
	"SELECT * FROM stored ORDER BY id",
	"SELECT id FROM stored WHERE twice > 50 ORDER BY twice DESC");
my ($in_sqlite) = run_command([ 'sqlite3', $database, q{SELECT group_concat(id || '=' || ifnull(twice, '-')) FROM (SELECT * FROM stored ORDER BY id)} ]);
is($in_sqlite, '1=22,2=42,3=-,4=80,5=100,6=120,7=142', 'SQLite has the values');

alike('computed by SQLite, too',
	"INSERT INTO computed(id, v) VALUES (1, 10), (2, 20)",
	"UPDATE computed SET v = v + 1 WHERE id = 1 RETURNING *",
	"COPY computed(id, v) FROM PROGRAM 'printf \"6\\t60\\n\"'",
	"SELECT * FROM computed ORDER BY id");

SKIP:
{
	skip 'virtual columns, OLD and NEW came with PostgreSQL 18', 1 unless $eighteen;

	alike('virtual, without a column in SQLite',
		"INSERT INTO virtual(id, v, s) VALUES (1, 10, 'a'), (2, 20, 'b'), (3, NULL, 'c')",
		"INSERT INTO virtual(id, v) VALUES (4, 40) RETURNING *",
		"INSERT INTO virtual(id, v) VALUES (5, 50) RETURNING virtual",
		"COPY virtual(id, v) FROM PROGRAM 'printf \"6\\t60\\n7\\t70\\n\"'",
		"SELECT * FROM virtual ORDER BY id",
		"SELECT virtual FROM virtual ORDER BY twice DESC, id",
		"SELECT id FROM virtual WHERE twice = 40",
		"SELECT max(twice), count(twice), count(*) FROM virtual",
		"SELECT * FROM virtual WHERE id < 3 ORDER BY id FOR UPDATE",
		"SELECT a.twice, b FROM virtual a LEFT JOIN virtual b ON a.id * 10 = b.twice ORDER BY a.id",
		"UPDATE virtual SET v = v + 1 WHERE id = 1 RETURNING *",
		"UPDATE virtual SET v = v + 1 WHERE md5(s) <> '' AND id = 1 RETURNING virtual",
		"UPDATE virtual SET v = v + twice WHERE twice = 40 RETURNING old.*, new.*",
		"UPDATE virtual SET v = o.w FROM other o WHERE o.id = virtual.id RETURNING virtual.*, o",
		"DELETE FROM virtual WHERE twice = 80 RETURNING *",
		"DELETE FROM virtual WHERE md5(s) <> '' AND id = 3 RETURNING virtual",
		"SELECT * FROM virtual ORDER BY id");
	$node->safe_psql('postgres', 'ANALYZE f.virtual');
	is($node->safe_psql('postgres', q{SELECT string_agg(attname, ' ' ORDER BY attname) FROM pg_stats WHERE schemaname = 'f' AND tablename = 'virtual'}),
		'id s v', 'ANALYZE reads what there is');

	alike('OLD and NEW',
		"INSERT INTO changed VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c'), (4, 40, NULL) RETURNING old, new, old.v, new.v",
		"INSERT INTO changed VALUES (1, 1, 'x'), (5, 50, 'e') ON CONFLICT DO NOTHING RETURNING old.v, new.v",
		"UPDATE changed SET v = v + 1 WHERE id = 1 RETURNING old.v, new.v, v, old.s, new.s, new.id - old.id",
		"UPDATE changed SET v = v + 1, s = 'z' WHERE id < 3 RETURNING WITH (OLD AS o, NEW AS n) o, n, n.v - o.v, s",
		"UPDATE changed SET id = id + 10 WHERE id = 4 RETURNING old.id, new.id, old.*, new.*",
		"UPDATE changed SET v = other.w FROM other WHERE other.id = changed.id RETURNING old.v, new.v, w",
		"WITH was AS (UPDATE changed SET v = -v WHERE v > 100 RETURNING old.v AS a, new.v AS b) SELECT sum(a), sum(b) FROM was",
		"DELETE FROM changed WHERE id = 3 RETURNING old.v, new.v, old, new, s",
		"DELETE FROM changed USING other WHERE other.id = changed.id AND w = 100 RETURNING old.v, new.v, w",
		"SELECT * FROM changed ORDER BY id",
		"INSERT INTO keyed VALUES ('x', 1, 1), ('y', 2, 2) RETURNING old.a, new.a",
		"UPDATE keyed SET v = v + 5 WHERE a = 'x' RETURNING old.*, new.*",
		"UPDATE keyed SET b = b + 5, a = a || 'q' WHERE b = 2 RETURNING old.*, new.*",
		"DELETE FROM keyed WHERE b = 7 RETURNING old.*, new.*",
		"SELECT * FROM keyed");
	my $plan = 'SET search_path = f; EXPLAIN (COSTS OFF) UPDATE changed SET v = v + 1 WHERE id = 1 RETURNING';
	like($node->safe_psql('postgres', "$plan v"), qr/Foreign Update/, 'RETURNING alone is one statement of SQLite');
	unlike($node->safe_psql('postgres', "$plan old.v"), qr/Foreign Update/, 'RETURNING old is not');
}

$node->stop;
done_testing();
